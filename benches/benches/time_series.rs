//! A million samples, 5% late and 1% twice: `cargo bench --bench time_series`, or fewer: `cargo bench --bench time_series -- 50000`.
//!
//! It checks that all roll-ups equal a recomputation, and prints the memory of each sample, the samples a second, and what a call takes
//! by the server's own clock (INFO latencystats).

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use std::time::Instant;

use lab_connection::{Connection, TargetArgs};
use lab_server::Server;
use patterns::time_series::Every;
use work_patterns::time_series::{SERIES, Store, arrivals, distinct, recomputed, series, stored_roll_ups};

/// Samples that are appended one at a time.
const SINGLE: usize = 20_000;

#[tokio::main]
async fn main() {
    // `--test` only shows that it runs.
    let usual = if std::env::args().any(|word| word == "--test") { 20_000 } else { 1_000_000 };
    let samples = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(usual);
    let server = Server::start().unwrap();
    let target = TargetArgs::at(server.url()).open().await.unwrap();
    let redis = target.connection();
    let arrivals = arrivals(samples);
    println!("{} samples arrive, {} of them different", arrivals.len(), distinct(&arrivals));
    println!("{:<32} {:>10} {:>10}  call in µs: p50, p99, p99.9", "stored as", "bytes each", "samples/s");
    for store in [Store::MemberIsBoth, Store::Module, Store::Pattern] {
        let command = match store {
            Store::MemberIsBoth => "zadd",
            Store::Module => "ts.add",
            _ => "evalsha",
        };
        if !target.can(command).await {
            println!("{:<32} this server has no {command}", store.label());
            continue;
        }
        reset_statistics(&redis).await;
        let start = Instant::now();
        assert_eq!(store.send(&redis, "", &arrivals).await.unwrap(), samples);
        let rate = samples as f64 / start.elapsed().as_secs_f64();
        let days = samples.div_ceil(86_400);
        let each = store.bytes(&redis, "", days).await.unwrap() as f64 / samples as f64;
        let calls = percentiles(&redis, command).await;
        println!("{:<32} {each:>10.2} {rate:>10.0}  {command}: {calls}", store.label());
    }
    for every in [Every::Minute, Every::Hour, Every::Day] {
        let stored = stored_roll_ups(&redis, "", every).await.unwrap();
        assert_eq!(stored, recomputed(&arrivals, every));
        println!("{} roll-ups of each {every:?} equal a recomputation", stored.len());
    }

    reset_statistics(&redis).await;
    let (single, start) = (series(redis.clone(), "single:"), Instant::now());
    let arrivals = &arrivals[..arrivals.len().min(SINGLE)];
    for sample in arrivals {
        single.append(SERIES, *sample).await.unwrap();
    }
    let rate = arrivals.len() as f64 / start.elapsed().as_secs_f64();
    let calls = percentiles(&redis, "evalsha").await;
    println!("{:<32} {:>10} {rate:>10.0}  evalsha: {calls}", "packed, one at a time", "");
}

async fn reset_statistics(redis: &Connection) {
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut redis.clone()).await.unwrap();
}

async fn percentiles(redis: &Connection, command: &str) -> String {
    let mut info = redis::cmd("INFO");
    let info: String = info.arg("latencystats").query_async(&mut redis.clone()).await.unwrap();
    let name = format!("latency_percentiles_usec_{command}:");
    let line = info.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_default();
    line.split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(_, micros)| micros)
        .collect::<Vec<_>>()
        .join(", ")
}
