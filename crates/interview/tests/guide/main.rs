//! The guide, what it says, and the program that runs it and asks.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod document;
mod examples;
mod findable;
mod format;
mod matching;
mod mock;
mod quiz;
mod stopped;
mod support;
mod words;
mod wrong_replies;
