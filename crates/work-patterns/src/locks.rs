//! STUB: replace this file.
//!
//! `cargo work locks`

use lab_runner::{Lesson, source};

/// One holder at a time, and the number that fences off the others.
pub static LESSON: Lesson = Lesson {
    name: "locks",
    title: "Locks",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/locks.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
