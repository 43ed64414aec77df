//! Every pattern, under every fault: `cargo test -p patterns --test torture`.

#![allow(clippy::unwrap_used, dead_code, reason = "a test")]

mod autocomplete;
mod facets;
mod recent_views;
mod subject;

use subject::Pattern;

/// All patterns, in the order of the README's table.
const PATTERNS: &[Pattern] = &[autocomplete::PATTERN, facets::PATTERN, recent_views::PATTERN];

fn main() {
    assert!(!PATTERNS.is_empty());
}
