//! Every pattern, under every fault: `cargo test -p patterns --test torture`.
//!
//! It prints a row for each: that every promise was kept, or the sentence of the contract that says what happened instead.
//! Words select rows: the name of a pattern, or part of the row.
//!
//! ```sh
//! cargo test -p patterns --test torture -- recent_views 'clock back'
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test with a table")]

mod active_users;
mod analytics;
mod autocomplete;
mod bought_together;
mod cache;
mod cart;
mod catalog;
mod checkout;
mod engine;
mod facets;
mod flash_sale;
mod funnel;
mod interests;
mod inventory;
mod limits;
mod login_guard;
mod notifications;
mod popular_products;
mod recent_views;
mod recommendations;
mod sessions;
mod similar_customers;
mod stock_feed;
mod stores;
mod subject;
mod users;
mod weekly_metrics;

use std::process::ExitCode;
use std::time::Instant;

use engine::Outcome;
use futures_util::{StreamExt, stream};
use subject::{Fault, Pattern, Verdict};

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
    autocomplete::PATTERN,
    facets::PATTERN,
    interests::PATTERN,
    popular_products::PATTERN,
    bought_together::PATTERN,
    similar_customers::PATTERN,
    recommendations::PATTERN,
    analytics::PATTERN,
    weekly_metrics::PATTERN,
    funnel::PATTERN,
    active_users::PATTERN,
];

/// How many faults of one pattern go on at once.
const AT_ONCE: usize = 4;

#[tokio::main]
async fn main() -> ExitCode {
    let start = Instant::now();
    // Flags are for cargo's own harness, as in `cargo test -- --nocapture`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    println!("\nEach of {} patterns under each fault\n", PATTERNS.len());
    println!("{:18}  {:58}  what came of it", "pattern", "fault");
    let (mut passed, mut skipped, mut filtered) = (0, 0, 0);
    let mut violations = Vec::new();
    for pattern in PATTERNS {
        let faults = match engine::faults(pattern).await {
            Ok(faults) => faults,
            Err(found) => {
                println!("{:18}  {:58}  VIOLATED", pattern.name, "none");
                violations.push((pattern.name, "none".to_owned(), found));
                continue;
            }
        };
        let (chosen, others): (Vec<_>, Vec<_>) =
            faults.into_iter().partition(|fault| is_chosen(&words, pattern, fault));
        filtered += others.len();
        let mut runs = stream::iter(chosen).map(|fault| run(pattern, fault)).buffered(AT_ONCE);
        while let Some((fault, outcome)) = runs.next().await {
            let result = match outcome {
                Outcome::Kept(verdict) => {
                    passed += 1;
                    match verdict {
                        Verdict::Held => "held".to_owned(),
                        Verdict::Contract(sentence) => sentence.to_owned(),
                    }
                }
                Outcome::NotNeeded => {
                    passed += 1;
                    "held; no call needed it".to_owned()
                }
                Outcome::Skipped(why) => {
                    skipped += 1;
                    format!("skipped: {why}")
                }
                Outcome::Violated(found) => {
                    violations.push((pattern.name, fault.to_string(), found));
                    "VIOLATED".to_owned()
                }
            };
            println!("{:18}  {:58}  {result}", pattern.name, fault.to_string());
        }
    }
    for (pattern, fault, found) in &violations {
        println!("\nVIOLATED: {pattern}, {fault}\n{found}");
        println!("Only this: cargo test -p patterns --test torture -- {pattern} '{fault}'");
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

/// In a task of its own, so that a panic of the subject is a violation like any other.
async fn run(pattern: &'static Pattern, fault: Fault) -> (Fault, Outcome) {
    let running = fault.clone();
    let ended = tokio::spawn(async move { engine::run(pattern, &running).await }).await;
    let outcome = ended.unwrap_or_else(|error| {
        let panic = error.into_panic();
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Outcome::Violated(format!("it panicked: {}", text.unwrap_or("no word why")))
    });
    (fault, outcome)
}

/// Whether each word is the pattern's name or part of the row.
fn is_chosen(words: &[String], pattern: &Pattern, fault: &Fault) -> bool {
    let row = format!("{} {fault}", pattern.name);
    words.iter().all(|word| match PATTERNS.iter().find(|other| other.name == word) {
        Some(other) => other.name == pattern.name,
        None => row.contains(word.as_str()),
    })
}
