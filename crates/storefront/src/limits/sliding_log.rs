//! A Sorted Set with a member for each admitted request.

use std::sync::LazyLock;

use super::recorded_time::Scripts;
use super::{Limit, LimitError};

/// The most requests of a window that are logged one by one: about a megabyte for each caller. Whoever allows more does not
/// need to know each of them; a [`TokenBucket`](super::Algorithm::TokenBucket) will do.
pub const MOST_LOGGED: u32 = 10_000;

pub(super) static SCRIPTS: LazyLock<Scripts> =
    LazyLock::new(|| Scripts::by_the_clock(include_str!("scripts/sliding_log.lua")));

pub(super) fn check(limit: &Limit) -> Result<(), LimitError> {
    match limit.most() {
        0..=MOST_LOGGED => Ok(()),
        most => Err(LimitError::TooMany { most, limit: MOST_LOGGED }),
    }
}
