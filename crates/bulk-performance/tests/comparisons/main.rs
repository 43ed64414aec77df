//! Tables that compare: every approach does the same work, and the lessons around them say so.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod biglist;
mod concurrency;
mod fakes;
mod insert;
mod memory;
mod peers;
mod query;

use bulk_performance::BulkLesson;
use lab_testing::lessons;

#[test]
fn every_lesson_is_in_the_register_under_its_own_name() {
    lessons::assert_all_in_register::<BulkLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_shows_the_rust_that_sends_its_commands() {
    lessons::assert_read_well::<BulkLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_sent_is_shown_or_announced() {
    lessons::assert_show_or_announce_what_they_send::<BulkLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_show_what_they_teach() {
    lessons::assert_show_what_they_teach::<BulkLesson>().await;
}
