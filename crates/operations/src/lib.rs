//! Lessons on operating Redis: what breaks, what is lost, how you see it, and how you repair it. They break servers, so they run on
//! private ones.
//!
//! In reading order:
//!
//! 1. [`replication`]: a copy that is a little late, and what that means.
//! 2. [`sentinel`]: processes that replace a primary, and the writes that this costs.
//!
//! [`drills`] measures faults under settings. `private` starts the servers that the lessons break. [`OperationsLesson`] lists the lessons.

pub mod drills;
mod private;
mod registry;
pub mod replication;
pub mod sentinel;

pub use registry::OperationsLesson;
