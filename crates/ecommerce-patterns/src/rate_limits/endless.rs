//! Ways to begin a window, and what is left when clients die meanwhile.

use lab_connection::Target;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::fixed_window::FixedWindowAlgorithm;
use patterns::limit::Limit;
use redis::AsyncTypedCommands;

use super::{MINUTE, admit, key_of, limiter};

/// Callers, each with a client that makes their first request; every fourth client dies after its first round trip.
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

    fn caller(self, number: usize) -> String {
        match self {
            Self::IncrThenExpire => format!("in-two-steps-{number}"),
            Self::OneStep => format!("in-one-step-{number}"),
        }
    }

    fn keys(self, target: &Target) -> Vec<String> {
        (0..CALLERS).map(|number| key_of(target.prefix(), &self.caller(number), "minute")).collect()
    }

    /// Lets the clients work and die, and returns how many counters have no end.
    pub async fn clients(self, target: &Target) -> Result<usize, LessonError> {
        let mut redis = target.connection();
        let limit = Limit::new("minute", 100, MINUTE);
        let limiter = limiter::<_, FixedWindowAlgorithm>(redis.clone(), target.prefix(), limit)?;
        for (number, key) in self.keys(target).iter().enumerate() {
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
                    let _ = admit(&limiter, &self.caller(number)).await?;
                }
            }
        }
        let mut endless = 0;
        for key in self.keys(target) {
            let ttl: i64 = redis::cmd("PTTL").arg(key).query_async(&mut redis).await?;
            endless += usize::from(ttl == -1);
        }
        Ok(endless)
    }
}

/// The keys that this part writes.
pub(super) fn keys_of(target: &Target) -> Vec<String> {
    StartWindow::ALL.map(|start| start.keys(target)).concat()
}

pub(super) async fn die_between(ctx: &LessonContext, target: &Target) -> Outcome {
    let mut redis = ctx.redis();
    ctx.step(
        "INCR by itself asks and counts in one step: it answers with the count. But the window needs an end, and often the \
         client gives it one in a second step, if it was the first. When all goes well, that looks like this:",
    ).await?;
    let key = key_of(target.prefix(), &StartWindow::IncrThenExpire.caller(0), "minute");
    let count: u32 = redis::cmd("INCR").arg(&key).query_async(&mut redis).await?;
    let set = redis.expire(&key, 60).await?;
    ctx.check("the first one starts the window", count == 1 && set)?;
    ctx.start_clean(&[key]).await?;
    ctx.step(format!(
        "Break it: clients of {CALLERS} callers make a first request, and every {DIES}th of them is killed after its first \
         round trip, between INCR and EXPIRE. Its counter has no end. Nobody notices until that caller reaches the limit, \
         months later, and is refused forever.",
    )).await?;
    let died = CALLERS / DIES;
    let mut table =
        Table::new("Clients that die", &["approach", "callers", "clients that died", "counters without end"]);
    let mut results = Vec::new();
    for start in StartWindow::ALL {
        let endless = start.clients(target).await?;
        let numbers = [CALLERS, died, endless].map(|number| number.to_string());
        table = table.row(std::iter::once(start.label().to_owned()).chain(numbers));
        results.push(endless);
    }
    ctx.table(table);
    ctx.check_eq(
        "each client that died between two steps left a counter without end; there is nothing between one step",
        &results,
        &vec![died, 0],
    )?;
    ctx.start_clean(&keys_of(target)).await
}
