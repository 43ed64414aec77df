//! STUB: replace this file.
//!
//! `cargo ops persistence`

use lab_runner::{Lesson, source};

/// What is on the disk after a crash.
pub static LESSON: Lesson = Lesson {
    name: "persistence",
    title: "Persistence",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/persistence.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
