//! A million samples, 5% late and 1% twice: `cargo bench --bench time_series`, or fewer: `cargo bench --bench time_series -- 50000`.
//!
//! It checks that all roll-ups equal a recomputation, and prints the memory of each sample, the samples a second, and the longest
//! call by the server's own clock.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use std::time::Instant;

use lab_connection::{Connection, TargetArgs};
use lab_server::Server;
use patterns::time_series::Every;
use work_patterns::time_series::{Store, arrivals, distinct, recomputed, stored_roll_ups};

#[tokio::main]
async fn main() {
    let samples = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let server = Server::start().unwrap();
    let target = TargetArgs::at(server.url()).open().await.unwrap();
    let mut redis = target.connection();
    let arrivals = arrivals(samples);
    println!("{} samples arrive, {} of them different", arrivals.len(), distinct(&arrivals));
    println!("{:<34} {:>12} {:>14} {:>16}", "stored as", "bytes each", "samples/s", "longest call (µs)");
    for store in [Store::MemberIsBoth, Store::Module, Store::Pattern] {
        if store == Store::Module && !target.can("TS.ADD").await {
            println!("{:<34} this server has no TS.ADD", store.label());
            continue;
        }
        watch(&mut redis).await;
        let start = Instant::now();
        let stored = store.send(&redis, "", &arrivals).await.unwrap();
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(stored, samples);
        let longest = longest(&mut redis).await;
        let days = samples.div_ceil(86_400);
        let each = store.bytes(&redis, "", days).await.unwrap() as f64 / stored as f64;
        println!("{:<34} {each:>12.2} {:>14.0} {longest:>16}", store.label(), samples as f64 / seconds);
    }
    for every in [Every::Minute, Every::Hour, Every::Day] {
        let stored = stored_roll_ups(&redis, "", every).await.unwrap();
        assert_eq!(stored, recomputed(&arrivals, every));
        println!("{} roll-ups of each {every:?} equal a recomputation", stored.len());
    }
}

/// Logs all calls that take 200 µs or more.
async fn watch(redis: &mut Connection) {
    for (option, value) in [("slowlog-max-len", 100_000), ("slowlog-log-slower-than", 200)] {
        redis::cmd("CONFIG").arg("SET").arg(option).arg(value).exec_async(redis).await.unwrap();
    }
    redis::cmd("SLOWLOG").arg("RESET").exec_async(redis).await.unwrap();
}

/// The longest logged call that changed samples, in microseconds; 0 if none was logged.
async fn longest(redis: &mut Connection) -> u64 {
    type Entry = (u64, u64, u64, Vec<String>);
    let log: Vec<Vec<redis::Value>> =
        redis::cmd("SLOWLOG").arg("GET").arg(-1).query_async(redis).await.unwrap();
    let mut longest = 0;
    for entry in log {
        let (_, _, micros, words): Entry =
            redis::from_redis_value(redis::Value::Array(entry[..4].to_vec())).unwrap();
        if ["EVALSHA", "EVAL", "ZADD", "TS.ADD"].iter().any(|name| words[0].eq_ignore_ascii_case(name)) {
            longest = longest.max(micros);
        }
    }
    longest
}
