//! Two accounts, and what is to be moved between them.

use crate::keys::Keys;

/// Two accounts, between which the same sum is moved many times. The first one begins with exactly enough.
#[derive(Clone, Debug)]
pub struct Accounts {
    from: String,
    to: String,
    times: usize,
    cents: i64,
}

impl Accounts {
    /// Moves `cents` from ada to ben, `times` times.
    #[must_use]
    pub fn new(times: usize, cents: i64, keys: &Keys) -> Self {
        Self { from: keys.account("ada"), to: keys.account("ben"), times, cents }
    }

    /// The key of the account that pays.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The key of the account that is paid.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.to
    }

    /// How often.
    #[must_use]
    pub fn times(&self) -> usize {
        self.times
    }

    /// How much each time, in cents.
    #[must_use]
    pub fn cents(&self) -> i64 {
        self.cents
    }

    /// What the first account begins with, in cents; the second one begins with nothing.
    #[must_use]
    pub fn all_cents(&self) -> i64 {
        i64::try_from(self.times).unwrap_or(i64::MAX).saturating_mul(self.cents)
    }
}
