use lab_testing::lessons::{open, run_lesson, table};
use work_patterns::WorkLesson;
use work_patterns::time_series::{Store, arrivals, burst, distinct};

#[tokio::test(flavor = "multi_thread")]
async fn only_packed_samples_are_neither_lost_nor_counted_twice() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let report = run_lesson(&target, WorkLesson::TimeSeries).await;
        let rows = table(&report, "Events that are stored");
        let numbers: Vec<[&str; 3]> = rows.iter().map(|row| [&*row[1], &*row[2], &*row[3]]).collect();
        let expected = [
            ["900", "20", "20"],
            ["900", "300", "300"],
            ["900", "600", "600"],
            ["900", "900", "1800"],
            ["900", "900", "900"],
        ];
        assert_eq!(numbers, expected);
        let each = |label: &str| {
            let row = table(&report, "Memory").iter().find(|row| row[0] == label).unwrap();
            row[3].parse::<f64>().unwrap()
        };
        assert!(each(Store::Pattern.label()) * 4.0 < each(Store::MemberIsBoth.label()));
    }
}

#[test]
fn of_the_samples_5_percent_are_late_and_1_percent_come_twice() {
    let arrivals = arrivals(10_000);
    assert_eq!((arrivals.len(), distinct(&arrivals)), (10_100, 10_000));
    let mut latest = 0;
    let late = arrivals.iter().filter(|sample| {
        let late = sample.at + 60_000 <= latest;
        latest = latest.max(sample.at);
        late
    });
    assert!((450..=500).contains(&late.count()));
    let events = burst(900);
    assert_eq!((events.len(), distinct(&events)), (900, 900));
}
