//! Operating Redis: what breaks, what is lost, how you see it, and how you repair it. The lessons break servers, so they run on private
//! ones.
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
//! 8. [`monitoring`]: what is slow, big, hot, or slow to read, and which tool finds it.
//! 9. [`security`]: few rights, encrypted connections, and known vulnerabilities; [`advisories`] lists those.
//! 10. [`drills`]: faults by settings, and the acknowledged writes that each loses.
//! 11. [`doctor`]: examines any server, and writes nothing.
//! 12. [`metrics`]: the numbers of a server, for Prometheus.
//! 13. [`acl`]: the smallest user for each pattern; [`failover_roles`] has those on whom a failover depends.
//!
//! [`OperationsLesson`] lists the lessons. [`private`] starts the servers that they break.

pub mod acl;
pub mod advisories;
pub mod backup;
pub mod cluster;
pub mod compact_memory;
pub mod doctor;
pub mod drills;
pub mod eviction;
pub mod failover_roles;
pub mod metrics;
pub mod monitoring;
pub mod openmetrics;
pub mod persistence;
pub mod private;
mod registry;
pub mod replication;
pub mod security;
pub mod sentinel;

pub use registry::OperationsLesson;
