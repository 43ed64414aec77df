//! Lessons on [`patterns`]: background work and coordination, and what goes wrong when a process dies in the middle.
//!
//! In reading order:
//!
//! 1. [`pub_sub`]: what subscribers miss, and a broadcast that resumes.
//! 2. [`streams`]: consumer groups that lose nothing.
//! 3. [`job_queue`]: jobs that survive their workers. [`delayed_jobs`]: jobs for later, and schedules.
//! 4. [`locks`], [`leader`], [`semaphore`]: who may do it now. [`idempotency`]: once, however often it is sent.
//! 5. [`time_series`]: samples, roll-ups, retention.
//! 6. [`social_graph`]: who follows whom. [`timeline`]: how a post reaches them.
//! 7. [`torture`]: real processes, killed at random, and what is lost then.
//!
//! [`WorkLesson`] lists the lessons.

pub mod delayed_jobs;
pub mod idempotency;
pub mod job_queue;
pub mod leader;
pub mod locks;
pub mod pub_sub;
mod registry;
pub mod semaphore;
pub mod social_graph;
pub mod streams;
pub mod time_series;
pub mod timeline;
pub mod torture;

pub use registry::WorkLesson;
