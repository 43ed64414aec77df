//! What each lesson counts, shows, and leaves.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod all;
mod cluster;
mod persistence;
mod backup;
mod eviction;
mod drills;
mod replication;
mod sentinel;
