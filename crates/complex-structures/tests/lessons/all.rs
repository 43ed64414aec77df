//! Every lesson passes: on one server, on a cluster, behind a prefix, and on the releases that lack or have something.
//! The server is that of `REDIS_LAB_SERVER`, as in all tests.

use complex_structures::StructureLesson;
use lab_server::Release;

use lab_testing::lessons::{
    assert_all_in_registry, assert_pass_on_a_cluster, assert_pass_twice,
    assert_write_only_behind_their_prefix, open, open_release, run_lesson, skipped, table,
};

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    assert_all_in_registry::<StructureLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    assert_pass_on_a_cluster::<StructureLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    assert_write_only_behind_their_prefix::<StructureLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_all_lessons_passed_twice_user_1_is_parker_perry() {
    let target = open(false).await;
    assert_pass_twice::<StructureLesson>(&target).await;
    // Now over the functions that it loaded, which it does on private servers only.
    run_lesson(&target, StructureLesson::Transactions).await;
    let fields = ["firstname", "lastname", "email", "age", "city", "department", "salary", "signup"];
    let (values, count): (Vec<String>, usize) = redis::pipe()
        .hmget("user:1", &fields)
        .hlen("user:1")
        .query_async(&mut target.connection())
        .await
        .unwrap();
    let parker = "Parker Perry parker.perry.1@example.com 59 New York Finance 72300 2020-07-09";
    assert_eq!((values.join(" ").as_str(), count), (parker, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_lesson_shows_lost_and_repeated_jobs() {
    let target = open(false).await;
    let report = run_lesson(&target, StructureLesson::Lists).await;
    let rows = table(&report, "When workers die");
    assert_eq!(rows[0][1..], ["100", "20", "90", "10", "0"]);
    assert_eq!(rows[1][1..5], ["100", "20", "100", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lessons_show_the_damage_of_asking_first_and_say_which_server_has_a_skipped_part() {
    let target = open(false).await;
    let sets = run_lesson(&target, StructureLesson::Sets).await;
    let rows = table(&sets, "New visitors");
    assert_eq!(rows[0][1..], ["25", "200", "175"]);
    assert_eq!(rows[1][1..], ["25", "25", "0"]);
    let hashes = run_lesson(&target, StructureLesson::Hashes).await;
    let rows = table(&hashes, "Who got the nickname?");
    assert_eq!((&rows[0][2][..], &rows[1][2][..]), ("16", "1"));
    for (report, command) in [(hashes, "HEXPIRE"), (sets, "SINTERCARD")] {
        let reasons = skipped(&report);
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
async fn redis_8_2_expires_fields_too() {
    let Some(target) = open_release(Release::Redis82, None).await else { return };
    let report = run_lesson(&target, StructureLesson::Hashes).await;
    assert!(skipped(&report).is_empty(), "nothing is skipped on a server with HEXPIRE");
}
