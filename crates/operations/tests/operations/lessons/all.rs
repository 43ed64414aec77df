//! Every lesson passes, reads well, and shows or announces what it sends to the server of the run. What it sends to its private
//! servers does not depend on that server, so one run is enough.

use lab_testing::lessons::{assert_all_in_registry, assert_screens_of_all_are_complete};
use operations::OperationsLesson;

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    assert_all_in_registry::<OperationsLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screens_of_all_lessons_are_complete() {
    assert_screens_of_all_are_complete::<OperationsLesson>().await;
}
