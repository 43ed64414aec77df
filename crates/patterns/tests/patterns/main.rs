//! What each pattern promises, on a server over RESP2 and RESP3 and on a cluster.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

/// Asserts that a value matches a pattern, and says which value does not. The message is optional.
macro_rules! assert_matches {
    ($value:expr, $pattern:pat $(if $guard:expr)? $(, $($message:tt)+)?) => {
        match $value {
            $pattern $(if $guard)? => {}
            ref found => panic!(
                "expected {}; found {found:?}{}",
                stringify!($pattern $(if $guard)?),
                String::new() $(+ ": " + &format!($($message)+))?
            ),
        }
    };
}

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

use std::pin::Pin;

use lab_testing::TestConnection;
use redis::Value;
use tokio::runtime::Runtime;

/// Runs a test on the shared server over RESP2 and over RESP3, and on the shared cluster, each time with a new prefix.
fn everywhere<F: Future<Output = ()>>(test: impl Fn(TestConnection, String) -> F) {
    // Boxed, all tests are one type, so the runtime's code is compiled once and not for each of them.
    let test: Pin<Box<dyn Future<Output = ()>>> = Box::pin(lab_testing::everywhere(test));
    Runtime::new().unwrap().block_on(test);
}

/// So many connections.
async fn connections(count: usize, connect: impl AsyncFn() -> TestConnection) -> Vec<TestConnection> {
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(connect().await);
    }
    connections
}

/// What each of the keys holds, as DUMP tells it.
async fn dumps(connection: &TestConnection, keys: &[impl AsRef<str>]) -> Vec<Value> {
    let mut dumps = Vec::new();
    for key in keys {
        dumps.push(connection.send(&["DUMP", key.as_ref()]).await);
    }
    dumps
}
