//! Loads: what they promise on one server, on a cluster, over TLS, and as people run them.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod cluster;
mod command;
mod loading;
mod one_server;
mod relay;
mod tls;
