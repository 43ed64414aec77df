//! Passes of a bench: each begins with its data in the same state, and only the doing is timed.

use std::hint::black_box;
use std::time::Duration;

use criterion::Bencher;
use lab_connection::{Failure, Target};
use lab_runner::LessonError;
use tokio::runtime::Runtime;

/// Passes of one thing. Criterion's closures cannot fail, so the first error is kept until [`Passes::ended`].
pub struct Passes<'a, F> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) target: &'a Target,
    pub(crate) pass: F,
    pub(crate) failed: Option<LessonError>,
}

impl<F: AsyncFnMut() -> Result<Duration, LessonError>> Passes<'_, F> {
    /// As many passes as criterion asks for, and the sum of what they say they took. After an error the rest takes no
    /// time, which criterion refuses to report.
    pub fn time(&mut self, bencher: &mut Bencher<'_>) {
        let Self { runtime, pass, failed, .. } = self;
        bencher.iter_custom(|passes| {
            runtime.block_on(async {
                let mut took = Duration::ZERO;
                for _ in 0..passes {
                    // Seen by the optimiser as a thing that may change, or the passes that are left out would take no
                    // time at all, and criterion would warm up forever.
                    if black_box(&*failed).is_some() {
                        continue;
                    }
                    match pass().await {
                        Ok(time) => took += time,
                        Err(error) => *failed = Some(error),
                    }
                }
                if failed.is_some() { Duration::ZERO } else { took }
            })
        });
    }

    /// What went wrong, if anything did.
    ///
    /// # Errors
    ///
    /// The first error of a pass.
    pub fn ended(self) -> Result<(), Failure> {
        self.failed.map_or(Ok(()), |error| Err(explain(error, self.target)))
    }
}

/// In the words of every other failure of this workspace.
pub(crate) fn explain(error: LessonError, target: &Target) -> Failure {
    error.explain(target, "The approaches cannot be benched.")
}
