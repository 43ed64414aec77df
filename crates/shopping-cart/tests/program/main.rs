//! The program as people run it, and its lessons.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod bad_input;
mod cart;
mod concurrency;
mod expiry;
mod foreign_data;
mod json_and_exit_codes;
mod lessons;
mod menu;
mod merge;
mod readme;
mod support;
mod users_and_products;
mod watch;
