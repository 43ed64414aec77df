//! Open loop: operations begin at a fixed rate, whether or not earlier ones were answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::Connection;
use lab_runner::{LessonError, Source, source};
use redis::aio::ConnectionLike;
use tokio::task::{JoinSet, yield_now};

use super::stall::Stall;
use super::stats::LoadStats;
use super::workload::{ClientWorkload, Operation};
use crate::keys::Keys;

/// This file, for the screen.
pub static SOURCE: Source = source!("src/concurrency/open_loop.rs");

/// Keys of the operations, one after the other.
const KEYS: usize = 100;
/// No more operations begin while this many wait, which limits the memory if the server cannot keep up. Their latency counts
/// from the planned moment all the same.
const MOST_WAITING: usize = 100_000;

/// Begins the operations at their planned moments, and checks every reply. Latency counts from the planned moment: what keeps
/// us from sending delays a user, too.
pub(super) async fn run(
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
        stats.lock().unwrap_or_else(PoisonError::into_inner).sent += 1;
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
        ended.map_err(|error| redis::RedisError::from(std::io::Error::other(error)))?;
    }
    let mut stats = std::mem::take(&mut *stats.lock().unwrap_or_else(PoisonError::into_inner));
    stats.ends_after(begun.elapsed());
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
    stats.lock().unwrap_or_else(PoisonError::into_inner).record(verdict, Some(latency));
}
