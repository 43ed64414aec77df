//! Reasons not to believe a table too far, each with advice.

use serde::Serialize;

use crate::statistics::Summary;

/// Half of the rounds lie further apart than this share of the median: too noisy to compare closely.
pub(crate) const NOISY_SPREAD: f64 = 0.25;

/// A reason not to believe a table too far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "caveat", rename_all = "snake_case")]
pub enum Caveat {
    /// The client was compiled without optimization.
    DebugBuild,
    /// Some approach varied a lot between rounds.
    Noisy {
        /// Its label.
        approach: String,
        /// The width of the middle half of its rounds, as a percentage of their median.
        percent: u32,
    },
    /// The server is on this machine: nothing crossed a network.
    Loopback,
}

impl Caveat {
    /// Those that apply.
    #[must_use]
    pub fn about(rates: &[(String, Summary)], loopback: bool) -> Vec<Self> {
        let debug = cfg!(debug_assertions).then_some(Self::DebugBuild);
        let noisiest = rates
            .iter()
            .filter(|(_, rate)| rate.spread > NOISY_SPREAD)
            .max_by(|(_, a), (_, b)| a.spread.total_cmp(&b.spread))
            .map(|(label, rate)| Self::Noisy { approach: label.clone(), percent: percent(rate.spread) });
        debug.into_iter().chain(noisiest).chain(loopback.then_some(Self::Loopback)).collect()
    }

    /// What to make of it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::DebugBuild => "Debug build: the client is several times slower; run with --release.".into(),
            Self::Noisy { approach, percent } => {
                format!(
                    "Noisy: the rounds of '{approach}' vary by {percent}%; close other programs, and run again."
                )
            }
            Self::Loopback => "Loopback: a real network adds its delay to every round trip.".into(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is small and not negative"
)]
fn percent(share: f64) -> u32 {
    (share * 100.0).round() as u32
}
