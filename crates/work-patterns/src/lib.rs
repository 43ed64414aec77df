//! Lessons on [`patterns`]: background work and coordination, and what goes wrong when a process dies in the middle.
//!
//! In reading order:
//!
//! 1. [`locks`], [`leader`], [`semaphore`]: who may do it now. [`idempotency`]: once, however often it is sent.
//!
//! [`WorkLesson`] lists the lessons.

pub mod idempotency;
pub mod leader;
pub mod locks;
mod registry;
pub mod semaphore;

pub use registry::WorkLesson;
