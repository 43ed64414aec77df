//! Carts, users and products: what they count, who shares them, and what is left of them when they expire.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod cart;
mod concurrency;
mod expiry;
mod foreign_data;
mod merge;
mod moving_slots;
#[path = "../shop/mod.rs"]
mod shop;
mod shopkeeping;
mod totals;
mod updates;
mod values;
