//! Two hundred browsers on the event stream while the shop, or the primary, is killed. Each comes back with the last ID it saw.
//!
//! What each saw is compared with the stream in Redis, entry by entry.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lab_connection::TargetArgs;
use lab_server::{Proxy, Server};
use lab_testing::until;
use live_shop::changes::Change;
use live_shop::hub::Hub;
use live_shop::state::Settings;
use live_shop::wire::Redis;
use patterns::broadcast::Broadcast;

use crate::client::{Browser, Event, left};
use crate::open;
use crate::program::{Program, hub, redis};

const BROWSERS: usize = 200;
/// The last change: who has seen it goes home.
const LAST: u64 = 999_999;

/// A change that all must have seen before the test goes on.
const MARK: u64 = 39;

/// How many browsers have got so far.
struct Progress {
    listening: AtomicUsize,
    marks: AtomicUsize,
    resyncs: AtomicUsize,
}

impl Progress {
    const fn new() -> Self {
        Self { listening: AtomicUsize::new(0), marks: AtomicUsize::new(0), resyncs: AtomicUsize::new(0) }
    }
}

/// Browsers that listen until the last change. Every second one also goes away after each tenth change, and comes back.
struct Browsers {
    threads: Vec<JoinHandle<Vec<Event>>>,
}

impl Browsers {
    fn listen(browser: &Browser, progress: &'static Progress) -> Self {
        let listen = |number: usize| {
            let browser = browser.clone();
            thread::spawn(move || {
                let (mut changes, mut hellos, mut resyncs) = (0, 0, 0);
                browser.listen(|event| {
                    let (count, progress) = match event.kind.as_str() {
                        "hello" => (&mut hellos, &progress.listening),
                        "resync" => (&mut resyncs, &progress.resyncs),
                        _ => (&mut changes, &progress.marks),
                    };
                    *count += 1;
                    let change = if event.kind == "stock" { left(&event.data) } else { 0 };
                    if change == MARK || event.kind != "stock" && *count == 1 {
                        progress.fetch_add(1, Ordering::Relaxed);
                    }
                    let goes_away =
                        event.kind == "stock" && number.is_multiple_of(2) && *count % 10 == number / 2 % 10;
                    if change == LAST { ControlFlow::Break(()) } else { ControlFlow::Continue(!goes_away) }
                })
            })
        };
        Self { threads: (0..BROWSERS).map(listen).collect() }
    }

    /// What each has seen: the entries, and how many times it was told to read the page again.
    async fn entries(self) -> Vec<(Vec<String>, usize)> {
        let seen =
            tokio::task::spawn_blocking(|| self.threads.into_iter().map(|one| one.join().unwrap()).collect());
        let seen: Vec<Vec<Event>> = seen.await.unwrap();
        let entries = |events: &[Event]| {
            let stock = events.iter().filter(|event| event.kind == "stock");
            stock.map(|event| event.id.split_once('.').unwrap().1.to_owned()).collect()
        };
        let resyncs = |events: &[Event]| events.iter().filter(|event| event.kind == "resync").count();
        seen.iter().map(|events| (entries(events), resyncs(events))).collect()
    }
}

/// The changes in Redis.
async fn stored(redis: &Redis, prefix: &str) -> Vec<String> {
    let [log, _] = Broadcast::new(redis.clone(), prefix, "changes").keys().unwrap();
    let range = redis::cmd("XRANGE").arg(log).arg("-").arg("+").to_owned();
    let entries: Vec<(String, redis::Value)> = range.query_async(&mut redis.clone()).await.unwrap();
    entries.into_iter().map(|(id, _)| id).collect()
}

/// Publishes, again after an error: a change whose reply was lost may be in the stream twice.
async fn publish(hub: &Hub, changes: impl IntoIterator<Item = u64>) {
    for change in changes {
        let change = Change::stock("kettle", change);
        until("it is published", || async { hub.publish(&change).await.is_ok() }).await;
    }
}

async fn until_all(what: &str, progress: &AtomicUsize) {
    until(&format!("all {what}"), || async { progress.load(Ordering::Relaxed) >= BROWSERS }).await;
}

async fn replicated(redis: &Redis) {
    let wait = redis::cmd("WAIT").arg(1).arg(500).to_owned();
    until("the replica has it", async || wait.query_async(&mut redis.clone()).await == Ok(1)).await;
}

async fn browser_at(address: std::net::SocketAddr) -> Browser {
    tokio::task::spawn_blocking(move || Browser::new(address)).await.unwrap()
}

/// On a busy machine, a server that is well may take longer than a customer waits.
fn unhurried() -> Settings {
    Settings { answers_in: Duration::from_secs(10), ..Settings::default() }
}

/// The shop is killed twice while changes are published, and started again on the same Redis.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_browsers_miss_nothing_and_get_nothing_twice_though_the_shop_is_killed() {
    static PROGRESS: Progress = Progress::new();
    let prefix = lab_testing::prefix();
    let (hub, redis) = (hub(&prefix).await, redis(&prefix).await);
    let open = |prefix: String| tokio::task::spawn_blocking(move || Program::open(&prefix));
    let mut program = open(prefix.clone()).await.unwrap();
    let browsers = Browsers::listen(&browser_at(program.address).await, &PROGRESS);
    until_all("listen", &PROGRESS.listening).await;

    for round in 0..2 {
        publish(&hub, round * 200..round * 200 + 100).await;
        // More is published while it is dead.
        let killed = tokio::task::spawn_blocking(move || {
            program.kill();
            program
        });
        publish(&hub, round * 200 + 100..round * 200 + 200).await;
        program = killed.await.unwrap();
        let prefix = prefix.clone();
        let opened = tokio::task::spawn_blocking(move || {
            program.open_again(&prefix);
            program
        });
        program = opened.await.unwrap();
    }
    publish(&hub, [LAST]).await;
    let stored = stored(&redis, &format!("{prefix}live_shop:")).await;
    assert_eq!(stored.len(), 401);
    for (entries, resyncs) in browsers.entries().await {
        assert_eq!((entries.len(), resyncs), (stored.len(), 0));
        assert_eq!(entries, stored);
    }
    drop(program);
}

/// The replica has all changes when the primary is killed.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_browsers_miss_nothing_and_get_nothing_twice_though_the_primary_is_killed() {
    static PROGRESS: Progress = Progress::new();
    let running = open(&TargetArgs::private(), unhurried()).await;
    let (app, faults) = (running.app.clone(), running.app.faults.clone().unwrap());
    let browsers = Browsers::listen(&browser_at(app.address).await, &PROGRESS);
    until_all("listen", &PROGRESS.listening).await;
    for round in 0..2 {
        publish(&app.events, round * 100..round * 100 + 50).await;
        replicated(&app.redis).await;
        let (killed, ()) =
            tokio::join!(faults.kill_primary(), publish(&app.events, round * 100 + 50..round * 100 + 100));
        assert_eq!(u64::from(killed.unwrap().failovers), round + 1);
    }
    publish(&app.events, [LAST]).await;
    let stored = stored(&app.redis, &app.prefix).await;
    assert!(stored.len() >= 201, "{}", stored.len());
    for (entries, resyncs) in browsers.entries().await {
        assert_eq!((entries.len(), resyncs), (stored.len(), 0));
        assert_eq!(entries, stored);
    }
    running.close().await;
}

/// The primary dies with changes that its replica does not have. All browsers have seen those. Each gets one resync, and all go on together.
#[tokio::test(flavor = "multi_thread")]
async fn changes_that_a_failover_forgets_are_no_silent_gap() {
    static PROGRESS: Progress = Progress::new();
    let primary = Server::start().unwrap();
    let to_replica = Proxy::in_front_of(&primary).unwrap();
    let through = format!("127.0.0.1 {}", to_replica.port());
    let replica = Server::builder().replica_of(&primary).config("replicaof", through).start().unwrap();
    let address = Proxy::in_front_of(&primary).unwrap();
    let running = open(&TargetArgs::at(address.url()), unhurried()).await;
    let app = running.app.clone();
    let browsers = Browsers::listen(&browser_at(app.address).await, &PROGRESS);
    until_all("listen", &PROGRESS.listening).await;
    publish(&app.events, 0..20).await;
    replicated(&app.redis).await;
    to_replica.set_dropping(true);
    publish(&app.events, 20..39).await;
    publish(&app.events, [MARK]).await;
    until_all("have seen what will be forgotten", &PROGRESS.marks).await;

    drop((to_replica, primary));
    let mut promote = redis::cmd("REPLICAOF");
    promote.arg("NO").arg("ONE").exec(&mut replica.client().get_connection().unwrap()).unwrap();
    address.lead_to(&replica);
    publish(&app.events, 40..60).await;
    until_all("get a resync", &PROGRESS.resyncs).await;
    publish(&app.events, 60..80).await;
    publish(&app.events, [LAST]).await;
    let stored = stored(&app.redis, &app.prefix).await;
    assert!(stored.len() >= 61, "{}", stored.len());
    for (entries, resyncs) in browsers.entries().await {
        let seen: BTreeSet<&String> = entries.iter().collect();
        assert_eq!(seen.len(), entries.len(), "an entry came twice: {entries:?}");
        assert!(resyncs > 0);
        let forgotten = entries.iter().filter(|entry| !stored.contains(entry)).count();
        assert_eq!(forgotten, 20, "{entries:?} of {stored:?}");
        assert!(entries.ends_with(&stored[stored.len() - 21..]), "{entries:?} of {stored:?}");
    }
    running.close().await;
}
