//! Active users: who was active on which day, and who comes back (retention).
//!
//! The naive way keeps a Set of users for each day and intersects them: at a million users, about 50 MB a day. Here a day is a
//! bitmap with one bit for each user: 125 kB. BITOP AND keeps the users of both days, and BITCOUNT counts them.
//!
//! A user is a number here, and small numbers are best: a bitmap is as long as its highest number. Use the row number of your
//! user table. For any other visitor IDs, [`crate::analytics`] counts within 1%.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `active_users:{active_users}:day:2024-01-01` | String | a bit for each user who was active |
//! | `active_users:{active_users}:returned` | String | an intersection, only while a script runs |
//!
//! - **Promise**: the numbers are exact. Adding a user again changes nothing.
//! - **Cost**: one round trip for each thousand users added. Retention takes one call for each day, all in flight at once;
//!   O(length of the bitmaps), 0.02 ms at 100,000 users.
//! - **Memory**: the highest number, divided by 8, in bytes for each day, at most 16 MiB; kept for 90 days. All days are in one
//!   slot, so on a cluster one node holds them.
//! - **Faults**: every call can be sent again. If a day is evicted, it has no users; if a failover loses the last users, add
//!   them again. No time is stored.
//!
//! ```
//! use patterns::active_users::ActiveUsers;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let active = ActiveUsers::new(connection, "");
//! active.add("2024-01-01", &[1, 2, 3, 4]).await?;
//! active.add("2024-01-02", &[2, 3, 4, 5]).await?;
//! let retention = active.retention("2024-01-01", &["2024-01-02"]).await?;
//! assert_eq!((retention.cohort, retention.returned[0]), (4, 3));
//! assert_eq!(retention.share(1), Some(0.75));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id, escape};
use crate::script::{Reply, Script, StoreError, by_operation, join_all, milliseconds, send};

/// The highest number of a user, 2^27 - 1. Its bitmap is 16 MiB long; a number of 2^32 would take half a gigabyte at once.
pub const MAX_USER: u64 = (1 << 27) - 1;
/// The most days that [`ActiveUsers::retention`] looks at.
pub const MAX_DAYS: usize = 100;
/// Users of one call.
const BATCH: usize = 1_000;

const FILE: &str = include_str!("active_users.lua");

/// Marks users as active on a day.
pub static ADD: Script = Script::new("active_users.lua: add", FILE, &["add"]);
/// Counts the users of one day who were also active on another day.
pub static RETURNED: Script = Script::new("active_users.lua: returned", FILE, &["returned"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&ADD, &RETURNED])
}

/// The users of all days under a prefix.
#[derive(Clone, Debug)]
pub struct ActiveUsers<C> {
    connection: C,
    prefix: String,
    keep: Duration,
}

/// Of the users of one day, how many were there on others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Retention {
    /// How many were there on the first day.
    pub cohort: u64,
    /// How many of them were active on each of the other days, in the order of your call.
    pub returned: Vec<u64>,
}

impl Retention {
    /// The share of the cohort that was active on the other day at this position, counted from 1: 0 to 1. `None` if you did not
    /// ask for it.
    #[must_use]
    pub fn share(&self, position: usize) -> Option<f64> {
        let returned = *self.returned.get(position.checked_sub(1)?)?;
        Some(if self.cohort == 0 { 0.0 } else { returned as f64 / self.cohort as f64 })
    }
}

impl<C: ConnectionLike + Clone> ActiveUsers<C> {
    /// Days that are kept for 90 days.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), keep: Duration::from_hours(90 * 24) }
    }

    /// How long a day is kept after its first user: a millisecond to a year.
    #[must_use]
    pub fn with_keep(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// Records that these users were active on this day. A day is any name you pick. One round trip for each thousand.
    pub async fn add(&self, day: &str, users: &[u64]) -> Result<(), ActiveUsersError> {
        if let Some(user) = users.iter().find(|user| **user > MAX_USER) {
            return Err(ActiveUsersError::NumberTooHigh { user: *user });
        }
        let key = self.key(day)?;
        for batch in users.chunks(BATCH) {
            let call = ADD.call(&[&key]).arg(milliseconds(self.keep)).arg(batch);
            call.run::<Reply>(&self.connection).await?.must_be("ADDED")?;
        }
        Ok(())
    }

    /// How many users were there on a day. One round trip.
    pub async fn count(&self, day: &str) -> Result<u64, StoreError> {
        send(&self.connection, redis::cmd("BITCOUNT").arg(self.key(day)?)).await
    }

    /// Of the users who were active on `first`, how many were active on each of the `later` days, at most [`MAX_DAYS`]. One
    /// call for each day, all in flight at once.
    pub async fn retention(&self, first: &str, later: &[&str]) -> Result<Retention, ActiveUsersError> {
        if later.len() > MAX_DAYS {
            return Err(ActiveUsersError::TooManyDays { days: later.len() });
        }
        let (key, intersection) = (self.key(first)?, self.root()?.companion("returned"));
        let mut calls = Vec::with_capacity(later.len());
        for day in later {
            calls.push(RETURNED.call(&[&key, &self.key(day)?, &intersection]));
        }
        let cohort = self.count(first).await?;
        let mut returned = Vec::with_capacity(later.len());
        for reply in join_all(calls.iter().map(|call| call.run::<Reply>(&self.connection))).await {
            let mut reply = reply?;
            reply.must_be("RETURNED")?;
            returned.push(reply.next()?);
        }
        Ok(Retention { cohort, returned })
    }

    /// The name of a day's bitmap.
    pub fn key(&self, day: &str) -> Result<String, StoreError> {
        check_id(day)?;
        // The prefix keeps a day called "returned" apart from the intersections.
        Ok(self.root()?.companion(&format!("day:{}", escape(day))))
    }

    fn root(&self) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "active_users", &[])?)
    }
}

/// Why users were not added, or not counted. Nothing was changed, unless the connection failed: then send it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActiveUsersError {
    /// A bitmap for this number would be too long.
    #[error("user {user} has no bit: the highest number is {MAX_USER}")]
    NumberTooHigh {
        /// The number.
        user: u64,
    },
    /// More than [`MAX_DAYS`].
    #[error("{days} days are too many: the maximum is {MAX_DAYS}")]
    TooManyDays {
        /// How many you asked for.
        days: usize,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
