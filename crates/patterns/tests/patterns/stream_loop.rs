//! The loop of a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_server::Server;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix, until};
use patterns::stream_loop::{Report, Worker};
use patterns::stream_worker::{Effect, Message};
use redis::RedisResult;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::everywhere;
use crate::stream_worker::{Queue, SOON, claim, count, effects, group, ids, publish, queue};

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

#[test]
fn a_worker_goes_on_after_the_server_came_back_empty() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix);
        let worker = Worker::new(group(&connection, &prefix), "host").unwrap();
        let handled = queue.clone();
        let running = start(&connection, &worker, move |message| {
            let effect = count(&handled, &message);
            async move { Ok(effect) }
        });
        publish(&queue, 0..1).await;
        until("the first message is done", async || worker.report().completed == 1).await;
        // It is blocked in a read now.
        for key in connection.keys(&format!("{prefix}*")).await {
            let _: u64 = connection.send(&["DEL", &key]).await;
        }
        publish(&queue, 1..2).await;
        until("the next one is done", async || effects(&queue, &connection).await.contains_key("m1")).await;
        let report = end(running).await;
        assert!(report.remade >= 1, "{report:?}");
        assert!(report.errors < 20, "{report:?}");
    });
}

#[test]
fn two_workers_of_one_host_share_no_name_and_take_nothing_from_each_other() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix);
        // Workers on busy processors extend in time, too.
        let visibility = Duration::from_secs(1);
        let group = group(&connection, &prefix).with_visibility(visibility);
        let started = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> =
            (0..2).map(|_| Worker::new(group.clone(), "same-host").unwrap().with_concurrency(1)).collect();
        assert_ne!(workers[0].consumer(), workers[1].consumer());
        let slow = |queue: Queue, started: Arc<AtomicUsize>| {
            move |message: Message| {
                started.fetch_add(1, Ordering::Relaxed);
                let effect = count(&queue, &message);
                // It outlives its visibility time.
                async move {
                    tokio::time::sleep(2 * visibility).await;
                    Ok(effect)
                }
            }
        };
        publish(&queue, 0..1).await;
        let first = start(&connection, &workers[0], slow(queue.clone(), started.clone()));
        until("the first worker is busy", async || started.load(Ordering::Relaxed) == 1).await;
        let second = start(&connection, &workers[1], slow(queue.clone(), started.clone()));
        until("it is done", async || workers[0].report().completed == 1).await;
        assert_eq!(end(second).await.claimed, 0);
        end(first).await;
        assert_eq!(started.load(Ordering::Relaxed), 1);
        assert_eq!(group.status().await.unwrap().consumers, 0, "a worker that stops removes its consumer");
    });
}

#[test]
fn a_panic_is_a_failure_and_a_stop_gives_back() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix);
        let group = group(&connection, &prefix).with_max_failures(3).with_visibility(Duration::from_secs(1));
        publish(&queue, 0..4).await;
        let worker = Worker::new(group.clone(), "host").unwrap().with_grace(SOON);
        let handled = queue.clone();
        let running = start(&connection, &worker, move |message| {
            let effect = count(&handled, &message);
            async move {
                match message.id.as_str() {
                    "m0" => panic!("poison"),
                    "m1" if message.failures < 2 => Err("not yet".to_owned()),
                    // It never ends.
                    "m2" => std::future::pending().await,
                    _ => Ok(effect),
                }
            }
        });
        until("all are settled but one", async || {
            let report = worker.report();
            (report.completed, report.dead) == (2, 1)
        })
        .await;
        let report = end(running).await;
        assert_eq!((report.failed, report.quarantined), (3 + 2, 0), "{report:?}");
        let dead = group.dead_letters("0-0", 10).await.unwrap();
        assert!(dead[0].reason.contains("panicked: poison"), "{dead:?}");
        let back = claim(&group, "next", 1).await;
        assert_eq!((ids(&back), back[0].failures, back[0].workers_lost), (vec!["m2"], 0, 0));
    });
}

/// Also what scripts send is counted.
async fn commands(server: &TestConnection) -> u64 {
    let stats: String = server.send(&["INFO", "commandstats"]).await;
    let calls = stats.lines().filter(|line| !line.starts_with("cmdstat_info:"));
    calls.filter_map(|line| line.split("calls=").nth(1)?.split(',').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_sends_two_commands_a_second_at_most() {
    const SECONDS: u64 = 8;
    let server = Server::start().unwrap();
    let admin = TestConnection::to_server(&server).await;
    for visibility in [Duration::from_secs(30), Duration::from_secs(1)] {
        let group = queue(&admin, "").group("billing").with_visibility(visibility);
        let worker = Worker::new(group.clone(), "host").unwrap();
        let (stop, stopped) = oneshot::channel();
        let url = server.url();
        let running = tokio::spawn(async move {
            let connect = || async { RedisResult::Ok(TestConnection::to_url(&url).await) };
            let handler = |_| async { Ok::<_, String>(Effect::none()) };
            worker.run(connect, handler, async { drop::<Result<(), _>>(stopped.await) }).await
        });
        until("it waits for messages", async || {
            let clients: String = admin.send(&["INFO", "clients"]).await;
            clients.contains("blocked_clients:1")
        })
        .await;
        let (before, begin) = (commands(&admin).await, tokio::time::Instant::now());
        tokio::time::sleep(Duration::from_secs(SECONDS)).await;
        let (sent, seconds) = (commands(&admin).await - before, begin.elapsed().as_secs_f64());
        println!("visibility {visibility:?}: {sent} commands in {seconds:.1} s");
        // It always sends some. A slow machine only makes them fewer.
        assert!(sent > 0 && sent <= 2 * SECONDS, "visibility {visibility:?}: {sent} in {SECONDS} s");
        stop.send(()).unwrap();
        running.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_survive_a_slot_that_moves_under_them() {
    let (connection, prefix) = (TestConnection::cluster().await, prefix());
    let queue = queue(&connection, &prefix);
    let moving = MovingSlots::of([queue.key().unwrap().as_str()]);
    let worker = Worker::new(group(&connection, &prefix).with_max_workers_lost(1_000), "host").unwrap();
    let handled = queue.clone();
    let running = start(&connection, &worker, move |message| {
        let effect = count(&handled, &message);
        async move { Ok(effect) }
    });
    publish(&queue, 0..100).await;
    until("all are done", async || effects(&queue, &connection).await.len() == 100).await;
    assert!(moving.end() > 1);
    end(running).await;
    assert!(effects(&queue, &connection).await.values().all(|count| *count == 1));
}
