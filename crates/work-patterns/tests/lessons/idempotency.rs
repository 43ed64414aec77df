use lab_testing::lessons::{open, run_lesson, table};
use work_patterns::WorkLesson;
use work_patterns::idempotency::{Payments, Way, after_a_crash, pay_at_once};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_record_charges_once_and_answers_all() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let expected = [
            (Payments { charges: 30, answers: 30 }, 1),
            (Payments { charges: 1, answers: 1 }, 0),
            (Payments { charges: 1, answers: 30 }, 1),
        ];
        for (way, (payments, crashed)) in Way::ALL.into_iter().zip(expected) {
            assert_eq!(pay_at_once(way, &target, 30).await.unwrap(), payments, "{way:?}");
            assert_eq!(after_a_crash(way, &target).await.unwrap(), crashed, "{way:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_charges() {
    let report = run_lesson(&open(false).await, WorkLesson::Idempotency).await;
    let rows = table(&report, "Copies of a payment");
    let charged: Vec<&str> = rows.iter().map(|row| row[2].as_str()).collect();
    assert_eq!(charged, ["10", "1", "1"]);
}
