//! How is stock held, sold and returned so that no unit is sold twice and none is lost?
//!
//! `cargo ecommerce inventory`

use lab_runner::{Lesson, Outcome, Page};

/// Stock that is held, sold and returned, and checkout.
pub const LESSON: Lesson = Lesson {
    name: "inventory",
    title: "Inventory",
    asks: "How is stock held, sold and returned so that no unit is sold twice and none is lost?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(page: &mut Page) -> Outcome {
    page.start_clean(&[]).await
}
