//! Every lesson passes, reads well, and shows or announces what it sends to the server of the run. What it sends to its private
//! servers is its own business, so one run on one server is enough.

use lab_testing::lessons::{
    assert_all_in_register, assert_read_well, assert_show_or_announce_what_they_send,
    assert_show_what_they_teach,
};
use operations::OperationsLesson;

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    assert_all_in_register::<OperationsLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_read_well() {
    assert_read_well::<OperationsLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_show_what_they_teach() {
    assert_show_what_they_teach::<OperationsLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_show_or_announce_what_they_send() {
    assert_show_or_announce_what_they_send::<OperationsLesson>().await;
}
