//! STUB: replace this file.
//!
//! `cargo ops monitoring`

use lab_runner::{Lesson, source};

/// What the server says about itself.
pub static LESSON: Lesson = Lesson {
    name: "monitoring",
    title: "Monitoring",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/monitoring.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
