//! Funnel: how many visitors reach each step, such as `view`, `cart`, `checkout`, and `purchase`.
//!
//! The naive way increments a counter with every event. It counts events, not people: a visitor who views three products counts
//! as three, and the share of those who go on is too small. Here only the deepest step of each visitor is stored. A visitor who
//! reaches a step also counts for every step before it: a purchase without a view means that the view was lost or is late. So
//! no step ever has more visitors than the one before it, and the order and repetition of events don't matter.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `funnel:today` | Hash | step to the number of its visitors |
//! | `funnel:{funnel:today}:visitors` | Hash | visitor to the number of the deepest step, from 1 |
//!
//! - **Promise**: each visitor counts once for each step. Both keys change in one step.
//! - **Cost**: one round trip; O(steps), at most 16.
//! - **Memory**: one field for each visitor, until midnight (UTC) by the server's clock; a funnel with a name of your own lives
//!   90 days.
//! - **Faults**: every call can be sent again. If one of the two keys is evicted, the funnel begins again with the next visitor
//!   who reaches a step. A failover may lose the last steps; each visitor's next one puts it right. If the clock is set forward,
//!   the funnel of today ends early; set back, it ends at the midnight of the new time.
//!
//! All clients of a funnel must use the same steps.
//!
//! ```
//! use patterns::funnel::{Funnel, Reached};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let funnel = Funnel::today(connection, "", &["view", "cart", "purchase"])?;
//! assert_eq!(funnel.reached("ann", "view").await?, Reached::Counted { steps: 1 });
//! assert_eq!(funnel.reached("bob", "purchase").await?, Reached::Counted { steps: 3 });
//! assert_eq!(funnel.reached("bob", "cart").await?, Reached::Known);
//! let report = funnel.report().await?;
//! assert_eq!(report.iter().map(|step| step.visitors).collect::<Vec<_>>(), [2, 1, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds, quote, send};

/// The most steps of a funnel.
pub const MAX_STEPS: usize = 16;

const FILE: &str = include_str!("funnel.lua");

/// Counts a visitor for the step reached, and for every step before it that the visitor was not counted for.
pub static REACH: Script = Script::new("funnel.lua: reach", FILE, &["reach"]);
/// Starts over if one of the two keys was lost: the other one alone would count visitors twice, or never again.
pub static RESTART: Script = Script::new("funnel.lua: restart", FILE, &["restart"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&REACH, &RESTART])
}

/// A funnel.
#[derive(Clone, Debug)]
pub struct Funnel<C> {
    connection: C,
    key: Key,
    steps: Vec<String>,
    /// `None` until midnight.
    keep: Option<Duration>,
}

/// What became of a visitor's step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reached {
    /// The visitor was counted for this many steps: 1, or more if events of earlier steps did not arrive.
    Counted {
        /// The steps.
        steps: usize,
    },
    /// The visitor had reached that step before; nothing was changed.
    Known,
}

/// One step of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCount {
    /// The step.
    pub step: String,
    /// How many different visitors reached it.
    pub visitors: u64,
    /// Their share of the visitors of the step before, 0 to 1: 1 for the first step, 0 if there are none.
    pub of_previous: f64,
    /// Their share of those of the first step, 0 to 1.
    pub of_first: f64,
}

impl<C: ConnectionLike + Clone> Funnel<C> {
    /// The funnel `funnel:today`, with 1 to [`MAX_STEPS`] different steps in their order. It ends at midnight (UTC) by the
    /// server's clock.
    pub fn today(connection: C, prefix: &str, steps: &[&str]) -> Result<Self, FunnelError> {
        Self::with_steps(connection, prefix, "today", steps, None)
    }

    /// A funnel with a name of your own, such as a day or a campaign. It is kept for 90 days after its first visitor.
    pub fn named(connection: C, prefix: &str, name: &str, steps: &[&str]) -> Result<Self, FunnelError> {
        Self::with_steps(connection, prefix, name, steps, Some(Duration::from_hours(90 * 24)))
    }

    fn with_steps(
        connection: C,
        prefix: &str,
        name: &str,
        steps: &[&str],
        keep: Option<Duration>,
    ) -> Result<Self, FunnelError> {
        let key = Key::new(prefix, "funnel", &[name]).map_err(StoreError::from)?;
        for (index, step) in steps.iter().enumerate() {
            check_id(step).map_err(StoreError::from)?;
            if steps[..index].contains(step) {
                return Err(FunnelError::RepeatedStep { step: (*step).to_owned() });
            }
        }
        if steps.is_empty() || steps.len() > MAX_STEPS {
            return Err(FunnelError::NumberOfSteps { steps: steps.len() });
        }
        Ok(Self { connection, key, steps: steps.iter().map(|step| (*step).to_owned()).collect(), keep })
    }

    /// Records that a visitor has reached a step. One round trip. It can be repeated.
    pub async fn reached(&self, visitor: &str, step: &str) -> Result<Reached, FunnelError> {
        check_id(visitor).map_err(StoreError::from)?;
        let index = self.steps.iter().position(|known| known == step);
        let index = index.ok_or_else(|| FunnelError::UnknownStep { step: quote(step) })?;
        let keys = [self.key.as_str(), &self.key.companion("visitors")];
        let keep = self.keep.map_or_else(String::new, |keep| milliseconds(keep).to_string());
        let call = REACH.call(&keys).arg(visitor).arg(index + 1).arg(keep).arg(&self.steps[..=index]);
        loop {
            let mut reply: Reply = call.run(&self.connection).await?;
            match reply.outcome.as_str() {
                "REACHED" => return Ok(Reached::Counted { steps: reply.next()? }),
                "KNOWN" => return Ok(Reached::Known),
                "RESTART" => drop(RESTART.call(&keys).run::<Reply>(&self.connection).await?),
                _ => return Err(reply.unexpected().into()),
            }
        }
    }

    /// How many visitors reached each step, and what share of those before. One round trip.
    pub async fn report(&self) -> Result<Vec<StepCount>, StoreError> {
        let mut read = redis::cmd("HMGET");
        read.arg(self.key.as_str()).arg(&self.steps);
        let stored: Vec<Option<String>> = send(&self.connection, &read).await?;
        let mut report: Vec<StepCount> = Vec::with_capacity(stored.len());
        for (step, text) in self.steps.iter().zip(stored) {
            let malformed = |_| StoreError::Malformed(quote(&format!("{} {step}", self.key.as_str())));
            let visitors = text.map_or(Ok(0), |text| text.parse::<u64>().map_err(malformed))?;
            report.push(StepCount {
                step: step.clone(),
                visitors,
                of_previous: share(visitors, report.last().map_or(visitors, |before| before.visitors)),
                of_first: share(visitors, report.first().map_or(visitors, |first| first.visitors)),
            });
        }
        Ok(report)
    }

    /// The key of the funnel.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Why there is no such funnel, or a visitor was not counted. Nothing was changed, unless the connection failed: then send it
/// again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FunnelError {
    /// No steps, or too many.
    #[error("a funnel has 1 to {MAX_STEPS} steps, and this one has {steps}")]
    NumberOfSteps {
        /// How many there are.
        steps: usize,
    },
    /// One step is there twice.
    #[error("the step {step:?} is there twice")]
    RepeatedStep {
        /// The step.
        step: String,
    },
    /// The funnel has no such step.
    #[error("the funnel has no step {step:?}")]
    UnknownStep {
        /// The step.
        step: String,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
