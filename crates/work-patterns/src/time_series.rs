//! STUB: replace this file.
//!
//! `cargo work time-series`

use lab_runner::{Lesson, source};

/// Samples, roll-ups, and retention.
pub static LESSON: Lesson = Lesson {
    name: "time-series",
    title: "Time series",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/time_series.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
