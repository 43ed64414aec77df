//! Lessons on [`patterns`]: what a shop keeps in Redis, and what goes wrong when it is done the obvious way.
//!
//! In reading order:
//!
//! 1. [`sessions`]: sessions that slide, rotate, and end everywhere.
//! 2. [`caching`]: cache-aside, stampedes, and one loader for all.
//! 3. [`inventory`]: stock that is held, sold, and returned, and checkout.
//! 4. [`recommendations`]: recent views, popularity, bought together.
//! 5. [`rate_limits`]: four limiters on the same traffic, and failed logins.
//! 6. [`real_time`]: flash sale, notifications, stores nearby, live stock.
//! 7. [`search`]: autocomplete and facets.
//! 8. [`analytics`]: metrics, visitors, revenue, funnels, retention.
//!
//! [`PatternLesson`] lists the lessons. [`data`] makes the shop that they share.

pub mod analytics;
pub mod caching;
pub mod call_cost;
pub mod data;
pub mod inventory;
pub mod rate_limits;
pub mod real_time;
pub mod recommendations;
mod registry;
pub mod search;
pub mod sessions;

pub use registry::PatternLesson;
