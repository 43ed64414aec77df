//! Lessons on operating Redis: what breaks, what is lost, how you see it, and how you repair it. They break servers, so they run on
//! private ones.
//!
//! In reading order:
//!
//! 3. [`cluster`]: slots, redirections, a live reshard, and a failover.
//! 4. [`persistence`]: what is on the disk after a crash.
//!
//! [`OperationsLesson`] lists the lessons.

pub mod cluster;
pub mod persistence;
mod private;
mod registry;

pub use registry::OperationsLesson;
