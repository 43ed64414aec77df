//! The lesson on uniques, and what its approaches promise.
#![expect(clippy::unwrap_used, reason = "functions of a test, which clippy does not take for one")]

use std::sync::{Arc, Mutex};

use complex_structures::keys::Keys;
use complex_structures::uniques::{AddVisitors, Counting, LESSON, Visitors};
use lab_connection::{Target, TargetArgs, own_keys};
use lab_runner::block::Block;
use lab_runner::{Approach, Comparison, Page};

async fn single() -> Target {
    TargetArgs::private().open().await.unwrap()
}

async fn cluster() -> Target {
    TargetArgs { cluster: true, ..TargetArgs::private() }.open().await.unwrap()
}

/// Takes the lesson and returns its page; a broken claim fails the test.
async fn take(target: &Target) -> Vec<Block> {
    let written = Arc::new(Mutex::new(Vec::new()));
    let notebook = Arc::clone(&written);
    let mut page = Page::new(target.clone(), move |block| notebook.lock().unwrap().push(block));
    if let Err(error) = (LESSON.teach)(&mut page).await {
        panic!("on {}: {error}\nlast on its page: {:#?}", target.describe(), written.lock().unwrap().last());
    }
    written.lock().unwrap().clone()
}

async fn stored_keys(target: &Target) -> Vec<String> {
    let keys = own_keys::matching(&mut target.connection(), "*", 10_000).await.unwrap();
    keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_passes_twice_and_shows_the_price_of_exactness() {
    let target = single().await;
    take(&target).await;
    let page = take(&target).await;
    let rows = page.iter().find_map(|block| match block {
        Block::Facts(facts) if facts.title == "Different visitors" => Some(facts.rows.clone()),
        _ => None,
    });
    let rows = rows.unwrap();
    assert_eq!(rows.len(), 9);
    assert_eq!(rows[6][..4], ["100,000", "Set", "100,000", "0.00 %"]);
    assert_eq!(rows[7][..4], ["100,000", "bitmap", "100,000", "0.00 %"]);
    let named =
        page.iter().find_map(|block| if let Block::Keys { names } = block { Some(names) } else { None });
    let stored = stored_keys(&target).await;
    assert!(named.unwrap().iter().all(|name| stored.contains(name)), "{named:?}, {stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_passes_on_a_cluster() {
    take(&cluster().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_writes_only_behind_its_prefix() {
    let target = TargetArgs { prefix: Some("lab:".into()), ..TargetArgs::private() }.open().await.unwrap();
    take(&target).await;
    let strays: Vec<String> =
        stored_keys(&target).await.into_iter().filter(|key| !key.starts_with("lab:")).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[tokio::test]
async fn all_ways_of_adding_leave_a_count_that_keeps_its_promise() {
    for target in [single().await, cluster().await] {
        let visitors = Visitors::on("today", 3_000, &Keys::new(""));
        let comparison = Comparison { title: "", approaches: &AddVisitors::ALL, subject: &visitors };
        comparison.verify(&target.connection()).await.unwrap();
        for approach in AddVisitors::ALL {
            let mut connection = target.connection();
            approach.reset(&visitors, &mut connection).await.unwrap();
            assert!(approach.run(&visitors, &mut connection).await.unwrap(), "{}", approach.label());
            let counting = approach.counting();
            let key = counting.key(&Keys::new(""), "today");
            let counted = counting.count(&mut connection, &key).await.unwrap();
            assert!(counting.is_right(counted, 1_500), "{}: {counted}", approach.label());
        }
    }
}

#[tokio::test]
async fn both_ways_of_adding_to_an_estimate_leave_the_same_estimate() {
    let target = single().await;
    let mut connection = target.connection();
    let visitors = Visitors::on("today", 20_000, &Keys::new(""));
    let mut counted = Vec::new();
    for approach in [AddVisitors::EstimatePipeline, AddVisitors::EstimateAtOnce] {
        approach.reset(&visitors, &mut connection).await.unwrap();
        approach.run(&visitors, &mut connection).await.unwrap();
        counted.push(Counting::HyperLogLog.count(&mut connection, visitors.estimate()).await.unwrap());
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
    let target = single().await;
    let mut connection = target.connection();
    for counting in [Counting::Set, Counting::Bitmap] {
        let key = counting.key(&Keys::new(""), "range");
        counting.add(&mut connection, &key, 5, 12_004).await.unwrap();
        assert_eq!(counting.count(&mut connection, &key).await.unwrap(), 12_000);
    }
}
