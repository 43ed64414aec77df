//! Causes every class of failure that a local server can produce, and checks the text that a person reads.

#![expect(clippy::unwrap_used, reason = "functions of a test, which clippy does not take for one")]

mod cluster;
mod commands;
mod connecting;
mod login;
mod secrecy;
mod setup;
mod tls;
