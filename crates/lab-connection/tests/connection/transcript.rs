//! The transcript: what is recorded, and how it is shown.

mod exchange;
mod live;
mod quoting;
mod redis_cli;
