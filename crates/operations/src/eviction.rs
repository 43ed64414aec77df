//! STUB: replace this file.
//!
//! `cargo ops eviction`

use lab_runner::{Lesson, source};

/// What the server throws away when memory is full.
pub static LESSON: Lesson = Lesson {
    name: "eviction",
    title: "Eviction",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/eviction.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
