//! Closed loop: every client sends, waits for its reply, and sends again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::Connection;
use lab_runner::{LessonError, Source, source};
use redis::RedisResult;
use redis::aio::ConnectionLike;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::stall::Stall;
use super::stats::{LoadStats, Verdict};
use super::workload::{ClientWorkload, Operation};
use crate::keys::Keys;

/// This file, for the screen.
pub static SOURCE: Source = source!("src/concurrency/closed_loop.rs");

/// The share of the time at the beginning that is not measured, as a divisor.
const WARM_UP: u32 = 10;

/// Lets the clients run, each on a key of its own, and checks every reply.
pub(super) async fn run(
    in_flight: usize,
    connections: &[Connection],
    keys: &Keys,
    time: Duration,
    stall: Option<&Stall>,
) -> Result<LoadStats, LessonError> {
    let workloads: Vec<ClientWorkload> =
        (0..in_flight).map(|client| ClientWorkload::new(keys, client)).collect();
    let stats = Arc::new(Mutex::new(LoadStats::new()));
    let begun = Instant::now();
    let (measured_from, until) = (begun + time / WARM_UP, begun + time);
    let mut clients = JoinSet::new();
    for (workload, connection) in workloads.into_iter().zip(connections.iter().cycle()) {
        let (redis, stats) = (connection.clone(), Arc::clone(&stats));
        clients.spawn(Client { redis, workload, measured_from, until, stats }.send_and_wait());
    }
    let stalled = async {
        match stall {
            Some(stall) => {
                sleep(time / 3).await;
                stall.begin().await
            }
            None => Ok(()),
        }
    };
    let (stalled, _clients): (RedisResult<()>, Vec<()>) = tokio::join!(stalled, clients.join_all());
    stalled?;
    let mut stats = std::mem::take(&mut *stats.lock().unwrap_or_else(PoisonError::into_inner));
    stats.ends_after(measured_from.elapsed());
    Ok(stats)
}

struct Client {
    redis: Connection,
    workload: ClientWorkload,
    measured_from: Instant,
    until: Instant,
    stats: Arc<Mutex<LoadStats>>,
}

impl Client {
    async fn send_and_wait(mut self) {
        let mut written = None;
        for number in 0.. {
            let operation = ClientWorkload::operation(number);
            let begun = Instant::now();
            self.stats().sent += 1;
            let reply = self.redis.req_packed_command(self.workload.command(operation)).await;
            let ended = Instant::now();
            let broken = reply.as_ref().is_err_and(|error| error.code().is_none());
            let verdict = self.workload.judge(operation, written, reply);
            if let (Operation::Set(value), Verdict::Right) = (operation, &verdict) {
                written = Some(value);
            }
            let measured = ended >= self.measured_from;
            self.stats().record(verdict, measured.then(|| ended - begun));
            // A connection that broke stays broken, and nobody knows whether the last SET was done.
            if broken || ended >= self.until {
                return;
            }
        }
    }

    /// The clients share a thread, so nobody waits for the lock.
    fn stats(&self) -> std::sync::MutexGuard<'_, LoadStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
