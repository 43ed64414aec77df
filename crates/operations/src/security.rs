//! STUB: replace this file.
//!
//! `cargo ops security`

use lab_runner::{Lesson, source};

/// Who may do what, and who finds out.
pub static LESSON: Lesson = Lesson {
    name: "security",
    title: "Security",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/security.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
