//! Finding products: as one types, and by what they are.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod autocomplete;
mod autocomplete_races;
mod facets;
mod facets_measured;
mod facets_races;
#[path = "../shop/mod.rs"]
mod shop;
