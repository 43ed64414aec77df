//! Lessons on operating Redis: what breaks, what is lost, how you see it, and how you repair it. They break servers, so they run on
//! private ones.
//!
//! In reading order:
//!
//! 1. [`eviction`]: what the server throws away when memory is full.
//! 2. [`compact_memory`]: the same data in less memory.
//! 3. [`backup`]: a copy that was restored, and compared.
//!
//! [`OperationsLesson`] lists the lessons. `private` starts their servers.

pub mod backup;
pub mod compact_memory;
pub mod eviction;
mod private;
mod registry;

pub use registry::OperationsLesson;
