//! Ways to begin a window, and what is left when clients die meanwhile.

use lab_connection::Target;
use lab_runner::table::Facts;
use lab_runner::{LessonError, Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::limits::{Algorithm, Limit, Limiter, Window};
use storefront::{ApiKey, Keys};

use super::{failed, refused};
use crate::names::known;

/// Callers, each with a client that makes his first request; every fourth client dies after its first round trip.
const CALLERS: usize = 20;
const DIES: usize = 4;

/// How a counter gets its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartWindow {
    /// INCR, and EXPIRE if it answers 1.
    IncrThenExpire,
    /// The limiter's script, whose SET has the TTL in it.
    OneStep,
}

impl StartWindow {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::IncrThenExpire, Self::OneStep];

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::IncrThenExpire => "INCR, then EXPIRE",
            Self::OneStep => "one step",
        }
    }

    fn caller(self, number: usize) -> ApiKey {
        match self {
            Self::IncrThenExpire => known(&format!("in-two-steps-{number}")),
            Self::OneStep => known(&format!("in-one-step-{number}")),
        }
    }

    fn keys(self, keys: &Keys) -> Vec<String> {
        (0..CALLERS).map(|number| keys.rate_limit(&self.caller(number), &Window::minute())).collect()
    }

    /// Lets the clients work and die, and returns how many counters have no end.
    pub async fn clients(self, target: &Target, keys: &Keys) -> Result<usize, LessonError> {
        let limit = Limit::new(100, Window::minute()).map_err(|error| refused(&error))?;
        for (number, key) in self.keys(keys).iter().enumerate() {
            let mut redis = target.connection();
            let dies = number.is_multiple_of(DIES);
            match self {
                Self::IncrThenExpire => {
                    let first = redis.incr(key, 1).await? == 1;
                    if first && !dies {
                        redis.expire(key, 60).await?;
                    }
                }
                // Its first round trip is its only one, so dying after it comes too late to do harm.
                Self::OneStep => {
                    let limiter = Limiter::new(redis, keys.clone(), limit.clone(), Algorithm::FixedWindow)
                        .map_err(|error| refused(&error))?;
                    let _ = limiter.admit(&self.caller(number)).await.map_err(failed)?;
                }
            }
        }
        let (mut endless, mut redis) = (0, target.connection());
        for key in self.keys(keys) {
            let ttl: i64 = redis::cmd("PTTL").arg(key).query_async(&mut redis).await?;
            endless += usize::from(ttl == -1);
        }
        Ok(endless)
    }
}

/// The keys that this part writes.
pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    StartWindow::ALL.map(|start| start.keys(keys)).concat()
}

pub(super) async fn die_between(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    page.say(
        "INCR by itself asks and counts in one step: it answers with the count. But the window needs an end, and often the \
         client gives it one in a second step, if it was the first. So it looks when all goes well:",
    );
    let key = keys.rate_limit(&StartWindow::IncrThenExpire.caller(0), &Window::minute());
    let count: u32 = redis::cmd("INCR").arg(&key).query_async(&mut redis).await?;
    let set = redis.expire(&key, 60).await?;
    page.check("the first one starts the window", count == 1 && set)?;
    page.start_clean(&[key]).await?;
    page.say(format!(
        "Break it: clients of {CALLERS} callers make a first request, and every {DIES}th of them is killed after its first \
         round trip: between INCR and EXPIRE. Its counter has no end. Nobody notices, until months later that caller reaches \
         the limit, and is refused for ever.",
    ));
    let died = CALLERS / DIES;
    let mut facts =
        Facts::new("Clients that die", &["approach", "callers", "clients that died", "counters without end"]);
    let mut results = Vec::new();
    for start in StartWindow::ALL {
        let endless = start.clients(page.target(), keys).await?;
        let numbers = [CALLERS, died, endless].map(|number| number.to_string());
        facts = facts.row(std::iter::once(start.label().to_owned()).chain(numbers));
        results.push(endless);
    }
    page.facts(facts);
    page.check_eq(
        "each client that died between two steps left a counter without end; there is nothing between one step",
        &results,
        &vec![died, 0],
    )?;
    page.start_clean(&keys_of(keys)).await
}
