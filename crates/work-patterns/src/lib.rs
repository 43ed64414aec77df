//! Lessons on [`patterns`]: background work and coordination, and what goes wrong when a process dies in the middle.
//!
//! In reading order:
//!
//! 1. [`social_graph`]: followers and timelines.
//!
//! [`WorkLesson`] lists the lessons.

mod registry;
pub mod social_graph;

pub use registry::WorkLesson;
