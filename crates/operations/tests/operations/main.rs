//! The lessons on operations, the doctor, and the metrics. One program, so that what waits in one of them does not hold up the others.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod doctor;
mod lessons;
mod metrics;
