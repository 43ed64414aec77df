//! Every lesson passes: twice in a row, on a cluster, behind a prefix. The server is that of `REDIS_LAB_SERVER`, as in all
//! tests.

use lab_testing::lessons::{
    assert_all_in_register, assert_pass_on_a_cluster, assert_pass_over_resp3, assert_pass_twice,
    assert_read_well, assert_show_or_announce_what_they_send, assert_show_what_they_teach,
    assert_write_only_behind_their_prefix,
};
use operations::OperationsLesson;

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    assert_all_in_register::<OperationsLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_twice_in_a_row_and_leave_the_keys_they_name() {
    assert_pass_twice::<OperationsLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    assert_pass_on_a_cluster::<OperationsLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_over_resp3() {
    assert_pass_over_resp3::<OperationsLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    assert_write_only_behind_their_prefix::<OperationsLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lesson_shows_the_commands_it_teaches() {
    assert_show_what_they_teach::<OperationsLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_read_well() {
    assert_read_well::<OperationsLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_show_or_announce_what_they_send() {
    assert_show_or_announce_what_they_send::<OperationsLesson>().await;
}
