//! What each pattern's hot path costs the server beside a peer, by the server's own clock (INFO commandstats):
//! `cargo bench --bench costs`, or only some of it: `cargo bench --bench costs -- sessions inventory`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, missing_docs, reason = "a benchmark")]

mod analytics;
mod cache;
mod cart;
mod inventory;
mod limits;
mod live;
mod measure;
mod search;
mod sessions;

use std::time::Duration;

use lab_server::Server;
use measure::Row;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

const MODULES: [&str; 8] =
    ["live", "cart", "search", "inventory", "limits", "sessions", "cache", "analytics"];

fn main() {
    // Cargo adds a flag of its own.
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let server = Server::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = redis::Client::open(server.url()).unwrap();
        // A busy machine must not end the run.
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        let mut rows: Vec<Row> = Vec::new();
        for name in MODULES {
            if only.is_empty() || only.iter().any(|only| only == name) {
                rows.extend(rows_of(name, &connection).await);
            }
        }
        drop(connection);
        println!(
            "{:<44} {:>8} {:>8}  {:<38} {:>6} {:>6}",
            "microseconds on the server", "ours", "peer", "peer", "ratio", "limit"
        );
        for Row { what, ours, peer, peer_name, limit } in rows {
            println!("{what:<44} {ours:>8.2} {peer:>8.2}  {peer_name:<38} {:>6.2} {limit:>6.1}", ours / peer);
        }
    });
}

async fn rows_of(name: &str, connection: &MultiplexedConnection) -> Vec<Row> {
    match name {
        "live" => live::rows(connection).await,
        "cart" => cart::rows(connection).await,
        "search" => search::rows(connection).await,
        "inventory" => inventory::rows(connection).await,
        "limits" => limits::rows(connection).await,
        "sessions" => sessions::rows(connection).await,
        "cache" => cache::rows(connection).await,
        _ => analytics::rows(connection).await,
    }
}
