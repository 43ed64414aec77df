//! How does a flash sale stay fair, and how does news reach everyone?
//!
//! `cargo ecommerce real-time`

use lab_runner::{Lesson, Outcome, Page};

/// Flash sale, notifications, stores nearby, live stock.
pub const LESSON: Lesson = Lesson {
    name: "real-time",
    title: "Real time",
    asks: "How does a flash sale stay fair, and how does news reach everyone?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(page: &mut Page) -> Outcome {
    page.start_clean(&[]).await
}
