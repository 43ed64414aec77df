//! Every lesson passes: on one server, on a cluster, behind a prefix, and on the releases that lack or have something.
//! The server is that of `REDIS_LAB_SERVER`, as in all tests.

use complex_structures::StructureLesson;
use lab_server::Release;

use lab_testing::lessons::{
    assert_all_in_register, assert_pass_on_a_cluster, assert_pass_over_resp3, assert_pass_twice,
    assert_show_what_they_teach, assert_write_only_behind_their_prefix, open, open_release, skipped, table,
    take,
};

#[test]
fn every_lesson_is_in_the_register_under_its_own_name() {
    assert_all_in_register::<StructureLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_twice_in_a_row_and_leave_the_keys_they_name() {
    assert_pass_twice::<StructureLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    assert_pass_on_a_cluster::<StructureLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_over_resp3() {
    assert_pass_over_resp3::<StructureLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    assert_write_only_behind_their_prefix::<StructureLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lesson_shows_the_commands_it_teaches() {
    assert_show_what_they_teach::<StructureLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_lesson_shows_what_is_lost_and_what_is_done_again() {
    let target = open(false).await;
    let page = take(&target, StructureLesson::Lists).await;
    let rows = table(&page, "When workers die");
    assert_eq!(rows[0][1..], ["100", "20", "90", "10", "0"]);
    assert_eq!(rows[1][1..5], ["100", "20", "100", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lessons_show_the_damage_of_asking_first() {
    let target = open(false).await;
    let page = take(&target, StructureLesson::Sets).await;
    let rows = table(&page, "New visitors");
    assert_eq!(rows[0][1..], ["25", "200", "175"]);
    assert_eq!(rows[1][1..], ["25", "25", "0"]);
    let page = take(&target, StructureLesson::Hashes).await;
    let rows = table(&page, "Who got the nickname?");
    assert_eq!((&rows[0][2][..], &rows[1][2][..]), ("16", "1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_lacks_is_skipped_with_who_has_it() {
    let target = open(false).await;
    let parts = [(StructureLesson::Hashes, "HEXPIRE"), (StructureLesson::Sets, "SINTERCARD")];
    for (lesson, command) in parts {
        let page = take(&target, lesson).await;
        let reasons = skipped(&page);
        if target.can(command).await {
            assert!(reasons.is_empty(), "{reasons:?}");
        } else {
            assert!(
                reasons[0].contains(command) && reasons[0].contains("--server valkey-9.1"),
                "{reasons:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn field_deadlines_are_taught_on_redis_too() {
    let Some(target) = open_release(Release::Redis82, None).await else { return };
    let page = take(&target, StructureLesson::Hashes).await;
    assert!(skipped(&page).is_empty(), "nothing is skipped on a server with HEXPIRE");
}
