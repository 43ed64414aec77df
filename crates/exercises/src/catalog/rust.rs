//! Rust with redis-rs.

use super::exercise;
use crate::exercise::Exercise;

pub static EXERCISES: &[&Exercise] = &[
    exercise!(Rust, "find-all-carts", "sets", ".rs"),
    exercise!(Rust, "turn-the-page", "sorted-sets", ".rs"),
    exercise!(Rust, "change-all-prices", "transactions", ".rs"),
    exercise!(Rust, "watch-on-your-own", "transactions", ".rs"),
    exercise!(Rust, "read-many-users", "insert", ".rs"),
    exercise!(Rust, "load-it-once", "caching", ".rs"),
    exercise!(Rust, "drop-what-changed", "caching", ".rs"),
    exercise!(Rust, "see-every-change", "real-time", ".rs"),
    exercise!(Rust, "confirm-when-it-is-done", "streams", ".rs"),
    exercise!(Rust, "wait-on-your-own", "job-queue", ".rs"),
    exercise!(Rust, "lose-no-job", "job-queue", ".rs"),
    exercise!(Rust, "stop-when-it-is-lost", "locks", ".rs"),
    exercise!(Rust, "count-it-once", "idempotency", ".rs"),
];
