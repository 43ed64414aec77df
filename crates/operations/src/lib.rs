//! Lessons on operating Redis: what breaks, what is lost, how you see it, and how you repair it. They break servers, so they run on
//! private ones.
//!
//! In reading order:
//!
//! 1. [`replication`]: a copy that is a little late, and what that means.
//! 2. [`sentinel`]: processes that replace a primary, and the writes that this costs.
//! 3. [`cluster`]: slots, redirections, a live reshard, and a failover.
//! 4. [`persistence`]: what is on the disk after a crash.
//! 5. [`eviction`]: what the server throws away when memory is full.
//! 6. [`compact_memory`]: the same data in less memory.
//! 7. [`backup`]: a copy that was restored, and compared.
//! 8. [`monitoring`]: what the server says about itself.
//! 9. [`security`]: who may do what, and who finds out.
//!
//! [`doctor`] examines a server of yours. [`OperationsLesson`] lists the lessons.

pub mod backup;
pub mod cluster;
pub mod compact_memory;
pub mod doctor;
pub mod eviction;
pub mod monitoring;
pub mod persistence;
mod registry;
pub mod replication;
pub mod security;
pub mod sentinel;

pub use registry::OperationsLesson;
