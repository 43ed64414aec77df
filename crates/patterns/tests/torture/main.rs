//! Every pattern, under every fault: `cargo test -p patterns --test torture`.

#![allow(clippy::unwrap_used, dead_code, reason = "a test")]

mod limits;
mod login_guard;
mod recent_views;
mod subject;

use subject::Pattern;

/// All patterns, in the order of the README's table.
const PATTERNS: &[Pattern] = &[
    recent_views::PATTERN,
    limits::FIXED_WINDOW,
    limits::SLIDING_LOG,
    limits::SLIDING_COUNTER,
    limits::TOKEN_BUCKET,
    login_guard::PATTERN,
];

fn main() {
    assert!(!PATTERNS.is_empty());
}
