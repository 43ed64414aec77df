//! The tour as people take it, and the documents that lead there.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod console;
mod documents;
mod foreign_data;
mod outputs;
mod runs;
mod sample_queries;
mod steps;
mod support;
mod which_server;
