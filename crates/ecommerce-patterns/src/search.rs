//! How is a product found while somebody types, and by its brand, category and price?
//!
//! `cargo ecommerce search`

use lab_runner::{Lesson, Outcome, Page};

/// Autocomplete and facets.
pub const LESSON: Lesson = Lesson {
    name: "search",
    title: "Search",
    asks: "How is a product found while somebody types, and by its brand, category and price?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

async fn teach(page: &mut Page) -> Outcome {
    page.start_clean(&[]).await
}
