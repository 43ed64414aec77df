//! What the lessons build on, and what they promise.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod all;
mod hashes;
mod lists;
mod packed_score;
mod sets;
mod sorted_sets;
mod transactions;
mod uniques;
