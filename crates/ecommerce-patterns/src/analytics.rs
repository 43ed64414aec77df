//! What happened today, counted once, in how much memory?
//!
//! `cargo ecommerce analytics`

use lab_runner::{Lesson, Outcome, Page};

/// Metrics, visitors, revenue, funnels, retention.
pub const LESSON: Lesson = Lesson {
    name: "analytics",
    title: "Analytics",
    asks: "What happened today, counted once, in how much memory?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(page: &mut Page) -> Outcome {
    page.start_clean(&[]).await
}
