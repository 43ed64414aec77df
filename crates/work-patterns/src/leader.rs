//! STUB: replace this file.
//!
//! `cargo work leader`

use lab_runner::{Lesson, source};

/// One process that leads, and how it learns that it no longer does.
pub static LESSON: Lesson = Lesson {
    name: "leader",
    title: "Leader",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/leader.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
