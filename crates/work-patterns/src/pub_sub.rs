//! STUB: replace this file.
//!
//! `cargo work pub-sub`

use lab_runner::{Lesson, source};

/// Messages that nobody keeps, and a broadcast that resumes.
pub static LESSON: Lesson = Lesson {
    name: "pub-sub",
    title: "Pub/sub",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/pub_sub.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
