//! Every pattern, under every fault: `cargo test -p patterns --test torture`.

#![allow(clippy::unwrap_used, dead_code, reason = "a test")]

mod flash_sale;
mod notifications;
mod recent_views;
mod stock_feed;
mod stores;
mod subject;

use subject::Pattern;

/// All patterns, in the order of the README's table.
const PATTERNS: &[Pattern] = &[
    recent_views::PATTERN,
    flash_sale::PATTERN,
    notifications::PATTERN,
    stores::PATTERN,
    stock_feed::PATTERN,
];

fn main() {
    assert!(!PATTERNS.is_empty());
}
