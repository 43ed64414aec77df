//! Times as scripts and Redis take them: whole milliseconds, within bounds that no caller can leave.

use std::time::Duration;

/// A millisecond to a year: far beyond any cart, session or hold, far below what PEXPIRE refuses and where a double is no
/// longer exact.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;
    u64::try_from(time.as_millis()).unwrap_or(YEAR).clamp(1, YEAR)
}
