//! What the lessons on job queues count, and what they leave.

use lab_testing::lessons::{open, run_lesson, table};
use work_patterns::WorkLesson;

use crate::rows;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pattern_does_the_jobs_of_killed_workers() {
    for cluster in [false, true] {
        let report = run_lesson(&open(cluster).await, WorkLesson::JobQueue).await;
        assert_eq!(
            rows(&report, "Workers that are killed"),
            [
                "LPOP | 20 | 5 | 15 | 0 | 5",
                "LMOVE, LREM | 20 | 5 | 15 | 5 | 0",
                "job_queue | 20 | 5 | 20 | 0 | 0"
            ]
        );
        assert_eq!(
            rows(&report, "Dead letters"),
            ["poison | 3 | 0 | no such address", "killer | 0 | 3 | worker lost"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pattern_runs_what_is_due_once() {
    for cluster in [false, true] {
        let report = run_lesson(&open(cluster).await, WorkLesson::DelayedJobs).await;
        assert_eq!(
            rows(&report, "Jobs that are due"),
            ["ZRANGEBYSCORE, ZREM | 20 | 4 | 80 | 60", "job_queue | 20 | 4 | 20 | 0"]
        );
        assert_eq!(table(&report, "Due at the same moment")[0][..3], ["2,000", "4", "2,000"]);
        assert_eq!(rows(&report, "Pauses"), ["pause in s | 1 | 2 | 4 | 8 | 16 | 2048 | 3600 | 3600"]);
    }
}
