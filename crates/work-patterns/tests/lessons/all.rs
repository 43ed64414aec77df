//! Every lesson passes: twice in a row, on a cluster, behind a prefix. The server is that of `REDIS_LAB_SERVER`, as in all
//! tests.

use lab_testing::lessons::{
    assert_all_in_registry, assert_pass_on_a_cluster, assert_pass_twice,
    assert_write_only_behind_their_prefix, open,
};
use work_patterns::WorkLesson;

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    assert_all_in_registry::<WorkLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_over_resp3_and_again_and_show_what_they_send() {
    assert_pass_twice::<WorkLesson>(&open(false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    assert_pass_on_a_cluster::<WorkLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    assert_write_only_behind_their_prefix::<WorkLesson>().await;
}
