//! Connections: how to reach a server or a cluster, what a failure says, and what the transcript records.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod cluster;
mod failure_classes;
mod target;
#[cfg(feature = "tls")]
mod tls;
mod transcript;
