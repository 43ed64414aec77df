use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;
use redis::aio::ConnectionLike;

use super::{DEFAULT_KEEP, Day, milliseconds};
use crate::script;
use crate::store::{Reply, StoreError, holds_store_error};
use crate::{Keys, UserId};

/// The highest number that gets a bit, 2^27 - 1. A bitmap is as long as its highest bit, so this one is 16 MiB; one number
/// of 2^32 would take half a gigabyte in one step.
pub const MOST_BIT: u64 = (1 << 27) - 1;

static VISIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("../scripts/types.lua"), include_str!("scripts/visit.lua")))
});

/// Visitors of one command.
const BATCH: usize = 1_000;

/// How to count different visitors.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Counting {
    /// A Set of their numbers: exact, can tell who it was, and takes most memory.
    Set,
    /// A bit for each number: exact; small where numbers are dense, wasteful where they are not.
    Bitmap,
    /// A HyperLogLog: at most 12 kB for any number of visitors, with a standard error of 0.81 %.
    HyperLogLog,
}

impl Counting {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Set, Self::Bitmap, Self::HyperLogLog];
}

/// The different visitors of each day. Adding one again changes nothing.
#[derive(Clone, Debug)]
pub struct UniqueVisitors<C> {
    connection: C,
    keys: Keys,
    counting: Counting,
    keep: Duration,
}

impl<C: ConnectionLike + Clone> UniqueVisitors<C> {
    /// Visitors under `keys`, counted this way, each day kept for 400 days.
    pub fn new(connection: C, keys: Keys, counting: Counting) -> Self {
        Self { connection, keys, counting, keep: DEFAULT_KEEP }
    }

    /// How long the visitors of a day are kept after the first of them: a second to ten years.
    #[must_use]
    pub fn with_keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Adds visitors to a day. One round trip for each thousand.
    pub async fn add(&self, day: Day, visitors: &[UserId]) -> Result<(), VisitorError> {
        if self.counting == Counting::Bitmap {
            check_bits(visitors)?;
        }
        let key = self.keys.unique_visitors(self.counting, day);
        let add = match self.counting {
            Counting::Set => "SADD",
            Counting::Bitmap => "SETBIT",
            Counting::HyperLogLog => "PFADD",
        };
        Ok(visit(&self.connection, &key, add, self.keep, visitors).await?)
    }

    /// How many different visitors a day had. One round trip; O(1), for a bitmap O(its length).
    pub async fn count(&self, day: Day) -> Result<u64, StoreError> {
        let command = match self.counting {
            Counting::Set => "SCARD",
            Counting::Bitmap => "BITCOUNT",
            Counting::HyperLogLog => "PFCOUNT",
        };
        let key = self.keys.unique_visitors(self.counting, day);
        Ok(redis::cmd(command).arg(key).query_async(&mut self.connection.clone()).await?)
    }
}

pub(super) fn check_bits(visitors: &[UserId]) -> Result<(), VisitorError> {
    match visitors.iter().find(|visitor| visitor.get() > MOST_BIT) {
        Some(visitor) => Err(VisitorError::NumberTooHigh { visitor: *visitor }),
        None => Ok(()),
    }
}

/// Adds visitors with this command, in batches. Each is a script, not a transaction: when the slot has moved, a cluster's
/// client can send a script again, but hands on that a transaction was aborted.
pub(super) async fn visit<C: ConnectionLike + Clone>(
    connection: &C,
    key: &str,
    add: &str,
    keep: Duration,
    visitors: &[UserId],
) -> Result<(), StoreError> {
    for batch in visitors.chunks(BATCH) {
        let mut call = VISIT.key(key);
        call.arg(add).arg(milliseconds(keep));
        for visitor in batch {
            call.arg(visitor.get());
        }
        let reply: Reply = script::run(&call, connection).await?;
        if reply.outcome != "ADDED" {
            return Err(reply.into_error());
        }
    }
    Ok(())
}

/// Why visitors were not added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VisitorError {
    /// A bitmap for this number would be too long. Nothing was added.
    #[error("user {visitor} has no bit: the highest number of a bitmap is {MOST_BIT}")]
    NumberTooHigh {
        /// Whose number it is.
        visitor: UserId,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(VisitorError);
