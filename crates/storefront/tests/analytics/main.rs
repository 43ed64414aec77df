//! What the shop counts: days, funnels, visitors, weeks.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod counts;
mod days;
mod faults;
mod moving;
#[path = "../shop/mod.rs"]
mod shop;
