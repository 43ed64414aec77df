//! `cargo complex transactions`

use lab_runner::{Lesson, Outcome, Page};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "transactions",
    title: "Transactions",
    asks: "",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(_page: &mut Page) -> Outcome {
    Ok(())
}
