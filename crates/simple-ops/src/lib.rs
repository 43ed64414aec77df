//! Lessons on the simple things: strings, expiry, counters, JSON documents.
//!
//! In reading order:
//!
//! 1. [`strings`]: SET, GET and their options; [`strings::ReadMany`] compares ways to read many keys.
//! 2. [`expiry`]: TTLs, what an expired key looks like, and when its memory comes back.
//! 3. [`counters`]: INCR, and the updates that GET and SET lose; [`counters::Increment`] counts them.
//! 4. [`json`]: one document as a JSON string, a Hash or a JSON value; [`json::ReadField`] and
//!    [`json::ChangeField`] compare them.
//!
//! [`registry`] lists the lessons, [`catalog`] makes the sample products. No script or transaction here touches more than one key, so
//! none needs a hash tag: MGET, MSET, EXISTS, UNLINK, and pipelines over several keys are split by slot when the server is a cluster.

pub mod catalog;
pub mod counters;
pub mod expiry;
pub mod json;
pub mod registry;
pub mod strings;

pub use registry::SimpleLesson;
