//! Limits on requests and on failed logins.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod concurrency;
mod increx;
mod limits;
mod login_guard;
mod model;
#[path = "../shop/mod.rs"]
mod shop;
