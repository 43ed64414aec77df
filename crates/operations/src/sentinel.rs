//! STUB: replace this file.
//!
//! `cargo ops sentinel`

use lab_runner::{Lesson, source};

/// Processes that replace a primary, and the writes that this costs.
pub static LESSON: Lesson = Lesson {
    name: "sentinel",
    title: "Sentinel",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/sentinel.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
