//! Tables that compare: every row has done the same, and what is not the same is said.

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
mod reports;

use bulk_performance::BulkLesson;
use lab_testing::lessons;

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    lessons::assert_all_in_registry::<BulkLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screens_of_all_lessons_are_complete() {
    lessons::assert_screens_of_all_are_complete::<BulkLesson>().await;
}
