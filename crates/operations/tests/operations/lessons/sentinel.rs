//! What the lesson on Sentinel counts.

use lab_testing::lessons::{open, run_lesson, table};
use operations::OperationsLesson;

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_exactly_what_no_replica_had() {
    let report = run_lesson(&open(false).await, OperationsLesson::Sentinel).await;
    let rows = table(&report, "After the failover");
    let lost: Vec<&str> = rows.iter().map(|row| row[3].as_str()).collect();
    assert_eq!(lost, ["0", "500", "1", "0"], "{rows:?}");
    for row in rows {
        let number = |cell: &str| cell.parse::<usize>().unwrap();
        assert_eq!(number(&row[1]), number(&row[2]) + number(&row[3]), "{row:?}");
    }
}
