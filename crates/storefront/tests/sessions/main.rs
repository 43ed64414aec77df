//! Sessions, from the login to "log out everywhere".

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod faults;
mod foreign;
mod logins;
mod sessions;
#[path = "../shop/mod.rs"]
mod shop;
mod visit;
