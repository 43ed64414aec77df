//! Recommendations: what they say, and what becomes of them when answers are lost and slots move.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod answers;
mod faults;
mod popularity;
#[path = "../shop/mod.rs"]
mod shop;
mod support;
mod together;
mod vectors;
