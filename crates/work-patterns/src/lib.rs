//! Lessons on [`patterns`]: background work and coordination, and what goes wrong when a process dies in the middle.
//!
//! In reading order:
//!
//! 1. [`time_series`]: samples, roll-ups, retention.
//!
//! [`WorkLesson`] lists the lessons.

mod registry;
pub mod time_series;

pub use registry::WorkLesson;
