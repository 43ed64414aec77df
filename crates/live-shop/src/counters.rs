//! Numbers of this process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;

/// Counters of this process.
#[derive(Debug, Default)]
pub struct Counters {
    /// Responses by the first digit of their status.
    pub(crate) responses: [AtomicU64; 6],
    pub(crate) microseconds: AtomicU64,
    pub(crate) untold: AtomicU64,
    pub(crate) uncounted: AtomicU64,
    pub(crate) follower_errors: AtomicU64,
}

impl Counters {
    /// A change was not published.
    pub fn untold(&self) {
        self.untold.fetch_add(1, Ordering::Relaxed);
    }

    /// An event was not counted for the dashboard.
    pub fn uncounted(&self) {
        self.uncounted.fetch_add(1, Ordering::Relaxed);
    }

    /// The stream of changes could not be read.
    pub fn follower_error(&self) {
        self.follower_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// A response was sent, after this time.
    pub fn response(&self, status: StatusCode, time: Duration) {
        if let Some(count) = self.responses.get(usize::from(status.as_u16() / 100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(micros, Ordering::Relaxed);
    }
}
