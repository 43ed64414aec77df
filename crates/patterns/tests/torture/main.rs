//! Every pattern, under every fault: `cargo test -p patterns --test torture`.

#![allow(clippy::unwrap_used, dead_code, reason = "a test")]

mod active_users;
mod analytics;
mod bought_together;
mod funnel;
mod interests;
mod popular_products;
mod recent_views;
mod recommendations;
mod similar_customers;
mod subject;
mod weekly_metrics;

use subject::Pattern;

/// All patterns, in the order of the README's table.
const PATTERNS: &[Pattern] = &[
    recent_views::PATTERN,
    interests::PATTERN,
    popular_products::PATTERN,
    bought_together::PATTERN,
    similar_customers::PATTERN,
    recommendations::PATTERN,
    analytics::PATTERN,
    weekly_metrics::PATTERN,
    funnel::PATTERN,
    active_users::PATTERN,
];

fn main() {
    assert!(!PATTERNS.is_empty());
}
