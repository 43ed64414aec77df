//! STUB: replace this file.
//!
//! `cargo ops replication`

use lab_runner::{Lesson, source};

/// A copy that is a little late, and what that means.
pub static LESSON: Lesson = Lesson {
    name: "replication",
    title: "Replication",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/replication.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
