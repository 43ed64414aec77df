//! One connection to a whole cluster.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod moving;
mod pipeline;
