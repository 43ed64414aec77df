//! Every lesson passes: twice in a row, on a cluster, behind a prefix. The server is that of `REDIS_LAB_SERVER`, as in all
//! tests.

use lab_testing::lessons::{
    assert_all_in_registry, assert_pass_on_a_cluster, assert_pass_over_resp3, assert_pass_twice,
    assert_screens_are_complete_and_ask, assert_write_only_behind_their_prefix,
};
use work_patterns::WorkLesson;

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    assert_all_in_registry::<WorkLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_twice_in_a_row_and_leave_the_keys_they_name() {
    assert_pass_twice::<WorkLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    assert_pass_on_a_cluster::<WorkLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_over_resp3() {
    assert_pass_over_resp3::<WorkLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    assert_write_only_behind_their_prefix::<WorkLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screens_of_all_lessons_are_complete() {
    assert_screens_are_complete_and_ask::<WorkLesson>().await;
}
