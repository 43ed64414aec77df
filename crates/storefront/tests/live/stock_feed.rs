//! Everybody who watches a stock ends with the right level, and never sees a step backwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use proptest::prelude::*;
use redis::Value;
use storefront::stock_feed::{Heard, Stock, StockFeed, StockUpdate, StockView};
use storefront::{Keys, Layout, StoreError};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::shop::moving::Restless;
use crate::shop::{self, Wire, cases, in_each_layout, next_of, sku};

fn update(epoch: u64, version: u64, level: u32) -> StockUpdate {
    StockUpdate { sku: sku("PROD123"), level, version, epoch }
}

fn stock(epoch: u64, version: u64, level: u32) -> Stock {
    Stock { level, version, epoch }
}

#[test]
fn a_view_shows_nothing_before_a_snapshot_and_then_follows() {
    let mut view = StockView::new(sku("PROD123"));
    assert_eq!(view.hear(&update(1, 4, 40)), Heard::Kept);
    assert_eq!(view.hear(&update(1, 5, 50)), Heard::Kept);
    assert_eq!((view.level(), view.wants_snapshot()), (None, true));
    view.read(stock(1, 4, 40));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(50), false));
    assert_eq!(view.hear(&update(1, 5, 50)), Heard::Old);
    assert_eq!(view.hear(&update(1, 6, 60)), Heard::Shown(60));
    let other = StockUpdate { sku: sku("other"), ..update(1, 7, 0) };
    assert_eq!(view.hear(&other), Heard::Old);
}

#[test]
fn a_gap_is_noticed_and_healed_and_an_older_snapshot_changes_nothing() {
    let mut view = StockView::new(sku("PROD123"));
    view.read(Stock::default());
    assert_eq!(view.hear(&update(1, 1, 10)), Heard::Shown(10), "the first change of all");
    assert_eq!(view.hear(&update(1, 3, 30)), Heard::Kept);
    assert_eq!((view.level(), view.gaps(), view.wants_snapshot()), (Some(10), 1, true));
    view.read(stock(1, 1, 10));
    assert!(view.wants_snapshot(), "from a replica that does not know more");
    view.read(Stock::default());
    assert_eq!((view.level(), view.wants_snapshot()), (Some(10), true), "never backwards");
    view.read(stock(1, 2, 20));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(30), false));
    view.disconnected();
    assert_eq!((view.level(), view.wants_snapshot()), (Some(30), true));
    view.read(stock(1, 9, 90));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(90), false));
}

#[test]
fn a_key_that_was_lost_begins_a_new_epoch() {
    let mut view = StockView::new(sku("PROD123"));
    view.read(stock(1, 500, 7));
    assert_eq!(view.hear(&update(2, 2, 8)), Heard::Kept);
    view.read(stock(2, 1, 9));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(8), false));
    assert_eq!(view.hear(&update(1, 501, 0)), Heard::Old);
    assert_eq!(view.hear(&update(3, 1, 4)), Heard::Shown(4));
    // Whatever somebody else publishes.
    assert_eq!(view.hear(&update(3, u64::MAX, 1)), Heard::Kept);
    for version in 0..5_000 {
        view.hear(&update(9, 2 + version, 1));
    }
    view.read(stock(u64::MAX, u64::MAX, 3));
    assert_eq!(view.hear(&update(u64::MAX, u64::MAX, 3)), Heard::Old);
    assert_eq!((view.level(), view.wants_snapshot()), (Some(3), false));
    for text in [
        "",
        "{}",
        "[]",
        r#"{"sku":"a:b","level":1,"version":1,"epoch":1}"#,
        r#"{"sku":"a","level":-1,"version":1,"epoch":1}"#,
    ] {
        assert!(StockUpdate::parse(text.as_bytes()).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Any messages lost, any late, any twice; snapshots of any moment. The last snapshot is fresh.
    #[test]
    fn whatever_is_lost_the_view_ends_right_and_never_steps_back(
        changes in 1..40_u64,
        steps in proptest::collection::vec((any::<bool>(), 0..40_u64), 0..80),
    ) {
        let level = |version: u64| u32::try_from(version * 7 % 10).unwrap();
        let mut view = StockView::new(sku("PROD123"));
        let mut shown = (0, 0);
        let steps = steps.into_iter().map(|(is_message, version)| (is_message, version % changes + 1));
        for (is_message, version) in steps {
            if is_message {
                view.hear(&update(1, version, level(version)));
            } else {
                view.read(stock(1, version, level(version)));
            }
            if let Some(stock) = view.stock() {
                prop_assert!(stock.moment() >= shown);
                prop_assert_eq!(stock.level, level(stock.version));
                shown = stock.moment();
            }
        }
        view.read(stock(1, changes, level(changes)));
        prop_assert_eq!(view.stock(), Some(stock(1, changes, level(changes))));
        prop_assert!(!view.wants_snapshot());
    }
}

#[tokio::test]
async fn each_change_is_numbered_and_published_in_one_round_trip() {
    in_each_layout(async |wire, keys| {
        let (feed, product) = (StockFeed::new(wire.clone(), keys.clone()), sku("PROD123"));
        let mut messages = messages(&keys, 0).await;
        assert_eq!(feed.snapshot(&product).await.unwrap(), Stock::default());
        let first = feed.set(&product, 9).await.unwrap();
        let second = feed.set(&product, u32::MAX).await.unwrap();
        assert_eq!((first.version, second.version, second.level), (1, 2, u32::MAX));
        assert_eq!(first.epoch, second.epoch);
        assert_eq!(feed.snapshot(&product).await.unwrap(), second);
        for expected in [first, second] {
            let heard = next_of(&mut messages, &format!("{expected:?}")).await;
            let heard = StockUpdate::parse(&heard).unwrap();
            assert_eq!((heard.stock(), heard.sku), (expected, product.clone()));
        }
        wire.send(&["DEL", &keys.stock(&product)]).await;
        let third = feed.set(&product, 1).await.unwrap();
        assert!(third.version == 1 && third.moment() > second.moment());
        assert_eq!(wire.round_trips_of(feed.set(&product, 5)).await, 1);
        assert_eq!(wire.round_trips_of(feed.snapshot(&product)).await, 1);

        wire.send(&["HSET", &keys.stock(&product), "level", "many"]).await;
        assert!(matches!(feed.snapshot(&product).await, Err(StoreError::Malformed { .. })));
        wire.send(&["SET", &keys.stock(&product), "somebody's"]).await;
        feed.set(&product, 1).await.unwrap_err();
        assert_eq!(wire.send(&["GET", &keys.stock(&product)]).await, Value::BulkString(b"somebody's".into()));
    })
    .await;
}

fn url(layout: Layout, node: usize) -> String {
    match layout {
        Layout::Standalone => shop::server().url(),
        Layout::Cluster => shop::cluster().urls()[node % 3].clone(),
    }
}

async fn messages(
    keys: &Keys,
    node: usize,
) -> impl futures_util::Stream<Item = Vec<u8>> + Unpin + Send + use<> {
    let client = redis::Client::open(url(keys.layout(), node)).unwrap();
    let mut pubsub = client.get_async_pubsub().await.unwrap();
    pubsub.subscribe(keys.stock_updates(&sku("PROD123"))).await.unwrap();
    Box::pin(pubsub.into_on_message().map(|message| message.get_payload_bytes().to_vec()))
}

/// What one subscriber went through.
struct Watched {
    view: StockView,
    shown: Vec<Stock>,
    snapshots: usize,
    absences: usize,
}

impl Watched {
    fn note(&mut self) {
        if let Some(stock) = self.view.stock()
            && self.shown.last() != Some(&stock)
        {
            assert!(self.shown.last().is_none_or(|last| stock.moment() > last.moment()), "a step backwards");
            self.shown.push(stock);
        }
    }
}

/// Changes of the stock that is watched.
const CHANGES: u32 = 400;

/// Follows the stock until `over` and all is read; is cut off after every `stays` messages, and away for a while.
async fn watch(
    wire: Wire,
    keys: Keys,
    node: usize,
    stays: usize,
    over: Arc<AtomicBool>,
    ready: Arc<AtomicUsize>,
) -> Watched {
    let mut silent_since = Instant::now();
    let feed = StockFeed::new(wire, keys.clone());
    let product = sku("PROD123");
    let mut watched =
        Watched { view: StockView::new(product.clone()), shown: Vec::new(), snapshots: 0, absences: 0 };
    loop {
        let mut messages = messages(&keys, node).await;
        ready.fetch_add(1, Ordering::SeqCst);
        let mut heard = 0;
        while heard < stays {
            if watched.view.wants_snapshot() {
                watched.view.read(feed.snapshot(&product).await.unwrap());
                watched.snapshots += 1;
                watched.note();
            }
            match timeout(Duration::from_millis(50), messages.next()).await {
                Ok(Some(message)) => {
                    heard += 1;
                    silent_since = Instant::now();
                    watched.view.hear(&StockUpdate::parse(&message).unwrap());
                    watched.note();
                }
                Ok(None) => break,
                // Who stays hears the last change, too, however long it is under way.
                Err(_)
                    if stays == usize::MAX
                        && watched.view.stock().is_none_or(|stock| stock.version < u64::from(CHANGES)) =>
                {
                    assert!(
                        silent_since.elapsed() < Duration::from_mins(1),
                        "only {:?} was heard",
                        watched.view.stock()
                    );
                }
                // Silence, and nothing more will come: but the last may have been lost, so a last look. Who was never
                // away has subscribed before the first change, and enough to leave once is still to come.
                Err(_) if over.load(Ordering::SeqCst) && (stays == usize::MAX || watched.absences > 0) => {
                    watched.view.read(feed.snapshot(&product).await.unwrap());
                    watched.note();
                    return watched;
                }
                Err(_) => assert!(silent_since.elapsed() < Duration::from_mins(1), "no more was heard"),
            }
        }
        drop(messages);
        watched.view.disconnected();
        watched.absences += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_that_are_cut_off_end_with_the_right_level() {
    in_each_layout(async |wire, keys| {
        let (over, ready) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicUsize>::default());
        let mut subscribers = JoinSet::new();
        // The first stays, the others are cut off again and again.
        for (node, stays) in [usize::MAX, 40, 7].into_iter().enumerate() {
            let (wire, keys, over, ready) =
                (wire.clone(), keys.clone(), Arc::clone(&over), Arc::clone(&ready));
            subscribers.spawn(watch(wire, keys, node, stays, over, ready));
        }
        shop::until("all have subscribed", async || ready.load(Ordering::SeqCst) >= 3).await;
        let mut publishers = JoinSet::new();
        for publisher in 0..4 {
            let feed = StockFeed::new(wire.clone(), keys.clone());
            publishers.spawn(async move {
                for change in 0..CHANGES / 4 {
                    feed.set(&sku("PROD123"), publisher * 1000 + change).await.unwrap();
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            });
        }
        publishers.join_all().await;
        over.store(true, Ordering::SeqCst);
        let last = StockFeed::new(wire.clone(), keys.clone()).snapshot(&sku("PROD123")).await.unwrap();
        assert_eq!(last.version, u64::from(CHANGES));
        let mut absences = 0;
        for Watched { view, shown, snapshots, absences: away } in subscribers.join_all().await {
            assert_eq!(view.stock(), Some(last));
            assert!(snapshots > away, "one at first, and one after each absence");
            // While the slot moves, two nodes publish, and what one says can overtake what the other said before.
            if away == 0 && !Restless::asked_for() {
                let expected = last.version - shown[0].version + 1;
                assert_eq!(shown.len() as u64, expected, "who stays sees every change");
            }
            println!(
                "{:?}: {away} absences, {snapshots} snapshots, {} states shown",
                keys.layout(),
                shown.len()
            );
            absences += away;
        }
        // All have subscribed before the first change, so each of the two hears enough to be cut off once. How often it
        // is back before the last change, the machine decides.
        assert!(absences >= 2, "only {absences} absences");
    })
    .await;
}
