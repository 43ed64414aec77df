//! What does a cache save, and what happens in the moment in which it knows nothing?
//!
//! `cargo ecommerce caching`

use lab_runner::{Lesson, Outcome, Page};

/// Cache-aside, stampedes, and one loader for all.
pub const LESSON: Lesson = Lesson {
    name: "caching",
    title: "Caching",
    asks: "What does a cache save, and what happens in the moment in which it knows nothing?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(page: &mut Page) -> Outcome {
    page.start_clean(&[]).await
}
