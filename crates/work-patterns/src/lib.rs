//! Lessons on [`patterns`]: background work and coordination, and what goes wrong when a process dies in the middle.
//!
//! In reading order:
//!
//! 3. [`job_queue`]: jobs that survive their workers. [`delayed_jobs`]: jobs for later, and schedules.
//!
//! [`WorkLesson`] lists the lessons.

pub mod delayed_jobs;
pub mod job_queue;
mod registry;

pub use registry::WorkLesson;
