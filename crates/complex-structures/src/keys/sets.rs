//! Key names of the lesson `sets`.
//!
//! Sets that are intersected bear a hash tag, such as `{tag}`: a cluster then keeps them in one slot, which SINTER and
//! its family require.

use super::Keys;

impl Keys {
    /// Set: the tags of a product.
    #[must_use]
    pub fn tags_of(&self, product: u64) -> String {
        self.named(&format!("product:{product}:tags"))
    }

    /// Set: the products that bear a tag.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> String {
        self.named(&format!("{{tag}}:{tag}:products"))
    }

    /// Set: who came on that day, such as `2024-01-01`.
    #[must_use]
    pub fn visitors(&self, day: &str) -> String {
        self.named(&format!("{{visitors}}:{day}"))
    }

    /// Set: the visitors that a crowd reports, each approach with one of its own.
    #[must_use]
    pub fn reported_visitors(&self, approach: &str) -> String {
        self.named(&format!("visitors:{approach}"))
    }

    /// String: how many of them were counted as new.
    #[must_use]
    pub fn new_visitors(&self, approach: &str) -> String {
        self.named(&format!("visitors:{approach}:new"))
    }

    /// Set: who takes part in a raffle.
    #[must_use]
    pub fn raffle(&self) -> String {
        self.named("raffle:tickets")
    }

    /// Set: gets one whole number after the other.
    #[must_use]
    pub fn growing_numbers(&self) -> String {
        self.named("growing:numbers")
    }

    /// Set: gets one word after the other.
    #[must_use]
    pub fn growing_words(&self) -> String {
        self.named("growing:words")
    }

    /// Set: the customers who bought a product.
    #[must_use]
    pub fn buyers(&self, product: u64) -> String {
        self.named(&format!("{{buyers}}:{product}"))
    }
}
