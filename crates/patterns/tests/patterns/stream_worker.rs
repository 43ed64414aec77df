use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, everywhere, prefix, until};
use patterns::script::StoreError;
use patterns::stream_worker::{
    Completed, Effect, Failure, Group, Message, Published, Report, Status, StreamQueue, WhenFull, Worker,
};
use redis::{RedisResult, Value};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// Short, so that a test sees claims.
const SOON: Duration = Duration::from_millis(60);
const NOW: Duration = Duration::ZERO;

type Queue = StreamQueue<TestConnection>;

fn queue(connection: &TestConnection, prefix: &str) -> Queue {
    StreamQueue::new(connection.clone(), prefix, "orders")
}

fn group(connection: &TestConnection, prefix: &str) -> Group<TestConnection> {
    queue(connection, prefix)
        .group("billing")
        .with_visibility(SOON)
        .with_retry_pause(Duration::from_millis(5))
}

async fn publish(queue: &Queue, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let published = queue.publish(&format!("m{number}"), format!("{number}").as_bytes()).await.unwrap();
        assert!(matches!(published, Published::New { dropped: 0, .. }), "{published:?}");
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

fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

/// Claims until this many messages came.
async fn claim(group: &Group<TestConnection>, consumer: &str, count: usize) -> Vec<Message> {
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
fn count(queue: &Queue, message: &Message) -> Effect {
    Effect::none().command("HINCRBY", &queue.effect_key("effects").unwrap(), &[message.id.as_str(), "1"])
}

async fn effects(queue: &Queue, connection: &TestConnection) -> BTreeMap<String, u32> {
    connection.send(&["HGETALL", &queue.effect_key("effects").unwrap()]).await
}

/// A worker that runs until the sender is used, and counts each message as its effect.
fn start<F, W>(
    connection: &TestConnection,
    worker: &Worker<TestConnection>,
    handler: F,
) -> (oneshot::Sender<()>, JoinHandle<Report>)
where
    F: Fn(Message) -> W + Send + Sync + 'static,
    W: Future<Output = Result<Effect, String>> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel();
    let (worker, cluster) = (worker.clone(), connection.is_cluster());
    let connect = move || async move {
        let connection =
            if cluster { TestConnection::cluster().await } else { TestConnection::server().await };
        RedisResult::Ok(connection)
    };
    let running =
        tokio::spawn(async move { worker.run(connect, handler, async { drop(stopped.await) }).await });
    (stop, running)
}

async fn end((stop, running): (oneshot::Sender<()>, JoinHandle<Report>)) -> Report {
    stop.send(()).unwrap();
    running.await.unwrap()
}

#[tokio::test]
async fn a_message_is_published_once_and_has_one_effect() {
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
    })
    .await;
}

#[tokio::test]
async fn failures_and_lost_workers_are_counted_apart() {
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
        assert!(matches!(group.requeue(&letter("m0")).await.unwrap(), Published::New { .. }));
        assert_eq!(group.requeue(&letter("m0")).await.unwrap(), Published::Unknown);
        assert!(group.discard(&letter("m1")).await.unwrap());
        let again = read(&group, &connection, "z", 10).await;
        assert_eq!((ids(&again), again[0].payload.as_slice()), (vec!["m0"], b"0".as_slice()));
        assert_eq!(group.complete(&again[0], &count(&queue, &again[0])).await.unwrap(), Completed::Done);
        assert_eq!(group.status().await.unwrap().dead, 0);
    })
    .await;
}
