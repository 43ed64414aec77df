//! Every pattern, under every fault: `cargo test -p patterns --test torture`.
//!
//! It prints a row for each: every promise was kept, or the sentence of the docs that says what happens instead. Words select
//! rows: the name of a pattern, or part of the row. All words must match.
//!
//! ```sh
//! cargo test -p patterns --test torture -- recent_views 'clock back'
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test with a table")]

mod active_users;
mod analytics;
mod autocomplete;
mod bought_together;
mod broadcast;
mod cache;
mod cart;
mod catalog;
mod checkout;
mod engine;
mod facets;
mod fence;
mod flash_sale;
mod funnel;
mod holders;
mod interests;
mod inventory;
mod job_queue;
mod leader;
mod limits;
mod lock;
mod login_guard;
mod loops;
mod notifications;
mod once;
mod popular_products;
mod product_vectors;
mod recent_views;
mod recommendations;
mod rest;
mod rights;
mod scheduler;
mod semaphore;
mod sessions;
mod similar_customers;
mod smallest_user;
mod social_graph;
mod stock_feed;
mod stores;
mod stream_worker;
mod time_series;
mod timeline;
mod users;
mod weekly_metrics;
mod workload;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use engine::Outcome;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::Semaphore;
use workload::{Fault, Pattern, Verdict};

/// All patterns, in the order of the README's table.
const PATTERNS: &[Pattern] = &[
    recent_views::PATTERN,
    users::PATTERN,
    catalog::PATTERN,
    cart::PATTERN,
    sessions::PATTERN,
    cache::PATTERN,
    inventory::PATTERN,
    checkout::PATTERN,
    limits::FIXED_WINDOW,
    limits::SLIDING_LOG,
    limits::SLIDING_COUNTER,
    limits::TOKEN_BUCKET,
    login_guard::PATTERN,
    flash_sale::PATTERN,
    notifications::PATTERN,
    stock_feed::PATTERN,
    stores::PATTERN,
    stream_worker::PATTERN,
    broadcast::PATTERN,
    scheduler::PATTERN,
    autocomplete::PATTERN,
    facets::PATTERN,
    interests::PATTERN,
    popular_products::PATTERN,
    bought_together::PATTERN,
    similar_customers::PATTERN,
    product_vectors::PATTERN,
    recommendations::PATTERN,
    analytics::PATTERN,
    weekly_metrics::PATTERN,
    funnel::PATTERN,
    active_users::PATTERN,
    time_series::PATTERN,
    social_graph::PATTERN,
    timeline::PATTERN,
    lock::PATTERN,
    fence::PATTERN,
    leader::PATTERN,
    semaphore::PATTERN,
    once::PATTERN,
    job_queue::PATTERN,
];

/// How many rows run at once. They mostly wait.
const AT_ONCE: usize = 24;

/// Modules that the patterns share.
const SHARED: [&str; 5] = ["key", "lease", "limit", "money", "script"];

/// Patterns that store nothing themselves. These are loops around `job_queue` and `stream_worker`, and their own tests end servers
/// and workers.
const STORELESS: [&str; 2] = ["job_worker", "stream_loop"];

#[tokio::main(worker_threads = 8)]
async fn main() -> ExitCode {
    // Flags are for cargo's own harness, as in `cargo test -- --nocapture`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    println!("\nEach of {} patterns under each fault\n", PATTERNS.len());
    println!("{:18}  {:58}  what came of it", "pattern", "fault");
    let mut table = Table::default();
    for name in without_subject() {
        table.add(
            &name,
            "any",
            Outcome::Violated("expected a workload in tests/torture; found none".to_owned()),
        );
    }
    // It moves slots of the cluster that others share, so it runs alone.
    if is_chosen(&words, smallest_user::CLUSTER_CLIENT, &Fault::SmallestUser) {
        let outcome = smallest_user::prove_cluster_client().await;
        let outcome = outcome.map_or_else(Outcome::Violated, Outcome::Kept);
        table.add(smallest_user::CLUSTER_CLIENT, &Fault::SmallestUser.to_string(), outcome);
    }
    let patterns =
        PATTERNS.iter().filter(|pattern| !words.iter().any(|word| word != pattern.name && is_pattern(word)));
    let mut faults =
        some_at_once(patterns.map(async |pattern| (pattern, caught(engine::faults(pattern)).await)));
    let mut chosen = Vec::new();
    while let Some((pattern, faults)) = faults.next().await {
        match faults {
            Ok(Ok(faults)) => {
                let (of_pattern, others): (Vec<_>, Vec<_>) =
                    faults.into_iter().partition(|fault| is_chosen(&words, pattern.name, fault));
                table.filtered += others.len();
                chosen.extend(of_pattern.into_iter().map(|fault| (pattern, fault)));
            }
            Ok(Err(outcome)) => table.add(pattern.name, "none", outcome),
            Err(panic) => table.add(pattern.name, "none", Outcome::Violated(panic)),
        }
    }
    let patterns: Vec<Row> = chosen.into_iter().map(of_pattern).collect();
    let loops: Vec<Row> = of_loops(&words).collect();
    // The rights of a loop are those beside its pattern's. When these are recorded anew, the pattern's come first.
    let stages = if lab_testing::updates() {
        [patterns, loops]
    } else {
        [loops.into_iter().chain(patterns).collect(), Vec::new()]
    };
    for rows in stages {
        let mut runs = some_at_once(rows.into_iter());
        while let Some((name, fault, outcome)) = runs.next().await {
            table.add(name, &fault.to_string(), outcome);
        }
    }
    table.end()
}

/// What runs for a row of the table. It ends with the name, the fault, and what came of it.
type Row = BoxFuture<'static, (&'static str, Fault, Outcome)>;

fn of_pattern((pattern, fault): (&'static Pattern, Fault)) -> Row {
    Box::pin(async move {
        let running = fault.clone();
        let outcome = caught(async move { engine::run(pattern, &running).await }).await;
        (pattern.name, fault, outcome.unwrap_or_else(Outcome::Violated))
    })
}

/// A row for each loop around a pattern: the rights that it needs beside those of the pattern.
fn of_loops(words: &[String]) -> impl Iterator<Item = Row> {
    let chosen = loops::LOOPS.iter().filter(|(name, ..)| is_chosen(words, name, &Fault::SmallestUser));
    chosen.map(|&(name, of, work)| -> Row {
        Box::pin(async move {
            let outcome = caught(smallest_user::prove_loop(name, of, work)).await.flatten();
            (name, Fault::SmallestUser, outcome.map_or_else(Outcome::Violated, Outcome::Kept))
        })
    })
}

/// The results in order. At most [`AT_ONCE`] run, and a slow one does not hold back those behind it, as `buffered(AT_ONCE)` would.
fn some_at_once<F: Future>(futures: impl Iterator<Item = F>) -> impl Stream<Item = F::Output> + Unpin {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let waiting = futures.map(move |future| {
        let permits = Arc::clone(&permits);
        async move {
            let _permit = permits.acquire().await;
            future.await
        }
    });
    Box::pin(stream::iter(waiting).buffered(usize::MAX))
}

/// The rows so far.
struct Table {
    start: Instant,
    passed: usize,
    skipped: usize,
    filtered: usize,
    violations: Vec<String>,
}

impl Default for Table {
    fn default() -> Self {
        Self { start: Instant::now(), passed: 0, skipped: 0, filtered: 0, violations: Vec::new() }
    }
}

impl Table {
    fn add(&mut self, pattern: &str, fault: &str, outcome: Outcome) {
        let (passed, result) = match outcome {
            Outcome::Kept(Verdict::Held) => (1, "held".to_owned()),
            Outcome::Kept(Verdict::Contract(sentence)) => (1, sentence.to_owned()),
            Outcome::NotNeeded => (1, "held; no call needed it".to_owned()),
            Outcome::Skipped(why) => {
                self.skipped += 1;
                (0, format!("skipped: {why}"))
            }
            Outcome::Violated(found) => {
                self.violations.push(format!(
                    "VIOLATED: {pattern}, {fault}\n{found}\n\
                     Only this: cargo test -p patterns --test torture -- {pattern} '{fault}'"
                ));
                (0, "VIOLATED".to_owned())
            }
        };
        self.passed += passed;
        println!("{pattern:18}  {fault:58}  {result}");
    }

    /// Prints the violations, and the line by which a test run ends.
    fn end(self) -> ExitCode {
        let Self { start, passed, skipped, filtered, violations } = self;
        for violation in &violations {
            println!("\n{violation}");
        }
        println!(
            "\ntest result: {}. {passed} passed; {} failed; {skipped} ignored; 0 measured; {filtered} filtered out; \
             finished in {:.2}s\n",
            if violations.is_empty() { "ok" } else { "FAILED" },
            violations.len(),
            start.elapsed().as_secs_f64()
        );
        ExitCode::from(u8::from(!violations.is_empty()))
    }
}

/// Runs in its own task, so a panic of a workload is a violation like any other.
async fn caught<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    tokio::spawn(work).await.map_err(|error| {
        let panic = error.into_panic();
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        format!("it panicked: {}", text.unwrap_or("no word why"))
    })
}

/// The patterns of the library that are not in [`PATTERNS`].
fn without_subject() -> Vec<String> {
    let modules = include_str!("../../src/lib.rs").lines();
    let modules = modules.filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    modules
        .filter(|name| !SHARED.contains(name) && !STORELESS.contains(name) && !is_pattern(name))
        .map(str::to_owned)
        .collect()
}

/// Whether each word is the pattern's name or part of the row.
fn is_chosen(words: &[String], pattern: &str, fault: &Fault) -> bool {
    let row = format!("{pattern} {fault}");
    words.iter().all(|word| word == pattern || row.contains(word.as_str()))
}

fn is_pattern(word: &str) -> bool {
    PATTERNS.iter().any(|pattern| pattern.name == word)
}
