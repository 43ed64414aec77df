//! What happens while the customer watches: a flash sale, notifications, stock on the screen, stores nearby.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod flash_sale;
mod flash_sale_crowd;
mod notifications;
#[path = "../shop/mod.rs"]
mod shop;
mod stock_feed;
mod stores;
mod stores_hours;
