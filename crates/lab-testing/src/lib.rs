//! For tests only: servers that the tests of a program share, connections that count or misbehave, and faults.
//!
//! - [`server`], [`cluster`]: started once for each test program. Each test takes its own [`prefix`].
//! - [`TestConnection`]: a connection over RESP2, over RESP3, or to a cluster. It counts round trips, and it can send each
//!   command twice.
//! - [`everywhere`]: runs a test over all three.
//! - [`faults`]: lost replies.
//! - [`slots`]: slots of the shared cluster that move while a test runs.
//! - [`browser`]: a real headless Chromium, pictures of pages, and what a report promises to readers.
//! - [`lessons`]: runs lessons and reads what they showed, with the rules that hold for every crate with lessons.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a fixture that fails fails the test")]
#![allow(clippy::missing_panics_doc, reason = "a fixture panics when a server does not work")]

pub mod browser;
mod connection;
pub mod faults;
pub mod lessons;
mod refusals;
pub mod slots;
#[cfg(feature = "tls")]
pub mod tls_server;

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use lab_server::{Cluster, Server};
use proptest::test_runner::{Config, RngSeed};

pub use connection::TestConnection;

/// How long a test waits for something that must happen. Long, because many tests run at once on few cores, and a virtual machine
/// can stand still for a minute.
pub const TIMEOUT: Duration = Duration::from_mins(3);

/// Whether the tests are built with TLS, as those of the whole workspace are.
pub const HAS_TLS: bool = cfg!(feature = "tls");

/// Whether `UPDATE=1` asks a test to write what it compares with.
pub fn updates() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

static SERVER: OnceLock<Server> = OnceLock::new();
static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// The server that the tests of this program share.
pub fn server() -> &'static Server {
    SERVER.get_or_init(|| Server::start().unwrap())
}

/// What the shared server does, and the end of its log: why it does not answer.
pub(crate) fn about_the_server() -> String {
    const LAST_LINES: usize = 60;
    let server = server();
    let log = std::fs::read(server.dir().join("server.log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    let state = if cfg!(target_os = "linux") {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
        status.lines().find(|line| line.starts_with("State:")).unwrap_or("State: ended").to_owned()
    } else {
        format!("It runs: {}", server.is_running())
    };
    format!(
        "The server that the tests share: {}. {state}. Its log:\n{}",
        server.program().describe(),
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    )
}

/// The cluster of three primaries that the tests of this program share.
pub fn cluster() -> &'static Cluster {
    CLUSTER.get_or_init(|| Cluster::start(3).unwrap())
}

/// A prefix that no other test of this program uses.
pub fn prefix() -> String {
    format!("test{}:", PREFIXES.fetch_add(1, Ordering::Relaxed))
}

/// Runs a test on the shared server over RESP2, then over RESP3, then on the shared cluster, each time with a new prefix.
pub async fn everywhere<F: Future<Output = ()>>(test: impl Fn(TestConnection, String) -> F) {
    test(TestConnection::server().await, prefix()).await;
    test(TestConnection::resp3().await, prefix()).await;
    test(TestConnection::cluster().await, prefix()).await;
}

/// Polls until the condition holds. Fails after [`TIMEOUT`].
pub async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < TIMEOUT, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The next message of a subscription. Fails after [`TIMEOUT`] without one, and says `what` did not come.
pub async fn next_of<T>(messages: &mut (impl Stream<Item = T> + Unpin), what: &str) -> T {
    let Ok(message) = tokio::time::timeout(TIMEOUT, messages.next()).await else {
        panic!("waited in vain for {what}");
    };
    message.unwrap_or_else(|| panic!("the subscription ended before {what}"))
}

/// This many random cases, the same ones in every run, so that no test passes by luck.
pub fn cases(number: u32) -> Config {
    Config { cases: number, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() }
}
