//! What each lesson counts, shows, and leaves.

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
mod sentinel_client;
