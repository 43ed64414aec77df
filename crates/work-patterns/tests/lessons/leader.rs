use lab_testing::lessons::{open, run_lesson, table};
use work_patterns::WorkLesson;
use work_patterns::leader::{Way, elections_with_two_leaders};

#[tokio::test(flavor = "multi_thread")]
async fn get_and_set_elects_two_and_the_script_one() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        assert_eq!(elections_with_two_leaders(Way::GetAndSet, &target, 20).await.unwrap(), 20);
        assert_eq!(elections_with_two_leaders(Way::Campaign, &target, 20).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_elections_and_takeovers() {
    let report = run_lesson(&open(false).await, WorkLesson::Leader).await;
    let rows = table(&report, "Two candidates at the same moment");
    assert_eq!(rows, [["GET, then SET", "10", "10"], ["one script", "10", "0"]]);
    assert_eq!(table(&report, "Takeovers").len(), 3);
}
