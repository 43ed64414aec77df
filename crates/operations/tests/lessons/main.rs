//! What each lesson counts, shows, and leaves.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod all;
mod backup;
mod cluster;
mod drills;
#[cfg(target_os = "linux")]
mod drills_end;
mod eviction;
mod monitoring;
mod persistence;
mod replication;
mod security;
mod sentinel;
