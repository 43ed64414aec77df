//! Notifications arrive at least once, and the counts are right at all times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::Value;
use storefront::notifications::{
    Counts, EVENTS_REMEMBERED, LONGEST_TEXT, MOST_AT_ONCE, Notification, Notifications, SendError, Sent,
};
use storefront::{CustomerId, EventId, Layout, StoreError};
use tokio::task::JoinSet;

use crate::shop::faults::Breaking;
use crate::shop::{self, Wire, in_each_layout, own_keys, server, until};

const LONG: Duration = Duration::from_hours(1);

fn ann() -> CustomerId {
    "user123".parse().unwrap()
}

fn event(number: usize) -> EventId {
    format!("event-{number}").parse().unwrap()
}

fn ids(taken: &[Notification]) -> Vec<EventId> {
    taken.iter().map(|notification| notification.id.clone()).collect()
}

async fn send(notifications: &Notifications<Wire>, number: usize) -> Sent {
    loop {
        match notifications.send(&ann(), &event(number), &format!("text {number}")).await {
            Ok(sent) => return sent,
            Err(error) => assert!(error.redis_error().is_some(), "{error:?}"),
        }
    }
}

fn adds_up(counts: Counts) {
    assert_eq!(counts.sent, counts.unread + counts.read + counts.dropped, "{counts:?}");
}

#[tokio::test]
async fn an_event_is_one_notification_until_it_is_acknowledged() {
    in_each_layout(async |wire, keys| {
        let notifications = Notifications::new(wire.clone(), keys.clone());
        assert_eq!(notifications.counts(&ann()).await.unwrap(), Counts::default());
        assert_eq!(notifications.take(&ann(), 5, LONG).await.unwrap(), []);
        for number in 0..3 {
            let unread = number as u64 + 1;
            assert_eq!(send(&notifications, number).await, Sent::New { unread, dropped: 0 });
            assert_eq!(send(&notifications, number).await, Sent::Again { unread });
        }
        let taken = notifications.take(&ann(), 2, LONG).await.unwrap();
        assert_eq!((taken[0].id.clone(), taken[0].text.as_str()), (event(0), "text 0"), "the oldest first");
        assert_eq!(ids(&taken), [event(0), event(1)]);
        assert_eq!(ids(&notifications.take(&ann(), 9, LONG).await.unwrap()), [event(2)], "another device");
        assert_eq!(notifications.counts(&ann()).await.unwrap().unread, 3, "taken is not read");

        assert_eq!(notifications.acknowledge(&ann(), &[event(0), event(2), event(7)]).await.unwrap(), 2);
        assert_eq!(notifications.acknowledge(&ann(), &[event(0), event(2)]).await.unwrap(), 0);
        assert_eq!(notifications.acknowledge(&ann(), &[]).await.unwrap(), 0);
        assert_eq!(send(&notifications, 0).await, Sent::Again { unread: 1 }, "also when it was read");
        let counts = notifications.counts(&ann()).await.unwrap();
        assert_eq!(counts, Counts { sent: 3, unread: 1, read: 2, dropped: 0 });

        send(&notifications, 3).await;
        assert_eq!(notifications.mark_all_read(&ann()).await.unwrap(), 2, "one with a device, one waiting");
        assert_eq!(notifications.mark_all_read(&ann()).await.unwrap(), 0);
        assert_eq!(notifications.acknowledge(&ann(), &[event(1)]).await.unwrap(), 0);
        let counts = notifications.counts(&ann()).await.unwrap();
        assert_eq!(counts, Counts { sent: 4, unread: 0, read: 4, dropped: 0 });
    })
    .await;
}

#[tokio::test]
async fn what_a_dead_device_had_is_delivered_again() {
    in_each_layout(async |wire, keys| {
        let notifications = Notifications::new(wire.clone(), keys.clone());
        for number in 0..4 {
            send(&notifications, number).await;
        }
        // It dies here.
        let dead = ids(&notifications.take(&ann(), 2, Duration::from_millis(1)).await.unwrap());
        let again = async || notifications.take(&ann(), 1, LONG).await.unwrap();
        let mut next = Vec::new();
        until("its time is over", async || now_ms(&wire).await > deadline(&wire, &keys, &dead[1]).await)
            .await;
        for _ in 0..4 {
            next.extend(ids(&again().await));
        }
        assert_eq!(
            next,
            [event(0), event(1), event(2), event(3)],
            "what was put aside comes first, then the queue"
        );
        assert_eq!(again().await, [], "put aside for an hour");
        // The dead one was only slow. It may still say that it has shown them.
        assert_eq!(notifications.acknowledge(&ann(), &dead).await.unwrap(), 2);
        assert_eq!(notifications.acknowledge(&ann(), &dead).await.unwrap(), 0);
        adds_up(notifications.counts(&ann()).await.unwrap());
    })
    .await;
}

async fn now_ms(wire: &Wire) -> u64 {
    let (seconds, micros): (u64, u64) = redis::from_redis_value(wire.send(&["TIME"]).await).unwrap();
    seconds * 1000 + micros / 1000
}

async fn deadline(wire: &Wire, keys: &storefront::Keys, event: &EventId) -> u64 {
    let score = wire.send(&["ZSCORE", &keys.notifications(&ann()).deadlines, event.as_str()]).await;
    redis::from_redis_value(score).unwrap()
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_and_says_so() {
    in_each_layout(async |wire, keys| {
        let notifications = Notifications::new(wire.clone(), keys.clone()).with_cap(3);
        for number in 0..5 {
            let dropped = u64::from(number >= 3);
            let sent = send(&notifications, number).await;
            assert_eq!(sent, Sent::New { unread: (number as u64 + 1).min(3), dropped });
        }
        assert_eq!(ids(&notifications.take(&ann(), 1, LONG).await.unwrap()), [event(2)]);
        // The one with a device stays, as others wait that can go.
        send(&notifications, 5).await;
        assert_eq!(ids(&notifications.take(&ann(), 9, LONG).await.unwrap()), [event(4), event(5)]);
        // All are with devices, and still there are never more than three.
        send(&notifications, 6).await;
        let counts = notifications.counts(&ann()).await.unwrap();
        assert_eq!(counts, Counts { sent: 7, unread: 3, read: 0, dropped: 4 });
        assert_eq!(notifications.acknowledge(&ann(), &[event(2), event(4), event(5)]).await.unwrap(), 2);

        // A lower cap applies from the next one on.
        let lower = Notifications::new(wire.clone(), keys.clone()).with_cap(0);
        let number = EVENTS_REMEMBERED + 50;
        for number in 7..=number {
            send(&lower, number).await;
        }
        let counts = lower.counts(&ann()).await.unwrap();
        assert_eq!(counts.unread, 1);
        adds_up(counts);
        let names = keys.notifications(&ann());
        assert_eq!(
            wire.send(&["ZCARD", &names.sent]).await,
            Value::Int(i64::try_from(EVENTS_REMEMBERED).unwrap())
        );
        for key in names.all() {
            let ttl = wire.send(&["PTTL", key]).await;
            assert!(matches!(ttl, Value::Int(ms) if ms == -2 || ms > 1_000_000), "{key}: {ttl:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn hostile_input_is_refused_and_foreign_keys_stay_as_they_are() {
    in_each_layout(async |wire, keys| {
        let notifications = Notifications::new(wire.clone(), keys.clone()).with_ttl(Duration::MAX);
        let text = "\u{1F600}\"\\\n\u{0} {id:1}".to_owned();
        notifications.send(&ann(), &event(0), &text).await.unwrap();
        let too_long = notifications.send(&ann(), &event(1), &"x".repeat(LONGEST_TEXT + 1)).await;
        assert!(matches!(too_long, Err(SendError::TooLong { bytes: 2001 })), "{too_long:?}");
        assert_eq!(notifications.take(&ann(), 0, Duration::ZERO).await.unwrap(), []);
        assert_eq!(notifications.take(&ann(), usize::MAX, Duration::MAX).await.unwrap()[0].text, text);
        for number in 1..=MOST_AT_ONCE + 1 {
            notifications.clone().with_cap(u32::MAX).send(&ann(), &event(number), "").await.unwrap();
        }
        let many: Vec<EventId> = (0..2_000).map(event).collect();
        assert_eq!(notifications.acknowledge(&ann(), &many).await.unwrap(), 1, "only what was taken");
        assert_eq!(notifications.take(&ann(), usize::MAX, LONG).await.unwrap().len(), MOST_AT_ONCE);

        let names = keys.notifications(&ann());
        wire.send(&["DEL", &names.waiting]).await;
        wire.send(&["RPUSH", &names.waiting, "no JSON"]).await;
        let taken = notifications.take(&ann(), 1, LONG).await;
        assert!(matches!(taken, Err(StoreError::Malformed { .. })), "{taken:?}");
        for foreign in names.all() {
            for key in names.all() {
                wire.send(&["DEL", key]).await;
            }
            send(&notifications, 0).await;
            send(&notifications, 1).await;
            notifications.take(&ann(), 1, LONG).await.unwrap();
            wire.send(&["SET", foreign, "somebody's"]).await;
            let before = dumps(&wire, &names.all()).await;
            notifications.send(&ann(), &event(2), "").await.unwrap_err();
            notifications.take(&ann(), 1, LONG).await.unwrap_err();
            notifications.acknowledge(&ann(), &[event(0)]).await.unwrap_err();
            notifications.mark_all_read(&ann()).await.unwrap_err();
            notifications.counts(&ann()).await.unwrap_err();
            assert_eq!(dumps(&wire, &names.all()).await, before, "{foreign}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_does_not_keep_the_others_from_the_device() {
    in_each_layout(async |wire, keys| {
        let notifications = Notifications::new(wire.clone(), keys.clone());
        let names = keys.notifications(&ann());
        send(&notifications, 0).await;
        // By another release, say: one without a text.
        wire.send(&["LPUSH", &names.waiting, r#"{"id":"other"}"#]).await;
        send(&notifications, 1).await;
        assert_eq!(ids(&notifications.take(&ann(), 9, LONG).await.unwrap()), [event(0), event(1)]);
        assert_eq!(notifications.acknowledge(&ann(), &[event(0), event(1)]).await.unwrap(), 2);

        // Its time with the device is over: now it comes alone.
        wire.send(&["ZADD", &names.deadlines, "1", "other"]).await;
        let taken = notifications.take(&ann(), 9, LONG).await;
        assert!(matches!(taken, Err(StoreError::Malformed { .. })), "{taken:?}");
    })
    .await;
}

async fn dumps(wire: &Wire, keys: &[&str]) -> Vec<Value> {
    let mut dumps = Vec::new();
    for key in keys {
        dumps.push(wire.send(&["DUMP", key]).await);
    }
    dumps
}

#[tokio::test]
async fn each_operation_takes_one_round_trip() {
    in_each_layout(async |wire, keys| {
        let notifications = Notifications::new(wire.clone(), keys.clone());
        let work = async |number| {
            [
                wire.round_trips_of(send(&notifications, number)).await,
                wire.round_trips_of(notifications.take(&ann(), 9, LONG)).await,
                wire.round_trips_of(notifications.acknowledge(&ann(), &[event(number)])).await,
                wire.round_trips_of(notifications.mark_all_read(&ann())).await,
                wire.round_trips_of(notifications.counts(&ann())).await,
            ]
        };
        // The server learns the scripts.
        work(0).await;
        assert_eq!(work(1).await, [1; 5]);
    })
    .await;
}

/// What came of a run with devices that die and answers that get lost.
struct Run {
    sent: u64,
    deliveries: u64,
    deaths: u64,
    looks: u64,
}

/// Two senders send every event twice, four devices take, die before they acknowledge every third time, and take again;
/// meanwhile somebody looks at the counts.
async fn run(wires: &[Wire], observer: &Wire, keys: &storefront::Keys) -> Run {
    const EVENTS: usize = 60;
    let of = |number: usize| {
        Notifications::new(wires[number % wires.len()].clone(), keys.clone()).with_cap(10_000)
    };
    let watching = Notifications::new(observer.clone(), keys.clone());
    let over = Arc::new(AtomicBool::new(false));
    let looks = {
        let (watching, over) = (watching.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                adds_up(watching.counts(&ann()).await.unwrap());
                looks += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            looks
        })
    };

    let mut senders = JoinSet::new();
    for sender in 0..2 {
        let notifications = of(sender);
        senders.spawn(async move {
            for number in 0..EVENTS {
                send(&notifications, number).await;
            }
        });
    }
    let (deaths, shown) = (Arc::<AtomicU64>::default(), Arc::new(std::sync::Mutex::new(BTreeMap::new())));
    let mut devices = JoinSet::new();
    for device in 0..4 {
        let notifications = of(2 + device);
        let (deaths, shown, over) = (Arc::clone(&deaths), Arc::clone(&shown), Arc::clone(&over));
        devices.spawn(async move {
            let mut turns = 0;
            while !over.load(Ordering::Relaxed) {
                let hold = Duration::from_millis(20);
                // An answer that is lost is like a device that died.
                let Ok(taken) = notifications.take(&ann(), 5, hold).await else { continue };
                turns += 1;
                if turns % 3 == 1 {
                    deaths.fetch_add(taken.len() as u64, Ordering::Relaxed);
                    continue;
                }
                for notification in &taken {
                    *shown.lock().unwrap().entry(notification.id.clone()).or_insert(0_u64) += 1;
                }
                while notifications.acknowledge(&ann(), &ids(&taken)).await.is_err() {}
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    senders.join_all().await;
    until("all is read", async || watching.counts(&ann()).await.unwrap().unread == 0).await;
    over.store(true, Ordering::Relaxed);
    devices.join_all().await;
    let looks = looks.await.unwrap();

    let shown = shown.lock().unwrap().clone();
    let expected: BTreeSet<EventId> = (0..EVENTS).map(event).collect();
    assert_eq!(shown.keys().cloned().collect::<BTreeSet<_>>(), expected, "all that was sent was shown");
    let counts = watching.counts(&ann()).await.unwrap();
    let sent = EVENTS as u64;
    assert_eq!(counts, Counts { sent, unread: 0, read: sent, dropped: 0 });
    Run { sent, deliveries: shown.values().sum(), deaths: deaths.load(Ordering::Relaxed), looks }
}

#[expect(clippy::print_stdout, reason = "the figures of a test that passes, with --nocapture")]
fn told(what: &str, runs: &[Run], broken: u32) {
    let sum = |of: fn(&Run) -> u64| runs.iter().map(of).sum::<u64>();
    println!(
        "{} runs {what}: sent {}, lost 0, shown {} times, {} died with, counts looked at {} times, {broken} cut",
        runs.len(),
        sum(|run| run.sent),
        sum(|run| run.deliveries),
        sum(|run| run.deaths),
        sum(|run| run.looks)
    );
    assert!(sum(|run| run.deaths) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_though_devices_die_and_answers_too() {
    let (mut runs, mut broken) = (Vec::new(), 0);
    for _ in 0..5 {
        let breaking = Breaking::in_front_of(server(), 13).await;
        let mut wires = Vec::new();
        for _ in 0..4 {
            wires.push(Wire::reconnecting(breaking.url()).await);
        }
        runs.push(run(&wires, &Wire::standalone().await, &own_keys(Layout::Standalone)).await);
        broken += breaking.broken();
    }
    told("on one server", &runs, broken);
    assert!(broken > 5, "only {broken} answers were lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_a_cluster_whose_slots_move() {
    let mut runs = Vec::new();
    let mut moves = 0;
    for _ in 0..3 {
        let keys = own_keys(Layout::Cluster);
        // One for each sender and each device: with several requests under way over one connection, redis-rs 1.8.1 now and
        // then answers none of them any more while slots move.
        let mut wires = Vec::new();
        for _ in 0..6 {
            wires.push(Wire::cluster().await);
        }
        // Each of the scripts is known before slots move.
        let warm = Notifications::new(wires[0].clone(), own_keys(Layout::Cluster));
        send(&warm, 0).await;
        warm.take(&ann(), 1, LONG).await.unwrap();
        warm.acknowledge(&ann(), &[event(0)]).await.unwrap();
        warm.counts(&ann()).await.unwrap();
        let moving = shop::moving::Moving::slots_of(keys.notifications(&ann()).all());
        runs.push(run(&wires, &Wire::cluster().await, &keys).await);
        moves += moving.end();
    }
    told(&format!("on a cluster during {moves} moves"), &runs, 0);
}
