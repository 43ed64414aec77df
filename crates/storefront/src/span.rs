//! Times as scripts and Redis take them: whole milliseconds, within bounds that no caller can leave.

use std::time::Duration;

/// A millisecond to a year: far beyond any cart, session or hold, far below what PEXPIRE refuses and where a double is no
/// longer exact.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;
    within(time, 1, YEAR)
}

/// A second to ten years: how long a history is kept.
pub(crate) fn history_milliseconds(time: Duration) -> u64 {
    const TEN_YEARS: u64 = 3_653 * 24 * 60 * 60 * 1000;
    within(time, 1_000, TEN_YEARS)
}

fn within(time: Duration, least: u64, most: u64) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(most).clamp(least, most)
}
