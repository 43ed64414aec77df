//! `cargo complex lists`

use lab_runner::{Lesson, Outcome, Page};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "lists",
    title: "Lists",
    asks: "",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(_page: &mut Page) -> Outcome {
    Ok(())
}
