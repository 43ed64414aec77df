//! The visits of a day.

use crate::keys::Keys;

/// The visits of a day, in order; visitors are numbers from 1 on, and each of them comes twice.
#[derive(Clone, Debug)]
pub struct Visitors {
    set: String,
    bits: String,
    estimate: String,
    visits: Vec<u32>,
}

impl Visitors {
    /// `visits` visits on `day`, by half as many visitors.
    #[must_use]
    pub fn on(day: &str, visits: u32, keys: &Keys) -> Self {
        Self {
            set: keys.visitor_set(day),
            bits: keys.visitor_bits(day),
            estimate: keys.visitor_estimate(day),
            visits: (0..visits).map(|visit| visit / 2 + 1).collect(),
        }
    }

    /// Where they are written: Set, bitmap and HyperLogLog.
    #[must_use]
    pub fn keys(&self) -> [String; 3] {
        [self.set.clone(), self.bits.clone(), self.estimate.clone()]
    }

    /// The key of the Set.
    #[must_use]
    pub fn set(&self) -> &str {
        &self.set
    }

    /// The key of the bitmap.
    #[must_use]
    pub fn bits(&self) -> &str {
        &self.bits
    }

    /// The key of the HyperLogLog.
    #[must_use]
    pub fn estimate(&self) -> &str {
        &self.estimate
    }

    /// Who came, visit by visit.
    #[must_use]
    pub fn visits(&self) -> &[u32] {
        &self.visits
    }

    /// How many different visitors there were.
    #[must_use]
    pub fn different(&self) -> usize {
        self.visits.len().div_ceil(2)
    }
}
