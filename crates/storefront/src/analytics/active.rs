use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;
use redis::aio::ConnectionLike;

use super::visitors::{VisitorError, check_bits, visit};
use super::{DEFAULT_KEEP, Day};
use crate::script;
use crate::store::{Reply, StoreError, holds_store_error};
use crate::{Keys, UserId};

static RETURNED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/returned.lua")));

/// The most days that [`ActiveUsers::retention`] looks ahead. Each takes one pass over a bitmap, and everybody else waits.
pub const MOST_DAYS: u32 = 31;

/// Who was there on which day: one bit for each user and day.
///
/// A bit that is set again stays set, so late and repeated events do no harm. On a cluster all days are in one slot.
#[derive(Clone, Debug)]
pub struct ActiveUsers<C> {
    connection: C,
    keys: Keys,
    keep: Duration,
}

/// Of those who were there on one day, how many were there so many days later.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Retention {
    /// How many were there on the first day.
    pub cohort: u64,
    /// How many of them came on the next day, on the one after it, and so on.
    pub returned: Vec<u64>,
}

impl Retention {
    /// The share of the cohort that was there `days` days later, 0 to 1; `None` if that was not asked for.
    #[must_use]
    pub fn share(&self, days: usize) -> Option<f64> {
        let returned = *self.returned.get(days.checked_sub(1)?)?;
        Some(if self.cohort == 0 { 0.0 } else { returned as f64 / self.cohort as f64 })
    }
}

impl<C: ConnectionLike + Clone> ActiveUsers<C> {
    /// The users under `keys`, each day kept for 400 days.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys, keep: DEFAULT_KEEP }
    }

    /// How long a day is kept after its first user: a second to ten years.
    #[must_use]
    pub fn with_keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// These users were there on this day. One round trip for each thousand.
    pub async fn add(&self, day: Day, users: &[UserId]) -> Result<(), VisitorError> {
        check_bits(users)?;
        let key = self.keys.active_users(day);
        Ok(visit(&self.connection, &key, "SETBIT", self.keep, users).await?)
    }

    /// Of those who were there on `first`, how many were there 1, 2, … `days` days later. One round trip; O(days * length of
    /// the bitmaps).
    pub async fn retention(&self, first: Day, days: u32) -> Result<Retention, RetentionError> {
        if days > MOST_DAYS {
            return Err(RetentionError::TooManyDays { days });
        }
        let mut call = RETURNED.key(self.keys.active_users_returned());
        call.key(self.keys.active_users(first));
        for later in 1..=days.cast_signed() {
            let day = first.plus(later).ok_or(RetentionError::NoSuchDay)?;
            call.key(self.keys.active_users(day));
        }
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        let cohort = reply.next()?;
        let returned = (0..days).map(|_| reply.next()).collect::<Result<_, _>>()?;
        Ok(Retention { cohort, returned })
    }
}

/// Why nothing can be said of who came back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// More than [`MOST_DAYS`].
    #[error("{days} days are too many: the most is {MOST_DAYS}")]
    TooManyDays {
        /// How many were asked for.
        days: u32,
    },
    /// After [`Day::MAX`].
    #[error("there are no days after {}", Day::MAX)]
    NoSuchDay,
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(RetentionError);
