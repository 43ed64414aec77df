//! A learner's Rust and the check of its exercise, in one program. `build.rs` says which.

include!(concat!(env!("OUT_DIR"), "/attempts.rs"));
