use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::Script;

/// The time of recorded traffic, to find out what a limit would have let through of it before it is switched on:
/// [`Limiter::on_recorded_time`](super::Limiter::on_recorded_time).
///
/// Clones are one clock. It begins at zero; set it before each request. Times are of any epoch, up to 2^52 microseconds (142
/// years) after it; later ones become that.
#[derive(Clone, Debug, Default)]
pub struct RecordedTime(Arc<AtomicU64>);

impl RecordedTime {
    const LATEST: u64 = 1 << 52;

    /// From now on it is this long after the epoch.
    pub fn set(&self, since_epoch: Duration) {
        let microseconds = u64::try_from(since_epoch.as_micros()).unwrap_or(Self::LATEST);
        self.0.store(microseconds.min(Self::LATEST), Ordering::Relaxed);
    }

    pub(super) fn microseconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One algorithm's script, once for each kind of time: the same text behind another beginning.
pub(super) struct Scripts {
    live: Script,
    recorded: Script,
}

impl Scripts {
    /// A script that begins by asking for the time.
    pub(super) fn by_the_clock(body: &str) -> Self {
        Self::new(include_str!("scripts/now.lua"), include_str!("scripts/now_recorded.lua"), body)
    }

    pub(super) fn new(live: &str, recorded: &str, body: &str) -> Self {
        let script = |beginning: &str| Script::new(&[beginning, body].concat());
        Self { live: script(live), recorded: script(recorded) }
    }

    pub(super) fn on(&self, time: Option<&RecordedTime>) -> &Script {
        if time.is_some() { &self.recorded } else { &self.live }
    }
}
