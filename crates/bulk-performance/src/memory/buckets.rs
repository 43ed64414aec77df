//! Where a user is when users are kept in buckets, and the keys of a bucket.

use std::ops::RangeInclusive;

use crate::keys::Keys;

/// Buckets of so many users each.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    pub(crate) keys: Keys,
    pub(crate) size: u64,
}

impl Buckets {
    /// The bucket of a user, and the place in it.
    pub(crate) fn place(&self, number: u64) -> (u64, u64) {
        (number / self.size, number % self.size)
    }

    /// The buckets of users 1 to `records`.
    pub(crate) fn of_records(&self, records: u64) -> RangeInclusive<u64> {
        self.place(1).0..=self.place(records).0
    }
}
