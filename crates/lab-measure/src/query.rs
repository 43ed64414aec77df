//! Nine questions about users, and several approaches to each. The lesson `query` times them.
//!
//! In reading order:
//!
//! 1. [`users`]: the users, and the right answers.
//! 2. [`by_key`], [`city`], [`top`], [`intersection`], [`pages`], [`average`]: the approaches, one function each, naive ones
//!    first. `everyone` reads all users, as the naive ones do; [`search`] asks the search module.
//! 3. `approach`: which approaches each question has, and what they need of a server.
//! 4. `latency`: how long an answer takes.

mod approach;
pub mod average;
pub mod by_key;
pub mod city;
mod connection;
mod everyone;
pub mod intersection;
mod latency;
pub mod pages;
pub mod search;
pub mod top;
pub mod users;

pub use self::approach::{Answer, QueryApproach, Question, ServerFeatures, prepare};
pub use self::connection::Redis;
pub use self::latency::{Latency, Plan, measure};
pub use self::users::{UserSalary, Users};
