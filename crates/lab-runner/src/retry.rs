//! Waiting for what a deadline or another client brings about.

use std::time::{Duration, Instant};

use crate::error::{LessonError, Outcome};

const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// How long a lesson looks again and again, off the page: `while it is not so { retry.again(…).await? }`.
pub struct Retry {
    begun: Instant,
    time: Duration,
    at_its_end: bool,
}

impl Retry {
    /// Retry for this long from now.
    #[must_use]
    pub fn within(time: Duration) -> Self {
        Self { begun: Instant::now(), time, at_its_end: false }
    }

    /// Waits a moment before the next look. After the last one the lesson ends with `claim`, which says what should have come
    /// true.
    pub async fn again(&mut self, claim: &str) -> Outcome {
        if self.at_its_end {
            return Err(LessonError::Check(claim.to_owned()));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        // The clock is read before the look, so that a slow answer still counts.
        self.at_its_end = self.begun.elapsed() > self.time;
        Ok(())
    }
}
