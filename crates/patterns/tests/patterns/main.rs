//! What each pattern promises, on a server over RESP2 and RESP3 and on a cluster.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod active_users;
mod analytics;
mod bought_together;
mod funnel;
mod interests;
mod popular_products;
mod product_vectors;
mod recent_views;
mod recommendations;
mod similar_customers;
mod weekly_metrics;
