//! Ways to count requests, and what they admit when all ask together.

use futures_util::future::try_join_all;
use lab_connection::{Connection, Target};
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::fixed_window::{FixedWindow, FixedWindowAlgorithm};
use patterns::limit::Limit;
use redis::AsyncTypedCommands;
use tokio::sync::Barrier;

use super::{MINUTE, admit, key_of, limiter};

/// Clients that ask together, and how many of them the limit allows.
const CLIENTS: usize = 20;
const QUOTA: u32 = 5;

/// How a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountRequests {
    /// GET, compare, INCR; every client has asked before any of them counts.
    GetThenIncr,
    /// The limiter's script.
    OneStep,
}

impl CountRequests {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::GetThenIncr, Self::OneStep];

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::GetThenIncr => "GET, compare, INCR",
            Self::OneStep => "one step",
        }
    }

    fn caller(self) -> &'static str {
        match self {
            Self::GetThenIncr => "get-then-incr",
            Self::OneStep => "one-step",
        }
    }

    /// Lets so many clients ask together, and returns how many were admitted.
    pub async fn crowd(self, target: &Target, clients: usize, quota: u32) -> Result<usize, LessonError> {
        let together = Barrier::new(clients);
        let connection = target.connection();
        let limit = Limit::new("minute", quota, MINUTE);
        let limiter = limiter::<_, FixedWindowAlgorithm>(connection.clone(), target.prefix(), limit)?;
        let key = key_of(target.prefix(), self.caller(), "minute");
        let requests = (0..clients).map(|_| self.ask(connection.clone(), &limiter, &key, &together));
        let admitted = try_join_all(requests.collect::<Vec<_>>()).await?;
        Ok(admitted.into_iter().filter(|admitted| *admitted).count())
    }

    async fn ask(
        self,
        redis: Connection,
        limiter: &FixedWindow<Connection>,
        key: &str,
        together: &Barrier,
    ) -> Result<bool, LessonError> {
        match self {
            Self::GetThenIncr => ask_then_count(redis, key, limiter.limits()[0].quota(), together).await,
            Self::OneStep => Ok(admit(limiter, self.caller()).await?.admitted),
        }
    }
}

async fn ask_then_count(
    mut redis: Connection,
    key: &str,
    quota: u32,
    together: &Barrier,
) -> Result<bool, LessonError> {
    let count: u32 = redis.get(key).await?.and_then(|count| count.parse().ok()).unwrap_or(0);
    together.wait().await;
    if count >= quota {
        return Ok(false);
    }
    redis.incr(key, 1).await?;
    Ok(true)
}

/// The keys that this part writes.
pub(super) fn keys_of(target: &Target) -> Vec<String> {
    CountRequests::ALL.map(|count| key_of(target.prefix(), count.caller(), "minute")).to_vec()
}

pub(super) async fn ask_together(ctx: &LessonContext, target: &Target) -> Outcome {
    ctx.step(format!(
        "How often may somebody call us? Break it: GET the caller's counter, compare, and INCR if it is below the limit. {CLIENTS} \
         requests arrive together where {QUOTA} are allowed, and all of them ask before any of them counts.",
    )).await?;
    let mut table = Table::new("Recording together", &["approach", "limit", "admitted", "too many"]);
    let mut results = Vec::new();
    for count in CountRequests::ALL {
        let admitted = count.crowd(target, CLIENTS, QUOTA).await?;
        let too_many = admitted.saturating_sub(QUOTA as usize);
        table = table.row([
            count.label().to_owned(),
            QUOTA.to_string(),
            admitted.to_string(),
            too_many.to_string(),
        ]);
        results.push(admitted);
    }
    ctx.table(table);
    ctx.check_eq(
        "a limiter that looks first lets everybody in; one that looks and counts in one step lets five in",
        &results,
        &vec![CLIENTS, QUOTA as usize],
    )?;
    ctx.start_clean(&keys_of(target)).await
}
