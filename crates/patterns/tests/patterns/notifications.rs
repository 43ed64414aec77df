use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab_testing::faults::lossy_proxy;
use lab_testing::slots::{HalfMovedSlots, MovingSlots};
use lab_testing::{TestConnection, prefix, until};
use patterns::notifications::{
    Counts, IDS_REMEMBERED, MAX_TAKEN, MAX_TEXT_BYTES, Notification, Notifications, SendError, Sent,
};
use patterns::script::StoreError;
use tokio::task::JoinSet;

use crate::{connections, dumps, everywhere};

const LONG: Duration = Duration::from_hours(1);
const ANN: &str = "user123";

fn id(number: usize) -> String {
    format!("event-{number}")
}

fn ids(taken: &[Notification]) -> Vec<String> {
    taken.iter().map(|notification| notification.id.clone()).collect()
}

async fn send(notifications: &Notifications<TestConnection>, number: usize) -> Sent {
    loop {
        match notifications.send(ANN, &id(number), &format!("text {number}")).await {
            Ok(sent) => return sent,
            Err(error) => assert_matches!(error, SendError::Store(StoreError::Redis(_))),
        }
    }
}

async fn take(notifications: &Notifications<TestConnection>, most: usize) -> Vec<String> {
    ids(&notifications.take(ANN, most, LONG).await.unwrap())
}

fn adds_up(counts: Counts) {
    assert_eq!(counts.sent, counts.unread + counts.read + counts.dropped, "{counts:?}");
}

#[test]
fn an_id_is_one_notification_until_it_is_acknowledged() {
    everywhere(async |connection, prefix| {
        let notifications = Notifications::new(connection, &prefix);
        assert_eq!(notifications.counts(ANN).await.unwrap(), Counts::default());
        assert_eq!(take(&notifications, 5).await, [""; 0]);
        for number in 0..3 {
            let unread = number as u64 + 1;
            assert_eq!(send(&notifications, number).await, Sent::New { unread, dropped: 0 });
            assert_eq!(send(&notifications, number).await, Sent::Again { unread });
        }
        let taken = notifications.take(ANN, 2, LONG).await.unwrap();
        assert_eq!(taken[0], Notification { id: id(0), text: "text 0".into() }, "the oldest first");
        assert_eq!(ids(&taken), [id(0), id(1)]);
        assert_eq!(take(&notifications, 9).await, [id(2)], "another device");
        assert_eq!(notifications.counts(ANN).await.unwrap().unread, 3, "taken is not read");

        assert_eq!(notifications.acknowledge(ANN, &[id(0), id(2), id(7), id(0)]).await.unwrap(), 2);
        assert_eq!(notifications.acknowledge(ANN, &[id(0), id(2)]).await.unwrap(), 0);
        assert_eq!(notifications.acknowledge(ANN, &[""; 0]).await.unwrap(), 0);
        assert_eq!(send(&notifications, 0).await, Sent::Again { unread: 1 }, "even when it was read");
        let counts = notifications.counts(ANN).await.unwrap();
        assert_eq!(counts, Counts { sent: 3, unread: 1, read: 2, dropped: 0 });

        send(&notifications, 3).await;
        assert_eq!(notifications.mark_all_read(ANN).await.unwrap(), 2, "one with a device, one waiting");
        assert_eq!(notifications.mark_all_read(ANN).await.unwrap(), 0);
        assert_eq!(notifications.acknowledge(ANN, &[id(1)]).await.unwrap(), 0);
        let counts = notifications.counts(ANN).await.unwrap();
        assert_eq!(counts, Counts { sent: 4, unread: 0, read: 4, dropped: 0 });
    });
}

async fn now_ms(connection: &TestConnection) -> u64 {
    let (seconds, micros): (u64, u64) = connection.send(&["TIME"]).await;
    seconds * 1000 + micros / 1000
}

#[test]
fn what_a_dead_device_had_is_delivered_again() {
    everywhere(async |connection, prefix| {
        let notifications = Notifications::new(connection.clone(), &prefix);
        for number in 0..4 {
            send(&notifications, number).await;
        }
        // It dies here.
        let dead = ids(&notifications.take(ANN, 2, Duration::from_millis(1)).await.unwrap());
        let [_, _, deadlines, ..] = notifications.keys(ANN).unwrap();
        let deadline: u64 = connection.send(&["ZSCORE", &deadlines, &dead[1]]).await;
        until("its time is over", async || now_ms(&connection).await > deadline).await;
        let mut next = Vec::new();
        for _ in 0..4 {
            next.extend(take(&notifications, 1).await);
        }
        assert_eq!(next, [id(0), id(1), id(2), id(3)], "what was put aside comes first, then the queue");
        assert_eq!(take(&notifications, 9).await, [""; 0], "put aside for an hour");
        // The dead one was only slow. It may still say that it has shown them.
        assert_eq!(notifications.acknowledge(ANN, &dead).await.unwrap(), 2);
        assert_eq!(notifications.acknowledge(ANN, &dead).await.unwrap(), 0);
        adds_up(notifications.counts(ANN).await.unwrap());
    });
}

#[test]
fn a_full_queue_drops_the_oldest_and_says_so() {
    everywhere(async |connection, prefix| {
        let notifications = Notifications::new(connection.clone(), &prefix).with_cap(3);
        for number in 0..5 {
            let (unread, dropped) = ((number as u64 + 1).min(3), u64::from(number >= 3));
            assert_eq!(send(&notifications, number).await, Sent::New { unread, dropped });
        }
        assert_eq!(take(&notifications, 1).await, [id(2)]);
        // The one with a device stays, as others wait that can go.
        send(&notifications, 5).await;
        assert_eq!(take(&notifications, 9).await, [id(4), id(5)]);
        // All are with devices, and still there are never more than three.
        send(&notifications, 6).await;
        let counts = notifications.counts(ANN).await.unwrap();
        assert_eq!(counts, Counts { sent: 7, unread: 3, read: 0, dropped: 4 });
        assert_eq!(notifications.acknowledge(ANN, &[id(2), id(4), id(5)]).await.unwrap(), 2);

        // A lower cap applies from the next one on.
        let lower = Notifications::new(connection.clone(), &prefix).with_cap(0);
        let last = IDS_REMEMBERED as usize + 50;
        for number in 7..=last {
            send(&lower, number).await;
        }
        let counts = lower.counts(ANN).await.unwrap();
        assert_eq!((counts.sent, counts.unread), (last as u64 + 1, 1));
        adds_up(counts);
        let keys = notifications.keys(ANN).unwrap();
        assert_eq!(connection.send::<u32>(&["ZCARD", &keys[3]]).await, IDS_REMEMBERED);
        assert_eq!(send(&lower, last).await, Sent::Again { unread: 1 });
        assert_matches!(send(&lower, 7).await, Sent::New { .. }, "the first IDs are forgotten first");
        for key in &keys {
            let ttl: i64 = connection.send(&["PTTL", key]).await;
            assert!(ttl == -2 || ttl > 1_000_000, "{key}: {ttl}");
        }
    });
}

#[test]
fn a_clock_that_was_set_back_delivers_in_one_hold_and_forgets_no_new_id() {
    everywhere(async |connection, prefix| {
        let notifications = Notifications::new(connection.clone(), &prefix);
        let [_, _, deadlines, sent, _] = notifications.keys(ANN).unwrap();
        for number in 0..3 {
            send(&notifications, number).await;
        }
        let hold = Duration::from_millis(1);
        notifications.take(ANN, 2, hold).await.unwrap();
        // As if an hour had passed by the clock, and was taken back.
        let later = (now_ms(&connection).await + 3_600_000).to_string();
        for number in 0..2 {
            let _: () = connection.send(&["ZADD", &deadlines, "XX", &later, &id(number)]).await;
        }
        let mut again = BTreeSet::new();
        assert_eq!(ids(&notifications.take(ANN, 1, hold).await.unwrap()), [id(2)]);
        let start = now_ms(&connection).await;
        until("both come again", async || now_ms(&connection).await > start + 1).await;
        again.extend(ids(&notifications.take(ANN, 9, hold).await.unwrap()));
        assert!(again.contains(&id(0)) && again.contains(&id(1)), "{again:?}");

        // IDs are in the order in which they were sent, whatever the clock says.
        let scores: Vec<(String, f64)> = connection.send(&["ZRANGE", &sent, "0", "-1", "WITHSCORES"]).await;
        assert_eq!(scores, [(id(0), 1.0), (id(1), 2.0), (id(2), 3.0)]);
    });
}

#[test]
fn a_lost_key_loses_only_what_it_held_and_blocks_nothing() {
    everywhere(async |connection, prefix| {
        for lost in 0..5 {
            let notifications = Notifications::new(connection.clone(), &prefix).with_cap(4);
            let keys = notifications.keys(ANN).unwrap();
            for key in &keys {
                let _: () = connection.send(&["DEL", key]).await;
            }
            for number in 0..4 {
                send(&notifications, number).await;
            }
            assert_eq!(take(&notifications, 2).await, [id(0), id(1)]);
            let _: () = connection.send(&["DEL", &keys[lost]]).await;
            let expected = match lost {
                0 => vec![],
                2 => vec![id(0), id(1), id(2), id(3)],
                _ => vec![id(2), id(3)],
            };
            assert_eq!(take(&notifications, 9).await, expected, "lost {}", keys[lost]);
            let counts = notifications.counts(ANN).await.unwrap();
            adds_up(counts);
            assert_eq!(counts.sent, 4, "lost {}: {counts:?}", keys[lost]);
            assert_eq!(counts.dropped, if lost < 2 { 2 } else { 0 }, "what was lost is counted");

            // All is with devices, and the deadlines are lost: the cap still holds.
            let _: () = connection.send(&["DEL", &keys[2]]).await;
            for number in 10..16 {
                send(&notifications, number).await;
            }
            assert_eq!(notifications.counts(ANN).await.unwrap().unread, 4);
            // Every key is gone, as after FLUSHALL: a device that goes on asking gets what is sent next.
            for key in &keys {
                let _: () = connection.send(&["DEL", key]).await;
            }
            assert_eq!(take(&notifications, 9).await, [""; 0]);
            send(&notifications, 20).await;
            assert_eq!(take(&notifications, 9).await, [id(20)]);
            assert_eq!(notifications.acknowledge(ANN, &[id(20)]).await.unwrap(), 1);
        }
    });
}

#[test]
fn hostile_input_is_refused_and_foreign_keys_stay_as_they_are() {
    everywhere(async |connection, prefix| {
        let notifications = Notifications::new(connection.clone(), &prefix).with_ttl(Duration::MAX);
        let (hostile, text) = ("{id}:\"*\u{0} \u{1F600}\\", "\u{1F600}\"\\\n\u{0} {id:1}");
        notifications.send(ANN, hostile, text).await.unwrap();
        let too_long = notifications.send(ANN, "x", &"x".repeat(MAX_TEXT_BYTES + 1)).await;
        assert_matches!(too_long, Err(SendError::TooLong { bytes: 2001 }));
        notifications.send(ANN, "", "").await.unwrap_err();
        assert_eq!(notifications.take(ANN, 0, Duration::ZERO).await.unwrap(), []);
        let taken = notifications.take(ANN, usize::MAX, Duration::MAX).await.unwrap();
        assert_eq!(taken, [Notification { id: hostile.into(), text: text.into() }]);
        assert_eq!(notifications.acknowledge(ANN, &[hostile]).await.unwrap(), 1);
        for number in 0..=MAX_TAKEN {
            notifications.clone().with_cap(u32::MAX).send(ANN, &id(number), "").await.unwrap();
        }
        let many: Vec<String> = (0..2_000).map(id).collect();
        assert_eq!(notifications.acknowledge(ANN, &many).await.unwrap(), 0, "only what was taken");
        assert_eq!(take(&notifications, usize::MAX).await.len(), MAX_TAKEN);

        let keys = notifications.keys(ANN).unwrap();
        for foreign in &keys {
            for key in &keys {
                let _: () = connection.send(&["DEL", key]).await;
            }
            send(&notifications, 0).await;
            send(&notifications, 1).await;
            take(&notifications, 1).await;
            let _: () = connection.send(&["SET", foreign, "foreign"]).await;
            let before = dumps(&connection, &keys).await;
            notifications.send(ANN, "new", "").await.unwrap_err();
            notifications.take(ANN, 1, LONG).await.unwrap_err();
            notifications.acknowledge(ANN, &[id(0)]).await.unwrap_err();
            notifications.mark_all_read(ANN).await.unwrap_err();
            notifications.counts(ANN).await.unwrap_err();
            assert_eq!(dumps(&connection, &keys).await, before, "{foreign}");
        }
    });
}

#[test]
fn what_cannot_be_read_does_not_keep_the_others_from_the_device() {
    everywhere(async |connection, prefix| {
        let notifications = Notifications::new(connection.clone(), &prefix);
        let [waiting, _, deadlines, ..] = notifications.keys(ANN).unwrap();
        send(&notifications, 0).await;
        // By another release, say: one without a text.
        let _: () = connection.send(&["LPUSH", &waiting, r#"{"id":"other"}"#]).await;
        send(&notifications, 1).await;
        assert_eq!(take(&notifications, 9).await, [id(0), id(1)]);
        assert_eq!(notifications.acknowledge(ANN, &[id(0), id(1)]).await.unwrap(), 2);
        // Its time with the device is over: now it comes alone.
        let _: () = connection.send(&["ZADD", &deadlines, "1", "other"]).await;
        assert_matches!(notifications.take(ANN, 9, LONG).await, Err(StoreError::Malformed(_)));

        let _: () = connection.send(&["RPUSH", &waiting, "no JSON"]).await;
        let taken = notifications.take(ANN, 1, LONG).await;
        assert_matches!(&taken, Err(StoreError::Malformed(what)) if what.contains("no JSON"));
        assert_eq!(notifications.mark_all_read(ANN).await.unwrap(), 2, "the way out");
    });
}

#[tokio::test]
async fn when_memory_is_full_what_was_sent_can_still_be_taken_and_read() {
    let server = lab_server::Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let notifications = Notifications::new(connection.clone(), "");
    for number in 0..3 {
        send(&notifications, number).await;
    }
    let keys = notifications.keys(ANN).unwrap();
    let _: () = connection.send(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let before = dumps(&connection, &keys).await;
    notifications.send(ANN, "new", "").await.unwrap_err();
    assert_eq!(dumps(&connection, &keys).await, before, "refused as a whole");
    assert_eq!(take(&notifications, 1).await, [id(0)]);
    assert_eq!(notifications.acknowledge(ANN, &[id(0)]).await.unwrap(), 1);
    assert_eq!(notifications.mark_all_read(ANN).await.unwrap(), 2);
    assert_eq!(notifications.counts(ANN).await.unwrap().read, 3);
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let notifications = Notifications::new(connection.clone(), &prefix);
        let round_trips = [
            connection.round_trips_of(send(&notifications, 1)).await,
            connection.round_trips_of(take(&notifications, 9)).await,
            connection.round_trips_of(notifications.acknowledge(ANN, &[id(1)])).await,
            connection.round_trips_of(notifications.mark_all_read(ANN)).await,
            connection.round_trips_of(notifications.counts(ANN)).await,
        ];
        assert_eq!(round_trips, [1; 5]);
    });
}

/// Two senders send every notification twice. Four devices take, die before they acknowledge every third time, and take again.
/// Meanwhile another client reads the counts.
async fn run(connections: &[TestConnection], observer: &TestConnection, prefix: &str) {
    const EVENTS: usize = 60;
    let of = |number: usize| {
        Notifications::new(connections[number % connections.len()].clone(), prefix).with_cap(10_000)
    };
    let watching = Notifications::new(observer.clone(), prefix);
    let over = Arc::new(AtomicBool::new(false));
    let looking = {
        let (watching, over) = (watching.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                adds_up(watching.counts(ANN).await.unwrap());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
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
    let (deaths, shown) = (Arc::<AtomicU64>::default(), Arc::new(Mutex::new(BTreeMap::new())));
    let mut devices = JoinSet::new();
    for device in 0..4 {
        let notifications = of(2 + device);
        let (deaths, shown, over) = (Arc::clone(&deaths), Arc::clone(&shown), Arc::clone(&over));
        devices.spawn(async move {
            let mut turns = 0;
            while !over.load(Ordering::Relaxed) {
                // A lost answer is like a device that died.
                let Ok(taken) = notifications.take(ANN, 5, Duration::from_millis(20)).await else { continue };
                turns += 1;
                if turns % 3 == 1 {
                    deaths.fetch_add(taken.len() as u64, Ordering::Relaxed);
                    continue;
                }
                for notification in &taken {
                    *shown.lock().unwrap().entry(notification.id.clone()).or_insert(0_u64) += 1;
                }
                while notifications.acknowledge(ANN, &ids(&taken)).await.is_err() {}
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    senders.join_all().await;
    until("all is read", async || watching.counts(ANN).await.unwrap().unread == 0).await;
    over.store(true, Ordering::Relaxed);
    devices.join_all().await;
    looking.await.unwrap();
    let shown: BTreeSet<String> = shown.lock().unwrap().keys().cloned().collect();
    assert_eq!(shown, (0..EVENTS).map(id).collect(), "all that was sent was shown");
    let sent = EVENTS as u64;
    let counts = watching.counts(ANN).await.unwrap();
    assert_eq!(counts, Counts { sent, unread: 0, read: sent, dropped: 0 });
    assert!(deaths.load(Ordering::Relaxed) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_though_devices_die_and_answers_too() {
    let proxy = lossy_proxy(lab_testing::server(), 13);
    for _ in 0..3 {
        let connections = connections(4, async || TestConnection::reconnecting(&proxy.url()).await).await;
        run(&connections, &TestConnection::server().await, &prefix()).await;
    }
    assert!(proxy.cuts() > 5, "only {} answers were lost", proxy.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_slots_move() {
    let prefix = prefix();
    // One for each sender and device: see ARCHITECTURE.md on many requests over one cluster connection.
    let connections = connections(6, TestConnection::cluster).await;
    let keys = Notifications::new(connections[0].clone(), &prefix).keys(ANN).unwrap();
    let moving = MovingSlots::of(keys);
    run(&connections, &TestConnection::cluster().await, &prefix).await;
    assert!(moving.end() > 1);
}

/// While its slot is on its way, a script that touches a key which it has emptied fails in its middle.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_one_is_taken_dropped_and_read_while_its_slot_is_on_its_way() {
    for step in ["take", "send", "acknowledge", "mark all read"] {
        let notifications = Notifications::new(TestConnection::cluster().await, &prefix()).with_cap(2);
        send(&notifications, 1).await;
        take(&notifications, 1).await;
        send(&notifications, 2).await;
        let keys = notifications.keys(ANN).unwrap();
        let moving = HalfMovedSlots::of([&keys[0]]);
        match step {
            "take" => assert_eq!(take(&notifications, 9).await, [id(2)]),
            "send" => assert_eq!(send(&notifications, 3).await, Sent::New { unread: 2, dropped: 1 }),
            "acknowledge" => assert_eq!(notifications.acknowledge(ANN, &[id(1)]).await.unwrap(), 1),
            _ => assert_eq!(notifications.mark_all_read(ANN).await.unwrap(), 2),
        }
        drop(moving);
        let Counts { unread, read, dropped, .. } = notifications.counts(ANN).await.unwrap();
        let expected = match step {
            "take" => (2, 0, 0),
            "send" => (2, 0, 1),
            "acknowledge" => (1, 1, 0),
            _ => (0, 2, 0),
        };
        assert_eq!((unread, read, dropped), expected, "{step}");
    }
}
