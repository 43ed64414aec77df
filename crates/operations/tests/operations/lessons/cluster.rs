//! What the cluster lesson counts.

use lab_testing::lessons::{open, run_lesson, table};
use operations::OperationsLesson;

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_and_primaries_change_and_no_caller_of_ours_sees_it() {
    let target = open(false).await;
    let report = run_lesson(&target, OperationsLesson::Cluster).await;
    let moves = table(&report, "Slot by slot, under 50 clients");
    assert_eq!(moves.len(), 2);
    assert_eq!(moves[1][2..5], ["0", "0", "0"], "this project's: lost, doubled, errors");
    assert!(moves[1][1] != "0", "its clients counted");
    let nodes = table(&report, "INCRs by node");
    assert!(nodes[0][4].starts_with('9'), "the hot slot's node gets nine of ten: {nodes:?}");
    let switches = table(&report, "A primary is replaced");
    assert_eq!(switches[0][4], "0", "the planned switch loses nothing");
}
