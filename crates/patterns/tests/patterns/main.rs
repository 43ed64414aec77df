//! What each pattern promises, on a server over RESP2 and RESP3 and on a cluster.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod active_users;
mod analytics;
mod autocomplete;
mod bought_together;
mod broadcast;
mod cache;
mod cart;
mod catalog;
mod checkout;
mod facets;
mod flash_sale;
mod funnel;
mod interests;
mod inventory;
mod limit_models;
mod limits;
mod login_guard;
mod notifications;
mod popular_products;
mod product_vectors;
mod recent_views;
mod recommendations;
mod scheduler;
mod scripts;
mod sessions;
mod similar_customers;
mod stock_feed;
mod stores;
mod stream_worker;
mod users;
mod virtual_clock;
mod weekly_metrics;
