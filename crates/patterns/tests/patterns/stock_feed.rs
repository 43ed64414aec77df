use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use lab_testing::{TestConnection, cases, next_of, prefix, until};
use patterns::script::StoreError;
use patterns::stock_feed::{Inbox, MessageEffect, Stock, StockFeed, StockUpdate, StockView};
use proptest::prelude::*;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;

use crate::everywhere;

const SKU: &str = "PROD123";

fn update(previous: u64, version: u64, level: u32) -> StockUpdate {
    StockUpdate { sku: SKU.into(), level, version, previous }
}

fn stock(version: u64, level: u32) -> Stock {
    Stock { level, version }
}

#[test]
fn a_view_shows_nothing_before_a_snapshot_and_then_follows() {
    let mut view = StockView::new(SKU);
    assert_eq!(view.hear(&update(3, 4, 40)), MessageEffect::Kept);
    assert_eq!(view.hear(&update(4, 5, 50)), MessageEffect::Kept);
    assert_eq!((view.level(), view.wants_snapshot()), (None, true));
    view.read(stock(4, 40));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(50), false));
    assert_eq!(view.hear(&update(4, 5, 50)), MessageEffect::Old);
    assert_eq!(view.hear(&update(5, 6, 60)), MessageEffect::Shown(60));
    let other = StockUpdate { sku: "other".into(), ..update(6, 7, 0) };
    assert_eq!(view.hear(&other), MessageEffect::Old);
    view.read(stock(5, 50));
    assert_eq!(view.level(), Some(60), "a snapshot that it did not want, and older");
}

#[test]
fn a_gap_is_noticed_and_healed() {
    let mut view = StockView::new(SKU);
    view.read(Stock::default());
    assert_eq!(view.hear(&update(0, 1, 10)), MessageEffect::Shown(10), "the first change of all");
    assert_eq!(view.hear(&update(2, 3, 30)), MessageEffect::Kept);
    assert_eq!((view.level(), view.gaps(), view.wants_snapshot()), (Some(10), 1, true));
    view.read(stock(2, 20));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(30), false));
    // Late: it may come from a node that the slot has just left.
    assert_eq!(view.hear(&update(1, 2, 20)), MessageEffect::Kept);
    assert_eq!(view.level(), Some(30), "no step back");
    view.read(stock(3, 30));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(30), false));
    view.refresh();
    assert_eq!((view.level(), view.wants_snapshot()), (Some(30), true));
    view.read(stock(9, 90));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(90), false));
}

#[test]
fn a_server_that_has_forgotten_is_believed() {
    let mut view = StockView::new(SKU);
    view.read(stock(100, 7));
    // It came back with version 97, so what is shown never happened.
    assert_eq!(view.hear(&update(97, 98, 9)), MessageEffect::Kept);
    view.read(stock(98, 9));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(9), false));
    assert_eq!(view.hear(&update(98, 99, 8)), MessageEffect::Shown(8));
    // It came back without the last change, which had the number of the next one.
    assert_eq!(view.hear(&update(98, 99, 5)), MessageEffect::Kept);
    view.read(stock(99, 5));
    assert_eq!(view.level(), Some(5));
    // The key was lost.
    assert_eq!(view.hear(&update(0, 50, 4)), MessageEffect::Kept);
    view.read(stock(50, 4));
    assert_eq!(view.level(), Some(4));
    view.refresh();
    view.read(Stock::default());
    assert_eq!(view.stock(), Some(Stock::default()), "after a reset");
}

#[test]
fn a_foreign_message_costs_a_snapshot_at_most() {
    let mut view = StockView::new(SKU);
    view.read(stock(1, 10));
    assert_eq!(view.hear(&update(7, u64::MAX, 1)), MessageEffect::Kept);
    view.read(stock(1, 10));
    assert!(view.wants_snapshot(), "it may have come after the snapshot was read");
    view.read(stock(1, 10));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(10), false));
    for version in 0..5_000 {
        view.hear(&update(900 + version, 901 + version, 1));
    }
    view.read(stock(u64::MAX, 3));
    assert_eq!((view.level(), view.wants_snapshot()), (Some(3), false));
    for text in ["", "{}", "[]", r#"{"sku":"a","level":-1,"version":1,"previous":0}"#] {
        assert!(StockUpdate::parse(text.as_bytes()).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Any messages lost, any late, any twice. Snapshots are of the present.
    #[test]
    fn whatever_is_lost_the_view_ends_right_and_never_steps_back(
        steps in proptest::collection::vec((0..3_u8, 0..40_u64), 0..80),
    ) {
        let level = |version: u64| u32::try_from(version * 7 % 10).unwrap();
        let (mut view, mut present, mut shown) = (StockView::new(SKU), 1, 0);
        for (step, any) in steps {
            match step {
                0 => present += 1,
                1 => {
                    let version = any % present + 1;
                    view.hear(&update(version - 1, version, level(version)));
                }
                _ => view.read(stock(present, level(present))),
            }
            if let Some(stock) = view.stock() {
                prop_assert!(stock.version >= shown);
                prop_assert_eq!(stock.level, level(stock.version));
                shown = stock.version;
            }
        }
        view.refresh();
        view.read(stock(present, level(present)));
        prop_assert_eq!(view.stock(), Some(stock(present, level(present))));
        prop_assert!(!view.wants_snapshot());
    }
}

/// Node 0 is the shared server, or the first of the cluster.
fn url(connection: &TestConnection, node: usize) -> String {
    if connection.is_cluster() {
        lab_testing::cluster().urls()[node % 3].clone()
    } else {
        lab_testing::server().url()
    }
}

#[test]
fn each_change_is_numbered_and_published_in_one_round_trip() {
    everywhere(async |connection, prefix| {
        let feed = StockFeed::new(connection.clone(), &prefix);
        // A SKU of any characters.
        let sku = "a\"{b}:* ü";
        let client = redis::Client::open(url(&connection, 0)).unwrap();
        let mut pubsub = client.get_async_pubsub().await.unwrap();
        pubsub.subscribe(feed.channel(sku).unwrap()).await.unwrap();
        let mut messages = pubsub.into_on_message();
        assert_eq!(feed.snapshot(sku).await.unwrap(), Stock::default());
        let first = feed.set(sku, 9).await.unwrap();
        let second = feed.set(sku, u32::MAX).await.unwrap();
        assert!(first.version > 0 && second.version > first.version && second.level == u32::MAX);
        assert_eq!(feed.snapshot(sku).await.unwrap(), second);
        for (previous, expected) in [(0, first), (first.version, second)] {
            let heard = next_of(&mut messages, "a change").await;
            let heard = StockUpdate::parse(heard.get_payload_bytes()).unwrap();
            assert_eq!((heard.stock(), heard.sku.as_str(), heard.previous), (expected, sku, previous));
        }
        let key = feed.key(sku).unwrap();
        let key = key.as_str();
        // The clock was set back a day: the number before is a day ahead.
        let ahead = (second.version + 86_400_000_000).to_string();
        let _: () = connection.send(&["HSET", key, "version", &ahead]).await;
        assert_eq!(
            feed.set(sku, 1).await.unwrap().version.to_string(),
            (second.version + 86_400_000_001).to_string()
        );
        let _: () = connection.send(&["DEL", key]).await;
        assert!(feed.set(sku, 1).await.unwrap().version > second.version);
        let round_trips = [
            connection.round_trips_of(feed.set(sku, 5)).await,
            connection.round_trips_of(feed.snapshot(sku)).await,
        ];
        assert_eq!(round_trips, [1; 2]);

        let _: () = connection.send(&["HSET", key, "level", "many"]).await;
        assert_matches!(feed.snapshot(sku).await, Err(StoreError::Malformed(_)));
        let _: () = connection.send(&["HSET", key, "version", "many"]).await;
        assert_matches!(feed.set(sku, 1).await, Err(StoreError::Malformed(_)));
        let _: () = connection.send(&["SET", key, "foreign"]).await;
        assert_matches!(feed.set(sku, 1).await, Err(StoreError::WrongType(_)));
        assert_eq!(connection.send::<String>(&["GET", key]).await, "foreign");
    });
}

async fn subscribed(url: String, channel: String, inbox: Inbox) -> RedisResult<MultiplexedConnection> {
    let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
    let config = redis::AsyncConnectionConfig::new().set_push_sender(inbox);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    connection.subscribe(channel).await?;
    Ok(connection)
}

/// Changes of the stock that is watched.
const CHANGES: u32 = 400;

#[test]
fn screens_that_are_cut_off_end_with_the_right_level_and_never_step_back() {
    everywhere(async |connection, prefix| {
        let (last, ready) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::<AtomicUsize>::default());
        let mut screens = JoinSet::new();
        // The first stays, the others are cut off again and again.
        for (node, stays) in [usize::MAX, 40, 7].into_iter().enumerate() {
            let feed = StockFeed::new(connection.clone(), &prefix);
            let (url, last, ready) = (url(&connection, node), Arc::clone(&last), Arc::clone(&ready));
            screens.spawn(async move {
                let mut connects = 0;
                let connect = |channel, inbox| {
                    connects += 1;
                    subscribed(url.clone(), channel, inbox)
                };
                let mut watch = feed.watch(SKU, connect).unwrap();
                let mut shown = watch.next().await.unwrap();
                ready.fetch_add(1, Ordering::SeqCst);
                let mut states = 1;
                while shown.version != last.load(Ordering::SeqCst) {
                    let Ok(next) = tokio::time::timeout(Duration::from_millis(20), watch.next()).await else {
                        continue;
                    };
                    let next = next.unwrap();
                    assert!(next.version > shown.version, "a step backwards");
                    shown = next;
                    states += 1;
                    if states % stays == 0 {
                        watch.reconnect();
                    }
                }
                drop(watch);
                connects
            });
        }
        until("all show something", async || ready.load(Ordering::SeqCst) == 3).await;
        let mut publishers = JoinSet::new();
        for publisher in 0..4 {
            let feed = StockFeed::new(connection.clone(), &prefix);
            publishers.spawn(async move {
                for change in 0..CHANGES / 4 {
                    feed.set(SKU, publisher * 1000 + change).await.unwrap();
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            });
        }
        publishers.join_all().await;
        let present = StockFeed::new(connection.clone(), &prefix).snapshot(SKU).await.unwrap();
        last.store(present.version, Ordering::SeqCst);
        let connects: usize = screens.join_all().await.into_iter().sum();
        assert!(connects > 3, "only {connects} connections");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_survives_its_server_and_shows_the_present_that_came_back() {
    let connection = TestConnection::server().await;
    let feed = StockFeed::new(connection.clone(), &prefix()).with_refresh(Duration::from_millis(20));
    let refuse = Arc::new(AtomicBool::new(false));
    let refused = Arc::clone(&refuse);
    let mut watch = feed
        .watch(SKU, move |channel, inbox| {
            // Nobody listens on port 1.
            let dead = "redis://127.0.0.1:1".to_owned();
            let url = if refused.load(Ordering::SeqCst) { dead } else { lab_testing::server().url() };
            subscribed(url, channel, inbox)
        })
        .unwrap();
    assert_eq!(watch.next().await.unwrap(), Stock::default());
    let first = feed.set(SKU, 9).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), first);
    let second = feed.set(SKU, 8).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), second);
    // The server forgets the second change. No message says so, and the connection holds.
    let _: () = connection
        .send(&["HSET", feed.key(SKU).unwrap().as_str(), "level", "9", "version", &first.version.to_string()])
        .await;
    assert_eq!(watch.next().await.unwrap(), first, "a snapshot now and then finds it");
    refuse.store(true, Ordering::SeqCst);
    watch.reconnect();
    assert!(watch.next().await.is_err(), "told, not waited for");
    refuse.store(false, Ordering::SeqCst);
    let third = feed.set(SKU, 3).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), third);
}

#[tokio::test]
async fn a_screen_can_hear_over_resp2() {
    let feed = StockFeed::new(TestConnection::server().await, &prefix());
    let mut watch = feed
        .watch(SKU, async |channel: String, inbox: Inbox| {
            let mut pubsub = redis::Client::open(lab_testing::server().url())?.get_async_pubsub().await?;
            pubsub.subscribe(channel).await?;
            let mut messages = pubsub.into_on_message();
            Ok(tokio::spawn(async move {
                while let Some(message) = messages.next().await {
                    inbox.message(message.get_payload_bytes());
                }
                inbox.lost();
            }))
        })
        .unwrap();
    assert_eq!(watch.next().await.unwrap(), Stock::default());
    for level in [5, 4, 3] {
        let set = feed.set(SKU, level).await.unwrap();
        assert_eq!(watch.next().await.unwrap(), set);
    }
}
