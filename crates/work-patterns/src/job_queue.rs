//! STUB: replace this file.
//!
//! `cargo work job-queue`

use lab_runner::{Lesson, source};

/// Jobs that survive their workers.
pub static LESSON: Lesson = Lesson {
    name: "job-queue",
    title: "Job queue",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/job_queue.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
