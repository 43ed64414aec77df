//! The transcript: what is recorded, and how it is shown.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod exchange;
mod live;
mod quoting;
mod redis_cli;
