//! The cache: who loads, how old documents are, what is stored.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod freshness;
#[path = "../shop/mod.rs"]
mod shop;
mod single_flight;
mod support;
mod values;
