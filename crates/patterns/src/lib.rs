//! Redis patterns for a service: each is one file that reads from top to bottom, with its script beside it.
//!
//! In reading order:
//!
//! 1. [`key`] and [`script`]: how keys are named and scripts are run. Every pattern uses these two, and nothing else is shared.
pub mod active_users;
pub mod analytics;
pub mod bought_together;
pub mod cache;
pub mod fixed_window;
pub mod funnel;
pub mod interests;
pub mod key;
pub mod limit;
pub mod login_guard;
pub mod money;
pub mod popular_products;
pub mod product_vectors;
pub mod recent_views;
pub mod recommendations;
pub mod script;
pub mod sessions;
pub mod similar_customers;
pub mod sliding_counter;
pub mod sliding_log;
pub mod token_bucket;
pub mod weekly_metrics;
