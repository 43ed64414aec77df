//! STUB: replace this file.
//!
//! `cargo work social-graph`

use lab_runner::{Lesson, source};

/// Followers, friends of friends, and timelines.
pub static LESSON: Lesson = Lesson {
    name: "social-graph",
    title: "Social graph",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/social_graph.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
