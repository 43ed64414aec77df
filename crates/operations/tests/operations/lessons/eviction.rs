//! What the lesson on eviction counts.

use lab_testing::lessons::{open, run_lesson, table};
use operations::OperationsLesson;
use operations::eviction::{Ideal, Trace, hit_rate};

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_is_beside_exact_lru_and_lfu() {
    let report = run_lesson(&open(false).await, OperationsLesson::Eviction).await;
    let policies: Vec<&str> =
        table(&report, "Hit rate of customers").iter().map(|row| row[0].as_str()).collect();
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction", "exact LRU", "exact LFU"] {
        assert!(policies.contains(&policy), "{policy} is not in {policies:?}");
    }
    for row in table(&report, "What a full cache took") {
        let counts: Vec<usize> = row[1..].iter().map(|cell| cell.replace(',', "").parse().unwrap()).collect();
        assert_eq!(counts[2] > 0, row[0] == "allkeys-lru", "only allkeys-lru evicts queues: {row:?}");
        assert_eq!(counts[0] == 0, row[0] == "noeviction", "only noeviction keeps locks: {row:?}");
    }
}

#[test]
fn exact_lfu_withstands_a_scan_and_exact_lru_does_not() {
    let (calm, scanned) = (Trace::zipf(1), Trace::with_scans(1));
    let loss = |ideal| hit_rate(ideal, &calm, 1_000).percent() - hit_rate(ideal, &scanned, 1_000).percent();
    assert!(loss(Ideal::Lru) > 10.0);
    assert!(loss(Ideal::Lfu) < 8.0);
}
