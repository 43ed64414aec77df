//! Rust with redis-rs.

use super::exercise;
use crate::exercise::Exercise;

pub static EXERCISES: &[&Exercise] = &[exercise!(Rust, "read-many-users", "insert", ".rs")];
