//! What may this customer like, by views, purchases and similar people?
//!
//! `cargo ecommerce recommendations`

use lab_runner::{Lesson, Outcome, Page};

/// Recent views, popularity, bought together.
pub const LESSON: Lesson = Lesson {
    name: "recommendations",
    title: "Recommendations",
    asks: "What may this customer like, by views, purchases and similar people?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(page: &mut Page) -> Outcome {
    page.start_clean(&[]).await
}
