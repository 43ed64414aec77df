use std::time::Duration;

use lab_testing::lessons::{open, run_lesson, skipped, table};
use work_patterns::WorkLesson;
use work_patterns::locks::{FiveServers, Redlock, Way, locks_without_end, stale_writes};

const TTL: Duration = Duration::from_millis(40);

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_dies_before_expire_leaves_a_lock_without_end() {
    for cluster in [false, true] {
        assert_eq!(locks_without_end(&open(cluster).await, 40).await.unwrap(), 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_holder_writes_late_unless_there_is_a_fence() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        assert_eq!(stale_writes(Way::LockAlone, &target, 30, TTL).await.unwrap(), 30);
        assert_eq!(stale_writes(Way::LockAndFence, &target, 30, TTL).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redlock_survives_a_loss_and_not_a_pause() {
    let (target, mut servers) = (open(false).await, FiveServers::start().await.unwrap());
    let mut found = Vec::new();
    for way in Redlock::ALL {
        let twice = servers.held_twice_after_a_loss(way, 5).await.unwrap();
        found.push((twice, servers.stale_writes(way, &target, 5, TTL).await.unwrap()));
    }
    assert_eq!(found, [(5, 5), (0, 5), (5, 0)]);
    assert_eq!(servers.costs(3).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_stale_writes_and_skips_what_the_server_lacks() {
    let target = open(false).await;
    let report = run_lesson(&target, WorkLesson::Locks).await;
    let rows = table(&report, "Holders that were stopped");
    assert_eq!(rows, [["lock alone", "10", "10"], ["lock and fence", "10", "0"]]);
    let lacks = !target.can("DELIFEQ").await && !target.can("DELEX").await;
    assert_eq!(skipped(&report).iter().any(|reason| reason.contains("DELIFEQ")), lacks);
}
