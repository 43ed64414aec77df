//! What the persistence lesson counts.

use lab_testing::lessons::{open, run_lesson, table};
use operations::OperationsLesson;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_takes_what_memory_has_and_a_power_cut_what_was_not_synced() {
    let target = open(false).await;
    let report = run_lesson(&target, OperationsLesson::Persistence).await;
    let lost = |row: &Vec<String>| row[2].clone();
    let kills: Vec<String> = table(&report, "After a kill -9").iter().map(lost).collect();
    assert_eq!(kills, ["600", "300"], "nothing saved, and a snapshot halfway");
    let policies: Vec<_> =
        table(&report, "One client, one write at a time").iter().map(|row| &row[3..]).collect();
    assert_eq!(policies, [["0", "100"], ["0", "100"], ["0", "0"]], "no, everysec, always");
    let restarts = table(&report, "Restart");
    assert_eq!(restarts.len(), 5);
}
