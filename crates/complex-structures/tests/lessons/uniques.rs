//! The lesson on uniques, and what its approaches promise.

use complex_structures::StructureLesson;
use complex_structures::uniques::{AddVisits, Counting, Visits};
use lab_runner::{Approach, Comparison, Keys};

use lab_testing::lessons::{open, run_lesson, table};

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_exactly_with_sets_and_bitmaps() {
    let report = run_lesson(&open(false).await, StructureLesson::Uniques).await;
    let rows = table(&report, "Different visitors");
    assert_eq!(rows.len(), 9);
    assert_eq!(rows[6][..4], ["100,000", "Set", "100,000", "0.00%"]);
    assert_eq!(rows[7][..4], ["100,000", "bitmap", "100,000", "0.00%"]);
}

#[tokio::test]
async fn all_ways_of_adding_leave_a_count_that_keeps_its_promise() {
    for target in [open(false).await, open(true).await] {
        let visitors = Visits::new("today", 3_000, &Keys::new(""));
        let comparison = Comparison { title: "", approaches: &AddVisits::ALL, input: &visitors };
        comparison.verify(&target.connection()).await.unwrap();
        for approach in AddVisits::ALL {
            let mut connection = target.connection();
            approach.reset(&visitors, &mut connection).await.unwrap();
            assert!(approach.run(&visitors, &mut connection).await.unwrap(), "{}", approach.label());
            let counting = approach.counting();
            let key = counting.key(&Keys::new(""), "today");
            let (counted, _) = counting.count_and_memory(&mut connection, &key).await.unwrap();
            assert!(counting.is_right(counted, 1_500), "{}: {counted}", approach.label());
        }
    }
}

#[tokio::test]
async fn both_ways_of_adding_to_an_estimate_leave_the_same_estimate() {
    let target = open(false).await;
    let mut connection = target.connection();
    let visitors = Visits::new("today", 20_000, &Keys::new(""));
    let [_, _, key] = &visitors.keys();
    let mut counted = Vec::new();
    for approach in [AddVisits::Pipeline(Counting::HyperLogLog), AddVisits::AtOnce(Counting::HyperLogLog)] {
        approach.reset(&visitors, &mut connection).await.unwrap();
        approach.run(&visitors, &mut connection).await.unwrap();
        counted.push(Counting::HyperLogLog.count_and_memory(&mut connection, key).await.unwrap().0);
    }
    assert_eq!(counted[0], counted[1]);
}

#[test]
fn the_promise_of_an_estimate_has_an_end() {
    assert!(Counting::HyperLogLog.is_right(10_240, 10_000));
    assert!(!Counting::HyperLogLog.is_right(10_250, 10_000));
    assert!(!Counting::HyperLogLog.is_right(9_750, 10_000));
    assert!(!Counting::Set.is_right(9_999, 10_000));
    assert!(!Counting::Bitmap.is_right(10_001, 10_000));
}

#[tokio::test]
async fn visitors_are_added_from_the_first_to_the_last() {
    let target = open(false).await;
    let mut connection = target.connection();
    for counting in [Counting::Set, Counting::Bitmap] {
        let key = counting.key(&Keys::new(""), "range");
        counting.add(&mut connection, &key, 5..=12_004).await.unwrap();
        assert_eq!(counting.count_and_memory(&mut connection, &key).await.unwrap().0, 12_000);
    }
}
