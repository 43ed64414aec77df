//! Ways to count requests, and what they admit when all ask together.

use futures_util::future::try_join_all;
use lab_connection::{Connection, Target};
use lab_runner::table::Facts;
use lab_runner::{LessonError, Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::limits::{Algorithm, Limit, Limiter, Window};
use storefront::{ApiKey, Keys};
use tokio::sync::Barrier;

use super::{failed, refused};
use crate::names::known;

/// Clients that ask together, and how many of them the limit allows.
const CLIENTS: usize = 20;
const MOST: u32 = 5;

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

    fn caller(self) -> ApiKey {
        match self {
            Self::GetThenIncr => known("get-then-incr"),
            Self::OneStep => known("one-step"),
        }
    }

    /// Lets so many clients ask together, and returns how many were admitted.
    pub async fn crowd(
        self,
        target: &Target,
        keys: &Keys,
        clients: usize,
        most: u32,
    ) -> Result<usize, LessonError> {
        let together = Barrier::new(clients);
        let limit = Limit::new(most, Window::minute()).map_err(|error| refused(&error))?;
        let connection = target.connection();
        let limiter = Limiter::new(connection.clone(), keys.clone(), limit, Algorithm::FixedWindow)
            .map_err(|error| refused(&error))?;
        let requests = (0..clients).map(|_| self.ask(connection.clone(), &limiter, &together));
        let admitted = try_join_all(requests.collect::<Vec<_>>()).await?;
        Ok(admitted.into_iter().filter(|admitted| *admitted).count())
    }

    async fn ask(
        self,
        redis: Connection,
        limiter: &Limiter<Connection>,
        together: &Barrier,
    ) -> Result<bool, LessonError> {
        match self {
            Self::GetThenIncr => {
                let key = limiter.key_of(&self.caller());
                ask_then_count(redis, &key, limiter.limit().most(), together).await
            }
            Self::OneStep => Ok(limiter.admit(&self.caller()).await.map_err(failed)?.admitted),
        }
    }
}

async fn ask_then_count(
    mut redis: Connection,
    key: &str,
    most: u32,
    together: &Barrier,
) -> Result<bool, LessonError> {
    let count: u32 = redis.get(key).await?.and_then(|count| count.parse().ok()).unwrap_or(0);
    together.wait().await;
    if count >= most {
        return Ok(false);
    }
    redis.incr(key, 1).await?;
    Ok(true)
}

/// The keys that this part writes.
pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    CountRequests::ALL.map(|count| keys.rate_limit(&count.caller(), &Window::minute())).to_vec()
}

pub(super) async fn ask_together(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "How often may somebody call us? Break it: GET his counter, compare, and INCR if he is below his limit. {CLIENTS} \
         requests arrive together where {MOST} are allowed, and all of them ask before any of them counts.",
    ));
    let mut facts = Facts::new("Asked together", &["approach", "limit", "admitted", "too many"]);
    let mut results = Vec::new();
    for count in CountRequests::ALL {
        let admitted = count.crowd(page.target(), keys, CLIENTS, MOST).await?;
        let too_many = admitted.saturating_sub(MOST as usize);
        let limit = MOST as usize;
        facts = facts.row([
            count.label().to_owned(),
            limit.to_string(),
            admitted.to_string(),
            too_many.to_string(),
        ]);
        results.push(admitted);
    }
    page.facts(facts);
    page.check_eq(
        "a limiter that looks first lets everybody in; one that looks and counts in one step lets five in",
        &results,
        &vec![CLIENTS, MOST as usize],
    )?;
    page.start_clean(&keys_of(keys)).await
}
