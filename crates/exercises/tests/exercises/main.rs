//! Exercises, and the program.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod answers;
mod hostile;
mod program;
mod rust;
mod watch;
