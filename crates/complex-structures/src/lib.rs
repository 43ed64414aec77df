//! Lessons on the structures: hashes, lists, sets, sorted sets, uniques, and what makes several commands one.
//!
//! In reading order:
//!
//! 1. [`hashes`]: profiles, partial reads, counters in fields, fields that expire, and what a small Hash saves.
//! 2. [`lists`]: feeds, queues, and a queue that loses nothing when a worker dies.
//! 3. [`sets`]: tags, unique visitors, intersections and samples.
//! 4. [`sorted_sets`]: leaderboards, ranks, ranges and time windows.
//! 5. [`uniques`]: counting the different with a Set, a bitmap or a HyperLogLog.
//! 6. [`transactions`]: pipelines, MULTI, WATCH, scripts and functions, and what each of them promises.
//!
//! [`register`] lists the lessons, [`keys`] spells every key.

pub mod hashes;
pub mod keys;
pub mod lists;
pub mod registry;
pub mod sets;
pub mod sorted_sets;
pub mod transactions;
pub mod uniques;

pub use registry::StructureLesson;
