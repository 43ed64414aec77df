//! Causes every class of failure that a local server can produce, and checks the text that a person reads.

mod cluster;
mod commands;
mod connecting;
mod login;
mod secrecy;
mod setup;
mod tls;
