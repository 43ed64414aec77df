//! Redis patterns for a service: each is one file that reads from top to bottom, with its script beside it.
//!
//! Use the crate, or copy a pattern: its `.rs` and `.lua` file, and [`key`], [`script`], and `script.lua`, which all patterns share.
//! The README has a table of the files that each needs. All of them work on a single server and on a Redis Cluster, over RESP2 and
//! RESP3, with any [`ConnectionLike`](redis::aio::ConnectionLike) that can be cloned. IDs are any text of 1 to 512 bytes.
//!
//! In reading order:
//!
//! 1. [`key`] and [`script`]: how keys are named and scripts are run. [`money`]: whole cents.
//! 2. [`recent_views`]: the simplest pattern. All others have the same shape.
//! 3. [`users`], [`catalog`], [`cart`]: who buys, what is on sale, and what is about to be bought.
//! 4. [`sessions`], [`cache`].
//! 5. [`inventory`] holds stock, and [`checkout`] turns a cart into an order.
//! 6. [`limit`]: what the limiters share. [`fixed_window`], [`sliding_log`], [`sliding_counter`], [`token_bucket`], and
//!    [`login_guard`].
//! 7. [`flash_sale`], [`notifications`], [`stock_feed`], [`stores`]: real-time data.
//! 8. [`autocomplete`] and [`facets`]: finding products.
//! 9. [`interests`], [`popular_products`], [`bought_together`], [`similar_customers`], [`product_vectors`]; [`recommendations`] mixes
//!    them.
//! 10. [`analytics`], [`weekly_metrics`], [`funnel`], [`active_users`].
//! 11. [`job_queue`]: work for other processes; [`job_worker`] is the loop that does it.
//! 12. [`stream_worker`]: messages that a group of workers shares; [`stream_loop`] is the loop of a worker. [`broadcast`]: messages
//!     for every subscriber.
//! 13. [`scheduler`]: jobs at fixed times.
//! 14. [`lease`]: what the next ones share. [`lock`] and [`fence`], [`leader`], [`semaphore`]: who may do it now. [`once`]: one
//!     effect, however often a request is sent.
//! 15. [`time_series`]: samples and their roll-ups.
//! 16. [`social_graph`], and [`timeline`] on it.
//!
//! Each module says what it promises, what a call costs, how much memory it takes, and what faults do to it. `cargo test -p patterns
//! --test torture` runs every pattern through every fault.
//!
//! With redis-rs 1.8, use a tokio before 1.54 and keep fewer than 50 requests in flight on one `ClusterConnection`. Otherwise it can
//! stall when slots move; the workspace's `ARCHITECTURE.md` says why.

pub mod active_users;
pub mod analytics;
pub mod autocomplete;
pub mod bought_together;
pub mod broadcast;
pub mod cache;
pub mod cart;
pub mod catalog;
pub mod checkout;
pub mod facets;
pub mod fence;
pub mod fixed_window;
pub mod flash_sale;
pub mod funnel;
pub mod interests;
pub mod inventory;
pub mod job_queue;
pub mod job_worker;
pub mod key;
pub mod leader;
pub mod lease;
pub mod limit;
pub mod lock;
pub mod login_guard;
pub mod money;
pub mod notifications;
pub mod once;
pub mod popular_products;
pub mod product_vectors;
pub mod recent_views;
pub mod recommendations;
pub mod scheduler;
pub mod script;
pub mod semaphore;
pub mod sessions;
pub mod similar_customers;
pub mod sliding_counter;
pub mod sliding_log;
pub mod social_graph;
pub mod stock_feed;
pub mod stores;
pub mod stream_loop;
pub mod stream_worker;
pub mod time_series;
pub mod timeline;
pub mod token_bucket;
pub mod users;
pub mod weekly_metrics;

/// The scripts of all patterns, each with its name in the file.
pub fn scripts() -> impl Iterator<Item = (&'static str, &'static script::Script)> {
    let patterns = [
        active_users::scripts,
        analytics::scripts,
        autocomplete::scripts,
        bought_together::scripts,
        broadcast::scripts,
        cache::scripts,
        cart::scripts,
        catalog::scripts,
        checkout::scripts,
        facets::scripts,
        fence::scripts,
        fixed_window::scripts,
        flash_sale::scripts,
        funnel::scripts,
        interests::scripts,
        inventory::scripts,
        job_queue::scripts,
        leader::scripts,
        lock::scripts,
        login_guard::scripts,
        notifications::scripts,
        once::scripts,
        popular_products::scripts,
        recent_views::scripts,
        scheduler::scripts,
        semaphore::scripts,
        sessions::scripts,
        similar_customers::scripts,
        sliding_counter::scripts,
        sliding_log::scripts,
        social_graph::scripts,
        stock_feed::scripts,
        stores::scripts,
        stream_worker::scripts,
        time_series::scripts,
        timeline::scripts,
        token_bucket::scripts,
        users::scripts,
        weekly_metrics::scripts,
    ];
    patterns.into_iter().flat_map(|scripts| scripts())
}
