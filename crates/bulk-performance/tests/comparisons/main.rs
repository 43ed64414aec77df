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

use bulk_performance::BulkLesson;
use lab_runner::{Course, Lesson};
use lab_testing::lessons;

#[test]
fn every_lesson_is_in_the_register_under_its_own_name() {
    lab_testing::lessons::assert_all_in_register::<bulk_performance::BulkLesson>(env!("CARGO_MANIFEST_DIR"));
}

/// The lessons that are written in steps.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Stepped {
    Insert,
    Biglist,
}

impl lab_runner::Course for Stepped {
    const TITLE: &'static str = "Lessons in steps";

    fn lesson(self) -> &'static lab_runner::Lesson {
        match self {
            Self::Insert => &bulk_performance::insert::LESSON,
            Self::Biglist => &bulk_performance::biglist::LESSON,
/// The lessons on reading.
enum ReadingLesson {
    Query,
    Memory,
    Concurrency,
impl Course for ReadingLesson {
    const TITLE: &'static str = "Reading";
    fn lesson(self) -> &'static Lesson {
            Self::Query => BulkLesson::Query.lesson(),
            Self::Memory => BulkLesson::Memory.lesson(),
            Self::Concurrency => BulkLesson::Concurrency.lesson(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_shows_the_rust_that_sends_its_commands() {
    lab_testing::lessons::assert_read_well::<Stepped>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_sent_is_shown_or_announced() {
    lab_testing::lessons::assert_show_or_announce_what_they_send::<Stepped>().await;
async fn lessons_read_well() {
    lessons::assert_read_well::<ReadingLesson>().await;
async fn lessons_show_or_announce_what_they_send() {
    lessons::assert_show_or_announce_what_they_send::<ReadingLesson>().await;
async fn lessons_show_what_they_teach() {
    lessons::assert_show_what_they_teach::<ReadingLesson>().await;
}
