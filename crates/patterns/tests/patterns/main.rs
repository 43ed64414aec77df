//! What each pattern promises, on a server over RESP2 and RESP3 and on a cluster.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod checkout;
mod inventory;
mod recent_views;
