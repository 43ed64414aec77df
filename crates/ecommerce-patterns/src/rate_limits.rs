//! How often may somebody do something, and what does each limiter let through?
//!
//! `cargo ecommerce rate-limits`

use lab_runner::{Lesson, Outcome, Page};

/// Four limiters on the same traffic, and failed logins.
pub const LESSON: Lesson = Lesson {
    name: "rate-limits",
    title: "Rate limits",
    asks: "How often may somebody do something, and what does each limiter let through?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(page: &mut Page) -> Outcome {
    page.start_clean(&[]).await
}
