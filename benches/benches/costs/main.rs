//! What each pattern's hot path costs the server beside a peer, by the server's own clock (INFO commandstats):
//! `cargo bench --bench costs`.

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

use lab_server::Server;
use measure::Row;

fn main() {
    let server = Server::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut rows: Vec<Row> = Vec::new();
        // Each module adds its rows: rows.extend(cart::rows(&connection).await);
        rows.extend(live::rows(&connection).await);
        // Each module adds its rows.
        rows.extend(cart::rows(&connection).await);
        rows.extend(search::rows(&connection).await);
        rows.extend(inventory::rows(&connection).await);
        rows.extend(limits::rows(&connection).await);
        rows.extend(sessions::rows(&connection).await);
        rows.extend(cache::rows(&connection).await);
        rows.extend(analytics::rows(&connection).await);
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
