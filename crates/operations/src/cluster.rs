//! STUB: replace this file.
//!
//! `cargo ops cluster`

use lab_runner::{Lesson, source};

/// Slots, redirections, a live reshard, and a failover.
pub static LESSON: Lesson = Lesson {
    name: "cluster",
    title: "Cluster",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/cluster.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
