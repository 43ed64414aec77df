//! Tables that compare: every row has done the same, and what is not so is said.

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

#[test]
fn every_lesson_is_in_the_register_under_its_own_name() {
    lab_testing::lessons::assert_all_in_register::<bulk_performance::BulkLesson>(env!("CARGO_MANIFEST_DIR"));
}
