//! STUB: replace this file.
//!
//! `cargo work delayed-jobs`

use lab_runner::{Lesson, source};

/// Jobs for later, retries, and schedules.
pub static LESSON: Lesson = Lesson {
    name: "delayed-jobs",
    title: "Delayed jobs",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/delayed_jobs.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
