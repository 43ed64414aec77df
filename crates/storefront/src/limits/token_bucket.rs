//! A token bucket as the generic cell rate algorithm (GCRA): instead of the tokens, one String keeps the time at which the
//! bucket is full again.
//!
//! The script computes in whole microseconds: a time of today (1.8 × 10^15) and at most two years, below 2^53 (9 × 10^15), so
//! nothing is rounded.

use std::sync::LazyLock;

use super::recorded_time::Scripts;
use super::{Limit, LimitError};

pub(super) static SCRIPTS: LazyLock<Scripts> =
    LazyLock::new(|| Scripts::by_the_clock(include_str!("scripts/token_bucket.lua")));

const YEAR: u64 = 365 * 24 * 60 * 60 * 1_000_000;

pub(super) fn check(limit: &Limit, burst: u32) -> Result<(), LimitError> {
    let (most, window) = (limit.most(), limit.window());
    if u64::from(most) > window.microseconds() {
        return Err(LimitError::TooFast { most, length: window.length() });
    }
    let [_, capacity] = times(limit, burst);
    if capacity > YEAR { Err(LimitError::TooSlow { burst }) } else { Ok(()) }
}

/// The microseconds in which one token comes, and those in which the bucket fills.
pub(super) fn times(limit: &Limit, burst: u32) -> [u64; 2] {
    // A limit of zero is refused before anybody asks for its interval.
    let interval = limit.window().microseconds().div_ceil(u64::from(limit.most().max(1)));
    [interval, interval.saturating_mul(burst.into())]
}
