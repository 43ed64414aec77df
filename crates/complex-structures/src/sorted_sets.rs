//! `cargo complex sorted-sets`

use lab_runner::{Lesson, Outcome, Page};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "sorted-sets",
    title: "Sorted sets",
    asks: "",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(_page: &mut Page) -> Outcome {
    Ok(())
}
