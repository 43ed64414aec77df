//! STUB: replace this file.
//!
//! `cargo work streams`

use lab_runner::{Lesson, source};

/// Consumer groups that lose nothing.
pub static LESSON: Lesson = Lesson {
    name: "streams",
    title: "Streams",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/streams.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
