//! What each lesson counts, shows, and leaves.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod all;
mod idempotency;
mod job_queue;
mod leader;
mod locks;
mod semaphore;
mod social_graph;
mod streams;
mod time_series;
mod timeline;

use lab_connection::Target;
use lab_runner::course::LessonReport;
use lab_testing::lessons::{stored_keys, table};

/// The rows of a table, each as one text.
fn rows(report: &LessonReport, title: &str) -> Vec<String> {
    table(report, title).iter().map(|row| row.join(" | ")).collect()
}

async fn assert_no_key_is_left(target: &Target) {
    let left: Vec<String> =
        stored_keys(target).await.into_iter().filter(|key| !key.starts_with("redis-lab:")).collect();
    assert!(left.is_empty(), "{left:?}");
}
