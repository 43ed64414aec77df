//! STUB: replace this file.
//!
//! `cargo work semaphore`

use lab_runner::{Lesson, source};

/// N holders at a time, none of which can leak its place.
pub static LESSON: Lesson = Lesson {
    name: "semaphore",
    title: "Semaphore",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/semaphore.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
