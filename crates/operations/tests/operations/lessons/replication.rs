//! What the lesson on replication counts.

use lab_testing::lessons::{open, run_lesson, table};
use operations::OperationsLesson;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_shows_old_values_until_wait_has_counted_it() {
    let report = run_lesson(&open(false).await, OperationsLesson::Replication).await;
    let rows = table(&report, "Reading your own write");
    let stale: Vec<usize> = rows.iter().map(|row| row[2].parse().unwrap()).collect();
    assert!(stale[0] > 0, "{rows:?}");
    assert_eq!(stale[1..], [0, 0], "{rows:?}");

    let cut = &table(&report, "After the cut")[0];
    assert_eq!(cut[0], cut[2], "nothing that was acknowledged after the cut is on the replica: {cut:?}");

    let breaks = table(&report, "Two breaks");
    assert_eq!(breaks[0][2..4], ["1", "0"], "{breaks:?}");
    assert_eq!(breaks[1][2..4], ["0", "1"], "{breaks:?}");
}
