//! Every lesson passes: on one server, on a cluster, behind a prefix, and where the server has JSON.

use lab_server::Release;
use simple_ops::SimpleLesson;

use lab_testing::lessons::{
    assert_all_in_registry, assert_pass_on_a_cluster, assert_pass_twice,
    assert_write_only_behind_their_prefix, open, open_release, run_lesson, skipped, table,
};

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    assert_all_in_registry::<SimpleLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_over_resp3_and_again_and_show_what_they_send() {
    assert_pass_twice::<SimpleLesson>(&open(false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    assert_pass_on_a_cluster::<SimpleLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    assert_write_only_behind_their_prefix::<SimpleLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_lesson_shows_what_is_lost() {
    let target = open(false).await;
    let report = run_lesson(&target, SimpleLesson::Counters).await;
    let rows = table(&report, "Lost updates");
    assert_eq!(rows[0][1..], ["1,600", "50", "1,550", "0"]);
    assert_eq!(rows[2][1..4], ["1,600", "1,600", "0"]);
    assert_eq!(rows[3][1..], ["1,600", "1,600", "0", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_values_are_taught_where_the_server_has_them() {
    let Some(target) = open_release(Release::Redis82Modules, None).await else { return };
    let report = run_lesson(&target, SimpleLesson::Json).await;
    assert!(skipped(&report).is_empty(), "nothing is skipped on a server with JSON commands");
    let lost = table(&report, "Lost changes");
    assert_eq!(lost.last().unwrap()[..4], ["JSON value: JSON.NUMINCRBY", "225", "225", "0"]);
    assert_eq!(table(&report, "Bytes in memory per product").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_json_commands_the_lesson_says_who_has_them() {
    let target = open(false).await;
    if target.can("JSON.SET").await {
        return;
    }
    let report = run_lesson(&target, SimpleLesson::Json).await;
    assert!(skipped(&report)[0].contains("--server redis-8.2-modules"), "{:?}", skipped(&report));
}
