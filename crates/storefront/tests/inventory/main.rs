//! Stock: reserving, confirming, running low, and the checkout of whole carts.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod alerts;
mod checkout;
mod counts;
mod holds;
mod late;
mod persistence;
mod rush;
mod sale;
#[path = "../shop/mod.rs"]
mod shop;
mod support;
mod unfinished;
mod usual;
