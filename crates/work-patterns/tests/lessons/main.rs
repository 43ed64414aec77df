//! What each lesson counts, shows, and leaves.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod all;
mod idempotency;
mod job_queue;
mod leader;
mod locks;
mod semaphore;
mod social_graph;
mod streams;
mod time_series;
mod timeline;
