//! Lessons on [`patterns`]: background work and coordination, and what goes wrong when a process dies in the middle.
//!
//! In reading order:
//!
//! 1. [`pub_sub`]: what subscribers miss, and a broadcast that resumes.
//! 2. [`streams`]: consumer groups that lose nothing.
//!
//! [`WorkLesson`] lists the lessons.

pub mod pub_sub;
mod registry;
pub mod streams;

pub use registry::WorkLesson;
