//! Every command of the shop: how many round trips, and what happens when it is sent twice or its slot moves.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod restless;
mod round_trips;
mod sent_twice;
#[path = "../shop/mod.rs"]
mod shop;
