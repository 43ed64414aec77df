//! `cargo complex uniques`

use lab_runner::{Lesson, Outcome, Page};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "uniques",
    title: "Uniques",
    asks: "",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(_page: &mut Page) -> Outcome {
    Ok(())
}
