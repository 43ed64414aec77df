//! The parts of the shop that need no browser: the wire, the faults, and the buyers.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod buyers;
mod faults;
mod wire;
