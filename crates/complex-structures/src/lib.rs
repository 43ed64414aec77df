//! Lessons on the data structures of Redis, and on what makes several commands one step.
//!
//! In reading order:
//!
//! 1. [`hashes`]: objects, partial reads, counters and deadlines in fields, and what a small Hash saves.
//! 2. [`lists`]: feeds, queues, and a queue that loses nothing when a worker dies.
//! 3. [`sets`]: tags, unique visitors, intersections, and random members.
//! 4. [`sorted_sets`]: leaderboards, ranks, ranges, and time windows.
//! 5. [`uniques`]: counting different visitors with a Set, a bitmap, or a HyperLogLog.
//! 6. [`transactions`]: pipelines, MULTI, WATCH, scripts, and functions, and what each of them promises.
//!
//! [`registry`] lists the lessons, and [`encoding`] finds the size at which the server stores a key differently.

pub mod encoding;
pub mod hashes;
pub mod lists;
pub mod registry;
pub mod sets;
pub mod sorted_sets;
pub mod transactions;
pub mod uniques;

pub use registry::StructureLesson;
