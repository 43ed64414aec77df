use lab_testing::lessons::{open, run_lesson, table};
use work_patterns::WorkLesson;
use work_patterns::semaphore::{Jobs, Way, run_jobs};

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_leaks_its_places_and_permits_do_not() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let counter = run_jobs(Way::Counter, &target, 12).await.unwrap();
        assert_eq!(counter, Jobs { done: 9, died: 3, refused: 0, leaked: 3 });
        let permits = run_jobs(Way::Permits, &target, 16).await.unwrap();
        assert_eq!(permits, Jobs { done: 12, died: 4, refused: 0, leaked: 0 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_leaked_places() {
    let report = run_lesson(&open(false).await, WorkLesson::Semaphore).await;
    let rows = table(&report, "Jobs that die inside");
    assert_eq!(rows[0], ["INCR and DECR", "20", "3", "9", "8", "3"]);
    assert_eq!(rows[1], ["permits with a lease", "20", "5", "15", "0", "0"]);
}
