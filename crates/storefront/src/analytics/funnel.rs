use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;
use redis::aio::ConnectionLike;

use super::{DEFAULT_KEEP, Day, milliseconds};
use crate::script;
use crate::store::{Reply, StoreError, holds_store_error};
use crate::{CustomerId, Keys, Label};

static REACH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/reach.lua")));

/// The most steps of a funnel.
pub const MOST_STEPS: usize = 16;

/// The steps of a funnel in their order, such as `view`, `cart`, `checkout`, `purchase`: 1 to [`MOST_STEPS`], all different.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Steps(Vec<Label>);

impl Steps {
    /// These steps.
    pub fn new(steps: impl IntoIterator<Item = Label>) -> Result<Self, StepsError> {
        let steps: Vec<Label> = steps.into_iter().take(MOST_STEPS + 1).collect();
        if steps.is_empty() || steps.len() > MOST_STEPS {
            return Err(StepsError::Number);
        }
        let repeated = steps.iter().enumerate().find(|(index, step)| steps[..*index].contains(step));
        match repeated {
            Some((_, step)) => Err(StepsError::Repeated { step: step.clone() }),
            None => Ok(Self(steps)),
        }
    }
}

/// Why steps make no funnel.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StepsError {
    /// None, or too many.
    #[error("a funnel has 1 to {MOST_STEPS} steps")]
    Number,
    /// One is there twice.
    #[error("the step {step} is there twice")]
    Repeated {
        /// That step.
        step: Label,
    },
}

/// How far the visitors of a day come, each counted once for each step.
///
/// The steps have an order. Who reaches a step counts for every step before it too: nobody pays without having looked, so
/// the event of looking was lost, or is late. So no step ever has more visitors than the one before it, and the order in
/// which events arrive does not matter, nor how often they do: only the deepest step of each visitor is stored.
///
/// All clients of a funnel must use the same steps.
#[derive(Clone, Debug)]
pub struct Funnel<C> {
    connection: C,
    keys: Keys,
    steps: Steps,
    name: String,
    /// `None` until midnight.
    keep: Option<Duration>,
}

/// What reaching a step has led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reached {
    /// The visitor was counted for so many steps: 1, or more if events of earlier steps did not arrive.
    Counted {
        /// The steps.
        steps: usize,
    },
    /// He had been there before; nothing was changed.
    Known,
}

/// One step of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCount {
    /// The step.
    pub step: Label,
    /// How many different visitors reached it.
    pub visitors: u64,
    /// Their share of those of the step before, 0 to 1; 1 for the first step, 0 where nobody was.
    pub of_previous: f64,
    /// Their share of those of the first step, 0 to 1.
    pub of_first: f64,
}

impl<C: ConnectionLike + Clone> Funnel<C> {
    /// The funnel of the running day, `funnel:today`. It ends at midnight (UTC) by the server's clock.
    pub fn today(connection: C, keys: Keys, steps: Steps) -> Self {
        Self { connection, keys, steps, name: "today".into(), keep: None }
    }

    /// The funnel of one day, kept for 400 days after its first visitor.
    pub fn of_day(connection: C, keys: Keys, steps: Steps, day: Day) -> Self {
        Self { connection, keys, steps, name: day.to_string(), keep: Some(DEFAULT_KEEP) }
    }

    /// A visitor has reached a step. One round trip; O(steps). It can be repeated without harm.
    pub async fn reached(&self, visitor: &CustomerId, step: &Label) -> Result<Reached, FunnelError> {
        let steps = &self.steps.0;
        let index = steps.iter().position(|known| known == step);
        let index = index.ok_or_else(|| FunnelError::UnknownStep { step: step.clone() })?;
        let mut call = REACH.key(self.keys.funnel(&self.name));
        call.key(self.keys.funnel_visitors(&self.name));
        call.arg(visitor.as_str()).arg(index + 1);
        call.arg(self.keep.map_or_else(String::new, |keep| milliseconds(keep).to_string()));
        for step in &steps[..=index] {
            call.arg(step.as_str());
        }
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "REACHED" => Ok(Reached::Counted { steps: reply.next()? }),
            "KNOWN" => Ok(Reached::Known),
            _ => Err(reply.into_error().into()),
        }
    }

    /// How many reached each step, and what share of those before. One round trip.
    pub async fn report(&self) -> Result<Vec<StepCount>, StoreError> {
        let key = self.keys.funnel(&self.name);
        let mut read = redis::cmd("HMGET");
        read.arg(&key);
        for step in &self.steps.0 {
            read.arg(step.as_str());
        }
        let stored: Vec<Option<String>> = read.query_async(&mut self.connection.clone()).await?;
        let mut report: Vec<StepCount> = Vec::with_capacity(stored.len());
        for (step, text) in self.steps.0.iter().zip(stored) {
            let visitors = text.map_or(Ok(0), |text| {
                text.parse::<u64>().map_err(|_| StoreError::malformed(&key, step.as_str()))
            })?;
            report.push(StepCount {
                of_previous: share(visitors, report.last().map_or(visitors, |before| before.visitors)),
                of_first: share(visitors, report.first().map_or(visitors, |first| first.visitors)),
                step: step.clone(),
                visitors,
            });
        }
        Ok(report)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Why a visitor was not counted. Nothing was changed, unless the connection failed: then say it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FunnelError {
    /// The funnel has no such step.
    #[error("the funnel has no step {step}")]
    UnknownStep {
        /// The step.
        step: Label,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(FunnelError);
