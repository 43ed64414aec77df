//! Rust with redis-rs.

use super::exercise;
use crate::exercise::Exercise;

pub static EXERCISES: &[&Exercise] = &[
    exercise!(Rust, "find-all-carts", ".rs"),
    exercise!(Rust, "turn-the-page", ".rs"),
    exercise!(Rust, "change-all-prices", ".rs"),
    exercise!(Rust, "watch-on-your-own", ".rs"),
    exercise!(Rust, "read-many-users", ".rs"),
    exercise!(Rust, "load-it-once", ".rs"),
    exercise!(Rust, "drop-what-changed", ".rs"),
    exercise!(Rust, "see-every-change", ".rs"),
    exercise!(Rust, "confirm-when-it-is-done", ".rs"),
    exercise!(Rust, "wait-on-your-own", ".rs"),
    exercise!(Rust, "lose-no-job", ".rs"),
    exercise!(Rust, "stop-when-it-is-lost", ".rs"),
    exercise!(Rust, "count-it-once", ".rs"),
];
