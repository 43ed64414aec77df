use std::collections::BTreeSet;
use std::sync::LazyLock;

use redis::Script;
use redis::aio::ConnectionLike;

use super::memory;
use crate::script;
use crate::store::{Reply, StoreError, holds_store_error};
use crate::together::together;
use crate::{CustomerId, Keys, Label};

static LIKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/like.lua")));

/// The most interests of one customer.
pub const MOST_INTERESTS: usize = 50;
/// How many customers are remembered for each interest: the newest.
const MOST_INTERESTED: usize = 1_000;

/// What each customer likes, and, the other way round, who likes a thing.
///
/// The Set of a customer is the truth. The index by interest only suggests whom to look at: it holds the newest 1 000
/// customers of each interest, in a slot of its own on a cluster, and is written before the Set and cleared after it. So who
/// dies in between leaves at worst an entry that leads to somebody who likes something else.
#[derive(Clone, Debug)]
pub struct Interests<C> {
    connection: C,
    keys: Keys,
}

impl<C: ConnectionLike + Clone> Interests<C> {
    /// The interests under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// A customer likes these too; answers how many were new. Two round trips; on a cluster the first is one for each
    /// interest, all in flight at once. It can be repeated.
    pub async fn add(&self, customer: &CustomerId, interests: &[Label]) -> Result<usize, InterestError> {
        let distinct: BTreeSet<&Label> = interests.iter().collect();
        if distinct.len() > MOST_INTERESTS {
            return Err(InterestError::TooMany);
        }
        if distinct.is_empty() {
            return Ok(0);
        }
        let index: Vec<String> = distinct.iter().map(|interest| self.keys.interested(interest)).collect();
        let layout = self.keys.layout();
        memory::remember(&self.connection, layout, &index, MOST_INTERESTED, &[customer.as_str()]).await?;
        let mut call = LIKE.key(self.keys.interests(customer));
        call.arg(MOST_INTERESTS);
        for interest in distinct {
            call.arg(interest.as_str());
        }
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "LIKED" => Ok(reply.next()?),
            "TOO_MANY" => Err(InterestError::TooMany),
            _ => Err(reply.into_error().into()),
        }
    }

    /// A customer likes this no longer; `false` if he did not before. Two round trips.
    pub async fn remove(&self, customer: &CustomerId, interest: &Label) -> Result<bool, StoreError> {
        let mut connection = self.connection.clone();
        let mut srem = redis::cmd("SREM");
        srem.arg(self.keys.interests(customer)).arg(interest.as_str());
        let was_there = srem.query_async(&mut connection).await?;
        let mut zrem = redis::cmd("ZREM");
        zrem.arg(self.keys.interested(interest)).arg(customer.as_str()).exec_async(&mut connection).await?;
        Ok(was_there)
    }

    /// What a customer likes. One round trip.
    pub async fn of(&self, customer: &CustomerId) -> Result<BTreeSet<Label>, StoreError> {
        let key = self.keys.interests(customer);
        let stored: BTreeSet<String> =
            redis::cmd("SMEMBERS").arg(&key).query_async(&mut self.connection.clone()).await?;
        stored.iter().map(|label| label.parse().map_err(|_| StoreError::malformed(&key, label))).collect()
    }

    /// Who likes these, the newest `count` of each. One round trip; on a cluster one for each, all in flight at once.
    pub(super) async fn interested(
        &self,
        interests: &BTreeSet<String>,
        count: usize,
    ) -> Result<Vec<Vec<String>>, StoreError> {
        let labels = interests.iter().filter_map(|interest| interest.parse().ok());
        let read = labels.map(|label: Label| memory::newest(self.keys.interested(&label), count)).collect();
        Ok(together(&self.connection, self.keys.layout(), read).await?)
    }
}

/// Why interests were not added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterestError {
    /// There would be more than [`MOST_INTERESTS`].
    #[error("a customer has at most {MOST_INTERESTS} interests")]
    TooMany,
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(InterestError);
