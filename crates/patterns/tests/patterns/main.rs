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
mod copying;
mod facets;
mod fence;
mod flash_sale;
mod funnel;
mod interests;
mod inventory;
mod job_queue;
mod job_worker;
mod leader;
mod limit_models;
mod limits;
mod lock;
mod login_guard;
mod notifications;
mod once;
mod popular_products;
mod product_vectors;
mod recent_views;
mod recommendations;
mod scheduler;
mod scripts;
mod semaphore;
mod sessions;
mod similar_customers;
mod social_graph;
mod stock_feed;
mod stores;
mod stream_loop;
mod stream_worker;
mod time_series;
mod timeline;
mod timeline_oracle;
mod users;
mod virtual_clock;
mod weekly_metrics;
