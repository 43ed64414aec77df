//! A closed loop, in which every client sends, waits for its reply, and sends again; and an open loop, in which operations begin
//! at a fixed rate, whether or not earlier ones were answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::Connection;
use lab_runner::{LessonError, Source, into_redis_error, source};
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisResult, Value};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::Stall;
use super::stats::{LoadStats, Verdict};
use crate::keys::Keys;

/// This file, for the screen.
pub static SOURCE: Source = source!("src/concurrency/loops.rs");

/// The share of the time at the beginning that is not measured, as a divisor.
const WARM_UP: u32 = 10;

/// Lets the clients run, each on a key of its own, and checks every reply.
pub(super) async fn closed_loop(
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
    let mut stats = std::mem::take(&mut *lock(&stats));
    stats.measured_for = measured_from.elapsed();
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

    fn stats(&self) -> MutexGuard<'_, LoadStats> {
        lock(&self.stats)
    }
}

/// Keys of the operations, one after the other.
const KEYS: usize = 100;
/// No more operations begin while this many wait, which limits the memory if the server cannot keep up. Their latency counts
/// from the planned moment all the same.
const MOST_WAITING: usize = 100_000;

/// Begins the operations at their planned moments, and checks every reply. Latency counts from the planned moment: what keeps
/// us from sending delays a user, too.
pub(super) async fn open_loop(
    rate: u32,
    connections: &[Connection],
    keys: &Keys,
    time: Duration,
    mut stall: Option<&Stall>,
) -> Result<LoadStats, LessonError> {
    let workloads: Vec<Arc<ClientWorkload>> =
        (0..KEYS).map(|client| Arc::new(ClientWorkload::new(keys, client))).collect();
    // Operations on one key overlap here, so a key holds the same value all the time.
    let mut pipeline = redis::pipe();
    for workload in &workloads {
        pipeline.add_command(workload.command(Operation::Set(0)).clone()).ignore();
    }
    pipeline.exec_async(&mut connections[0].clone()).await?;
    let stats = Arc::new(Mutex::new(LoadStats::new()));
    let mut waiting = JoinSet::new();
    let (begun, interval) = (Instant::now(), Duration::from_secs(1) / rate.max(1));
    let mut planned = begun;
    for (number, (connection, workload)) in
        connections.iter().cycle().zip(workloads.iter().cycle()).enumerate()
    {
        if planned >= begun + time {
            break;
        }
        // A timer of the runtime is a millisecond late. Looking again and again is exact.
        while Instant::now() < planned || waiting.len() >= MOST_WAITING {
            yield_now().await;
            while waiting.try_join_next().is_some() {}
        }
        // From here, so that it is neither late nor early.
        if planned >= begun + time / 3
            && let Some(stall) = stall.take()
        {
            stall.begin().await?;
        }
        let operation = if number.is_multiple_of(4) { Operation::Set(0) } else { Operation::Get };
        lock(&stats).sent += 1;
        waiting.spawn(operate(
            connection.clone(),
            Arc::clone(workload),
            operation,
            planned,
            Arc::clone(&stats),
        ));
        planned += interval;
    }
    while let Some(ended) = waiting.join_next().await {
        ended.map_err(into_redis_error)?;
    }
    let mut stats = std::mem::take(&mut *lock(&stats));
    stats.measured_for = begun.elapsed();
    Ok(stats)
}

async fn operate(
    mut redis: Connection,
    workload: Arc<ClientWorkload>,
    operation: Operation,
    planned: Instant,
    stats: Arc<Mutex<LoadStats>>,
) {
    let reply = redis.req_packed_command(workload.command(operation)).await;
    let latency = planned.elapsed();
    let verdict = workload.judge(operation, Some(0), reply);
    lock(&stats).record(verdict, Some(latency));
}

/// All clients share a thread, so nobody waits for the lock.
fn lock(stats: &Mutex<LoadStats>) -> MutexGuard<'_, LoadStats> {
    stats.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One SET, then this many GETs.
const GETS: usize = 3;

/// The commands of one client on a key that nobody else writes, so it knows what every GET has to return.
struct ClientWorkload {
    values: [Vec<u8>; 2],
    sets: [Cmd; 2],
    get: Cmd,
}

/// One operation.
#[derive(Clone, Copy)]
enum Operation {
    /// Writes one of the two values.
    Set(usize),
    Get,
}

impl ClientWorkload {
    fn new(keys: &Keys, client: usize) -> Self {
        let key = keys.concurrency(client);
        let values = ["one", "two"].map(|word| format!("client {client}, value {word}").into_bytes());
        let sets = [0, 1].map(|value: usize| Cmd::set(&key, &values[value]));
        Self { values, sets, get: Cmd::get(&key) }
    }

    /// The operation with this number, from 0.
    fn operation(number: usize) -> Operation {
        if number.is_multiple_of(GETS + 1) { Operation::Set(number / (GETS + 1) % 2) } else { Operation::Get }
    }

    fn command(&self, operation: Operation) -> &Cmd {
        match operation {
            Operation::Set(value) => &self.sets[value % 2],
            Operation::Get => &self.get,
        }
    }

    /// Judges a reply. `written` is the value that the key holds, unknown before the first SET.
    fn judge(&self, operation: Operation, written: Option<usize>, reply: RedisResult<Value>) -> Verdict {
        let right = match (operation, reply.and_then(Value::extract_error)) {
            (_, Err(error)) => return Verdict::Failed(error.to_string()),
            (Operation::Set(_), Ok(reply)) => reply == Value::Okay,
            (Operation::Get, Ok(Value::BulkString(found))) => match written {
                Some(value) => self.values[value % 2] == found,
                None => self.values.contains(&found),
            },
            (Operation::Get, Ok(reply)) => reply == Value::Nil && written.is_none(),
        };
        if right { Verdict::Right } else { Verdict::Wrong }
    }
}
