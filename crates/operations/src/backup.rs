//! STUB: replace this file.
//!
//! `cargo ops backup`

use lab_runner::{Lesson, source};

/// A copy that was restored, and compared.
pub static LESSON: Lesson = Lesson {
    name: "backup",
    title: "Backup",
    question: "STUB",
    commands: &[],
    needs: &[],
    sources: &[source!("src/backup.rs")],
    rule: "STUB",
    takeaways: &[],
    quiz: &[],
    run: |_| Box::pin(async { Ok(()) }),
};
