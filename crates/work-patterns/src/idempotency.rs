//! STUB: replace this file.
//!
//! `cargo work idempotency`

use lab_runner::{Lesson, source};

/// One effect, however often a request is sent.
pub static LESSON: Lesson = Lesson {
    name: "idempotency",
    title: "Idempotency",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/idempotency.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
