//! How does a shop remember a visitor, for how long, and how does it forget one everywhere?
//!
//! `cargo ecommerce sessions`

use lab_runner::{Lesson, Outcome, Page};

/// Sessions that slide, rotate and end everywhere.
pub const LESSON: Lesson = Lesson {
    name: "sessions",
    title: "Sessions",
    asks: "How does a shop remember a visitor, for how long, and how does it forget one everywhere?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(page: &mut Page) -> Outcome {
    page.start_clean(&[]).await
}
