use std::collections::BTreeMap;
use std::time::Duration;

use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix, until};
use patterns::script::StoreError;
use patterns::stream_worker::{
    Completed, Effect, Failure, Group, Message, Published, Status, StreamQueue, WhenFull,
};
use redis::Value;
use tokio::task::JoinSet;

use crate::{connections, everywhere};

/// Short, so that a test sees claims.
pub(crate) const SOON: Duration = Duration::from_millis(60);
const NOW: Duration = Duration::ZERO;

pub(crate) type Queue = StreamQueue<TestConnection>;

pub(crate) fn queue(connection: &TestConnection, prefix: &str) -> Queue {
    StreamQueue::new(connection.clone(), prefix, "orders")
}

pub(crate) fn group(connection: &TestConnection, prefix: &str) -> Group<TestConnection> {
    queue(connection, prefix)
        .group("billing")
        .with_visibility(SOON)
        .with_retry_pause(Duration::from_millis(5))
}

pub(crate) async fn publish(queue: &Queue, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let published = queue.publish(&format!("m{number}"), format!("{number}").as_bytes()).await.unwrap();
        assert_matches!(published, Published::New { dropped: 0, .. });
    }
}

async fn read(
    group: &Group<TestConnection>,
    connection: &TestConnection,
    consumer: &str,
    most: usize,
) -> Vec<Message> {
    group.create().await.unwrap();
    group.read(connection, consumer, most, NOW).await.unwrap()
}

pub(crate) fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

/// Claims until this many messages came.
pub(crate) async fn claim(group: &Group<TestConnection>, consumer: &str, count: usize) -> Vec<Message> {
    let claimed = tokio::sync::Mutex::new(Vec::new());
    until("messages are claimed", async || {
        let mut claimed = claimed.lock().await;
        claimed.extend(group.claim(consumer, "0-0", 100).await.unwrap().messages);
        claimed.len() >= count
    })
    .await;
    claimed.into_inner()
}

/// Adds one to the count of this message.
pub(crate) fn count(queue: &Queue, message: &Message) -> Effect {
    Effect::none().command("HINCRBY", &queue.effect_key("effects").unwrap(), &[message.id.as_str(), "1"])
}

pub(crate) async fn effects(queue: &Queue, connection: &TestConnection) -> BTreeMap<String, u32> {
    connection.send(&["HGETALL", &queue.effect_key("effects").unwrap()]).await
}

#[test]
fn a_message_is_published_once_and_has_one_effect() {
    everywhere(async |connection, prefix| {
        let (queue, group) = (queue(&connection, &prefix), group(&connection, &prefix));
        publish(&queue, 0..1).await;
        assert_eq!(queue.publish("m0", b"other").await.unwrap(), Published::Again);
        let messages = read(&group, &connection, "a", 10).await;
        assert_eq!((ids(&messages), messages[0].payload.as_slice()), (vec!["m0"], b"0".as_slice()));
        let effect = count(&queue, &messages[0]);
        assert_eq!(group.complete(&messages[0], &effect).await.unwrap(), Completed::Done);
        assert_eq!(group.complete(&messages[0], &effect).await.unwrap(), Completed::Again);
        assert_eq!(group.fail(&messages[0], "a", "late").await.unwrap(), Failure::NotPending);
        assert_eq!(effects(&queue, &connection).await, BTreeMap::from([("m0".to_owned(), 1)]));
        let status = group.status().await.unwrap();
        assert_eq!(status, Status { entries: 1, consumers: 1, ..Status::default() });
    });
}

#[test]
fn failures_and_lost_workers_are_counted_apart() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix);
        let group = group(&connection, &prefix).with_max_failures(2).with_max_workers_lost(3);
        publish(&queue, 0..3).await;
        // m0 fails, m1 loses its workers, m2 is given back again and again.
        let mut starts = BTreeMap::<String, u32>::new();
        let mut messages = read(&group, &connection, "c0", 10).await;
        for round in 1.. {
            let consumer = format!("c{}", round - 1);
            for message in &messages {
                *starts.entry(message.id.clone()).or_default() += 1;
                match message.id.as_str() {
                    "m0" => drop(group.fail(message, &consumer, "no such customer").await.unwrap()),
                    "m2" if round <= 5 => {
                        assert_eq!((message.failures, message.workers_lost), (0, 0));
                        group.give_back(&consumer, std::slice::from_ref(&message.entry)).await.unwrap();
                    }
                    "m2" => drop(group.complete(message, &count(&queue, message)).await.unwrap()),
                    _ => {}
                }
            }
            let status = group.status().await.unwrap();
            if status.pending == 0 {
                break;
            }
            let next = format!("c{round}");
            messages = Vec::new();
            until("the next round, or the last message is dead", async || {
                group.claim(&next, "0-0", 100).await.unwrap();
                let held: Value =
                    connection.send(&["XPENDING", queue.key().unwrap().as_str(), "billing"]).await;
                let held = format!("{held:?}");
                held.contains(&next) || group.status().await.unwrap().pending == 0
            })
            .await;
            messages.extend(group.own_pending(&next, "0-0", 100).await.unwrap().0);
        }
        assert_eq!(
            starts,
            BTreeMap::from([("m0".to_owned(), 2), ("m1".to_owned(), 3), ("m2".to_owned(), 6)])
        );
        let dead = group.dead_letters("0-0", 10).await.unwrap();
        let mut reasons: Vec<_> = dead
            .iter()
            .map(|dead| {
                (
                    dead.message.id.as_str(),
                    dead.reason.as_str(),
                    dead.message.failures,
                    dead.message.workers_lost,
                )
            })
            .collect();
        reasons.sort_unstable();
        assert_eq!(reasons, [("m0", "no such customer", 2, 0), ("m1", "worker lost", 0, 3)]);
        assert_eq!(effects(&queue, &connection).await, BTreeMap::from([("m2".to_owned(), 1)]));

        // Requeued, a dead letter has its effect; discarded, it is gone.
        let letter = |id: &str| dead.iter().find(|dead| dead.message.id == id).unwrap().letter.clone();
        assert_matches!(group.requeue(&letter("m0")).await.unwrap(), Published::New { .. });
        assert_eq!(group.requeue(&letter("m0")).await.unwrap(), Published::Unknown);
        assert!(group.discard(&letter("m1")).await.unwrap());
        let again = read(&group, &connection, "z", 10).await;
        assert_eq!((ids(&again), again[0].payload.as_slice()), (vec!["m0"], b"0".as_slice()));
        assert_eq!(group.complete(&again[0], &count(&queue, &again[0])).await.unwrap(), Completed::Done);
        assert_eq!(group.status().await.unwrap().dead, 0);
    });
}

#[test]
fn a_full_stream_refuses_or_counts_what_it_drops_and_forgets_what_is_acknowledged() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix).with_max_entries(10);
        let group = queue.group("billing").with_visibility(SOON);
        publish(&queue, 0..10).await;
        // Nobody has read anything, not even a group.
        assert_eq!(queue.publish("m10", b"10").await.unwrap(), Published::Full);
        let messages = read(&group, &connection, "a", 4).await;
        assert_eq!(queue.publish("m10", b"10").await.unwrap(), Published::Full);
        // m1 is done, but m0 is not.
        group.complete(&messages[1], &Effect::none()).await.unwrap();
        assert_eq!(queue.publish("m10", b"10").await.unwrap(), Published::Full);
        group.complete(&messages[0], &Effect::none()).await.unwrap();
        assert_matches!(queue.publish("m10", b"10").await.unwrap(), Published::New { dropped: 0, .. });
        assert_eq!(group.status().await.unwrap().entries, 9, "m0 and m1 are forgotten");
        publish(&queue, 11..12).await;
        assert_eq!(queue.publish("m12", b"12").await.unwrap(), Published::Full);

        // Another policy drops m2, which is pending, and then m3, which is pending, and m4.
        let dropping = queue.clone().when_full(WhenFull::Drop);
        for number in 12..15 {
            let published = dropping.publish(&format!("m{number}"), b"").await.unwrap();
            assert_matches!(published, Published::New { dropped: 1, .. });
        }
        let held = std::sync::Mutex::new((0, 0));
        until("the trimmed entries are noticed", async || {
            let claimed = group.claim("b", "0-0", 100).await.unwrap();
            let mut held = held.lock().unwrap();
            *held = (held.0 + claimed.trimmed, held.1 + claimed.messages.len());
            held.0 == 2
        })
        .await;
        assert_eq!(held.into_inner().unwrap().1, 0);
        let status = group.status().await.unwrap();
        assert_eq!((status.pending, status.dropped, status.trimmed, status.entries), (0, 3, 2, 10));
        let rest = read(&group, &connection, "a", 100).await;
        assert_eq!(ids(&rest), ["m5", "m6", "m7", "m8", "m9", "m10", "m11", "m12", "m13", "m14"]);

        // What a consumer itself held is noticed, too.
        let _: u64 = connection.send(&["XDEL", queue.key().unwrap().as_str(), &rest[0].entry]).await;
        let (own, last) = group.own_pending("a", "0-0", 3).await.unwrap();
        assert_eq!((ids(&own), last.as_deref()), (vec!["m6", "m7"], Some(rest[2].entry.as_str())));
        assert_eq!(group.status().await.unwrap().trimmed, 3);
        let refused = group.fail(&rest[0], "a", "too late").await.unwrap();
        assert_eq!(refused, Failure::NotPending);
    });
}

#[test]
fn an_effect_that_is_refused_changes_nothing_and_half_an_effect_is_dead() {
    everywhere(async |connection, prefix| {
        let (queue, group) = (queue(&connection, &prefix), group(&connection, &prefix).with_max_failures(1));
        publish(&queue, 0..3).await;
        let messages = read(&group, &connection, "a", 10).await;
        let (text, number) = (queue.effect_key("text").unwrap(), queue.effect_key("number").unwrap());
        let _: () = connection.send(&["SET", &text, "x"]).await;
        let wrong = Effect::none().command("HSET", &text, &["a", "b"]).command("INCRBY", &number, &["1"]);
        let outcome = group.complete(&messages[0], &wrong).await.unwrap();
        assert_matches!(&outcome, Completed::Refused(error) if error.contains("WRONGTYPE"));
        assert_eq!(group.status().await.unwrap().pending, 3);
        let unknown = Effect::none().command("NOSUCH", &number, &["1"]);
        group.complete(&messages[0], &unknown).await.unwrap_err();
        let half = Effect::none().command("INCRBY", &number, &["1"]).command("HSET", &text, &["a", "b"]);
        assert_matches!(group.complete(&messages[1], &half).await.unwrap(), Completed::Half(_));
        assert_eq!(group.complete(&messages[1], &half).await.unwrap(), Completed::Again);
        assert_eq!(connection.send::<u32>(&["GET", &number]).await, 1);
        assert_eq!(group.fail(&messages[0], "a", "").await.unwrap(), Failure::Dead(1));
        let dead = group.dead_letters("0-0", 10).await.unwrap();
        assert_eq!(dead.iter().map(|dead| dead.message.id.as_str()).collect::<Vec<_>>(), ["m1", "m0"]);
        assert_eq!(group.status().await.unwrap().pending, 1);
    });
}

/// A failure whose retry cannot be saved must not be acknowledged, and a completion that cannot be saved must have no effect.
#[tokio::test]
async fn a_message_whose_outcome_the_server_refuses_stays_pending_as_it_was() {
    let server = lab_testing::server();
    let (admin, prefix) = (TestConnection::server().await, prefix());
    let (queue, group) = (queue(&admin, &prefix), group(&admin, &prefix).with_visibility(NOW));
    publish(&queue, 0..1).await;
    let message = read(&group, &admin, "a", 1).await.remove(0);
    let stays_as_it_was = async |what: &str| {
        let status = group.status().await.unwrap();
        assert_eq!((status.pending, status.dead), (1, 0), "{what}");
        assert!(effects(&queue, &admin).await.is_empty(), "{what}");
        let (own, _) = group.own_pending("a", "0-0", 10).await.unwrap();
        assert_eq!(own, std::slice::from_ref(&message), "{what}");
    };
    let by_failing = ["hset", "xclaim", "xadd", "xack", "hdel"].map(|command| (command, true));
    let by_completing =
        ["hincrby", "xack", "zadd", "zremrangebyrank", "hdel"].map(|command| (command, false));
    for (command, fails) in by_failing.into_iter().chain(by_completing) {
        let user = format!("{prefix}{command}").replace(':', "-");
        let rights = ["ACL", "SETUSER", &user, "on", ">pw", "~*", "&*", "+@all", &format!("-{command}")];
        let _: () = admin.send(&rights).await;
        let url = format!("redis://{user}:pw@127.0.0.1:{}", server.port());
        let refused = TestConnection::to_url(&url).await;
        let group = self::group(&refused, &prefix);
        if fails {
            // Once as a retry, once as the last failure, which makes a dead letter.
            group.fail(&message, "a", "no").await.unwrap_err();
            group.clone().with_max_failures(1).fail(&message, "a", "no").await.unwrap_err();
        } else {
            group.complete(&message, &count(&queue, &message)).await.unwrap_err();
        }
        stays_as_it_was(command).await;
        let _: u64 = admin.send(&["ACL", "DELUSER", &user]).await;
    }
    assert_eq!(group.fail(&message, "a", "no").await.unwrap(), Failure::Retry(1));
    let again = claim(&group, "b", 1).await;
    assert_eq!((again[0].failures, again[0].workers_lost), (1, 0));
    assert_eq!(group.complete(&again[0], &count(&queue, &again[0])).await.unwrap(), Completed::Done);
}

/// A restart without persistence, a partial restore, a repair by hand: the group is gone, or all keys are.
#[test]
fn a_lost_group_is_made_again_from_the_first_entry_and_doubles_nothing() {
    everywhere(async |connection, prefix| {
        let (queue, group) = (queue(&connection, &prefix), group(&connection, &prefix));
        let stream = queue.key().unwrap();
        publish(&queue, 0..4).await;
        let first = read(&group, &connection, "a", 2).await;
        group.complete(&first[0], &count(&queue, &first[0])).await.unwrap();
        let _: u64 = connection.send(&["XGROUP", "DESTROY", stream.as_str(), "billing"]).await;
        // The worker that holds m1 cannot complete it now, but nothing is lost.
        let outcome = group.complete(&first[1], &count(&queue, &first[1])).await.unwrap();
        assert_eq!(outcome, Completed::NotPending);
        assert_eq!(group.fail(&first[1], "a", "").await.unwrap(), Failure::NotPending);
        let again = read(&group, &connection, "b", 10).await;
        assert_eq!(ids(&again), ["m0", "m1", "m2", "m3"]);
        for message in &again {
            let expected = if message.id == "m0" { Completed::Again } else { Completed::Done };
            assert_eq!(group.complete(message, &count(&queue, message)).await.unwrap(), expected);
        }
        assert!(effects(&queue, &connection).await.values().eq(&[1, 1, 1, 1]));
    });
}

#[test]
fn a_consumer_that_owes_something_is_not_removed() {
    everywhere(async |connection, prefix| {
        let (queue, group) = (queue(&connection, &prefix), group(&connection, &prefix));
        publish(&queue, 0..3).await;
        read(&group, &connection, "c1", 3).await;
        let mut claimed = claim(&group, "c2", 1).await;
        assert_eq!(group.retire(Duration::from_hours(1)).await.unwrap(), 0);
        if claimed.len() < 3 {
            assert_eq!(group.retire(NOW).await.unwrap(), 0, "c1 owes what c2 has not claimed");
            claimed.extend(claim(&group, "c2", 3 - claimed.len()).await);
        }
        assert_eq!(group.retire(NOW).await.unwrap(), 1, "c1 owes nothing now");
        for message in &claimed {
            group.complete(message, &count(&queue, message)).await.unwrap();
        }
        assert_eq!(effects(&queue, &connection).await.len(), 3);
        assert_eq!(group.retire(NOW).await.unwrap(), 1);
    });
}

/// House-keeping runs all the time with no idle time at all, and consumers read meanwhile.
#[test]
fn house_keeping_races_with_reads_and_loses_nothing() {
    everywhere(async |connection, prefix| {
        const MESSAGES: usize = 60;
        let (queue, group) = (queue(&connection, &prefix), group(&connection, &prefix));
        publish(&queue, 0..MESSAGES).await;
        group.create().await.unwrap();
        let mut consumers = JoinSet::new();
        for number in 0..4 {
            let (group, queue, connection) = (group.clone(), queue.clone(), connection.clone());
            consumers.spawn(async move {
                let name = format!("c{number}");
                loop {
                    let messages = group.read(&connection, &name, 1, NOW).await.unwrap();
                    let Some(message) = messages.first() else { break };
                    group.complete(message, &count(&queue, message)).await.unwrap();
                }
            });
        }
        while effects(&queue, &connection).await.len() < MESSAGES {
            group.retire(NOW).await.unwrap();
        }
        consumers.join_all().await;
        assert!(effects(&queue, &connection).await.values().all(|count| *count == 1));
    });
}

#[test]
fn a_reply_that_was_lost_is_found_among_the_own_pending_ones() {
    everywhere(async |connection, prefix| {
        let (queue, group) = (queue(&connection, &prefix), group(&connection, &prefix));
        publish(&queue, 0..3).await;
        read(&group, &connection, "a", 10).await;
        let (own, last) = group.own_pending("a", "0-0", 2).await.unwrap();
        assert_eq!((ids(&own), own[0].workers_lost), (vec!["m0", "m1"], 0), "no worker was lost");
        let (own, last) = group.own_pending("a", &last.unwrap(), 2).await.unwrap();
        assert_eq!(ids(&own), ["m2"]);
        assert_eq!(group.own_pending("a", &last.unwrap(), 2).await.unwrap(), (vec![], None));
        assert_eq!(group.own_pending("b", "0-0", 2).await.unwrap(), (vec![], None));
        assert_eq!(group.extend("b", &[own[0].entry.clone()]).await.unwrap(), 0, "b does not hold it");
        assert_eq!(group.extend("a", &[own[0].entry.clone()]).await.unwrap(), 1);
        assert_eq!(group.give_back("b", &[own[0].entry.clone()]).await.unwrap(), 0);
    });
}

#[test]
fn hostile_input_is_refused_and_foreign_keys_stay_as_they_are() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix);
        let group = queue.group("{b}:\n*").with_visibility(SOON);
        let (hostile, payload) = ("{id}:\"*\u{0}\n\\", b"\0\r\n\xff".as_slice());
        queue.publish(hostile, payload).await.unwrap();
        queue.publish("empty", b"").await.unwrap();
        queue.publish("large", &vec![7; 10 * 1024 * 1024]).await.unwrap();
        queue.publish("", b"").await.unwrap_err();
        queue.publish("x", &vec![7; 16 * 1024 * 1024 + 1]).await.unwrap_err();
        let messages = read(&group, &connection, "\n{}", 10).await;
        assert_eq!(
            messages.iter().map(|message| message.payload.len()).collect::<Vec<_>>(),
            [4, 0, 10 * 1024 * 1024]
        );
        assert_eq!((messages[0].id.as_str(), messages[0].payload.as_slice()), (hostile, payload));
        for message in &messages {
            group.complete(message, &Effect::none()).await.unwrap();
        }
        // Another program adds what it likes.
        let key = queue.key().unwrap();
        let entry: String = connection.send(&["XADD", key.as_str(), "*", "other", "field"]).await;
        let foreign = read(&group, &connection, "a", 10).await;
        assert_eq!((foreign[0].id.as_str(), foreign[0].payload.len()), (entry.as_str(), 0));

        let keys = connection.keys(&format!("{prefix}*")).await;
        for foreign in keys {
            let _: u64 = connection.send(&["DEL", &foreign]).await;
            let _: () = connection.send(&["SET", &foreign, "mine"]).await;
            let _ = queue.publish("again", b"").await;
            let _ = group.create().await;
            let _ = group.complete(&messages[0], &Effect::none()).await;
            let _ = group.claim("a", "0-0", 1).await;
            assert_eq!(connection.send::<String>(&["GET", &foreign]).await, "mine");
            let _: u64 = connection.send(&["DEL", &foreign]).await;
        }
        let _: () = connection.send(&["SET", key.as_str(), "mine"]).await;
        let error = queue.publish("y", b"").await.unwrap_err();
        assert_matches!(&error, StoreError::WrongType(keys) if keys.contains(key.as_str()));
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let (queue, group) = (queue(&connection, &prefix), group(&connection, &prefix));
        group.create().await.unwrap();
        assert_eq!(connection.round_trips_of(queue.publish("m0", b"")).await, 1);
        let messages = read(&group, &connection, "a", 1).await;
        let effect = count(&queue, &messages[0]);
        let round_trips = [
            connection.round_trips_of(group.extend("a", &[messages[0].entry.clone()])).await,
            connection.round_trips_of(group.has_pending()).await,
            connection.round_trips_of(group.claim("a", "0-0", 1)).await,
            connection.round_trips_of(group.own_pending("a", "0-0", 1)).await,
            connection.round_trips_of(group.fail(&messages[0], "a", "")).await,
            connection.round_trips_of(group.complete(&messages[0], &effect)).await,
            connection.round_trips_of(group.status()).await,
            connection.round_trips_of(group.retire(SOON)).await,
        ];
        assert_eq!(round_trips, [1; 8]);
    });
}

/// Producers publish everything twice. Workers die after they have read, after they have done it, and lose replies.
async fn run(connections: &[TestConnection], observer: &TestConnection, prefix: &str) {
    const MESSAGES: usize = 80;
    let of = |number: usize| connections[number % connections.len()].clone();
    let (queue, group) = (queue(observer, prefix), group(observer, prefix).with_max_workers_lost(1_000));
    let mut tasks = JoinSet::new();
    for producer in 0..2 {
        let queue = StreamQueue::new(of(producer), prefix, "orders");
        tasks.spawn(async move {
            for number in 0..MESSAGES {
                while queue.publish(&format!("m{number}"), b"x").await.is_err() {}
            }
        });
    }
    for number in 2..6 {
        let (connection, queue) = (of(number), StreamQueue::new(of(number), prefix, "orders"));
        let group = queue.group("billing").with_visibility(SOON).with_max_workers_lost(1_000);
        let observer = observer.clone();
        tasks.spawn(async move {
            for life in 0_usize.. {
                let consumer = format!("c{number}-{life}");
                if group.create().await.is_err() {
                    continue;
                }
                let mut messages = group.read(&connection, &consumer, 5, NOW).await.unwrap_or_default();
                if let Ok(claimed) = group.claim(&consumer, "0-0", 5).await {
                    messages.extend(claimed.messages);
                }
                for message in messages.iter().skip(life % 2) {
                    while group.complete(message, &count(&queue, message)).await.is_err() {}
                }
                if effects(&queue, &observer).await.len() == MESSAGES {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    tasks.join_all().await;
    until("nothing is pending", async || {
        for message in group.claim("last", "0-0", 100).await.unwrap().messages {
            group.complete(&message, &count(&queue, &message)).await.unwrap();
        }
        for message in read(&group, observer, "last", 100).await {
            group.complete(&message, &count(&queue, &message)).await.unwrap();
        }
        group.status().await.unwrap().pending == 0
    })
    .await;
    let effects = effects(&queue, observer).await;
    assert_eq!(effects.len(), MESSAGES);
    assert!(effects.values().all(|count| *count == 1), "{effects:?}");
    assert_eq!(group.status().await.unwrap().dead, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_has_one_effect_though_workers_die_and_replies_are_lost() {
    let proxy = lossy_proxy(lab_testing::server(), 11);
    let connections = connections(6, async || TestConnection::reconnecting(&proxy.url()).await).await;
    run(&connections, &TestConnection::server().await, &prefix()).await;
    assert!(proxy.cuts() > 5, "only {} replies were lost", proxy.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_has_one_effect_while_slots_move() {
    let prefix = prefix();
    let connections = connections(6, TestConnection::cluster).await;
    let moving = MovingSlots::of([queue(&connections[0], &prefix).key().unwrap().as_str()]);
    run(&connections, &TestConnection::cluster().await, &prefix).await;
    assert!(moving.end() > 1);
}
