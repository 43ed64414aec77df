//! Open loop: operations start at a fixed rate, whether or not earlier ones were answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::aio::ConnectionLike;
use tokio::task::{JoinSet, yield_now};

use super::closed::connect;
use super::lane::{Lane, Step};
use super::own_thread::on_own_thread;
use super::stall::Stall;
use super::stopped;
use super::tally::Tally;
use crate::keys::Keys;

/// Keys that the operations go to, in turn.
const LANES: usize = 100;
/// No more are begun while so many wait, which bounds the memory when the server cannot keep up. Their latency counts
/// from the moment planned all the same.
const MOST_WAITING: usize = 100_000;

/// A load at a fixed rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Operations a second; at least one.
    pub rate: u32,
    /// Connections that they share; at least one.
    pub connections: usize,
    /// How long operations are begun.
    pub time: Duration,
}

impl Schedule {
    /// Begins the operations at their moments, checks every reply, and counts latency from the moment at which an
    /// operation should have begun: what keeps us from sending is the user's delay too.
    ///
    /// `stall` is made when a third of the time is over, by the schedule itself: whoever else made it could be late, or
    /// too early while the connections are still being made, and then nobody would wait for it.
    pub async fn run(self, target: &Target, stall: Option<&Stall>) -> Result<Tally, LessonError> {
        let (target, stall) = (target.clone(), stall.cloned());
        on_own_thread(move || self.on_this_thread(target, stall)).await
    }

    async fn on_this_thread(self, target: Target, mut stall: Option<Stall>) -> Result<Tally, LessonError> {
        let keys = Keys::new(target.prefix());
        let connections = connect(&target, self.connections).await?;
        let lanes: Vec<Arc<Lane>> = (0..LANES).map(|client| Arc::new(Lane::new(&keys, client))).collect();
        // Operations on one key overlap here, so a key holds the same value all the time.
        for lane in &lanes {
            lane.command(Step::Set(0)).exec_async(&mut connections[0].clone()).await?;
        }
        let tally = Arc::new(Mutex::new(Tally::new()));
        let (begun, apart) = (Instant::now(), Duration::from_secs(1) / self.rate.max(1));
        let mut waiting = JoinSet::new();
        let plan = connections.iter().cycle().zip(lanes.iter().cycle()).enumerate();
        let mut planned = begun;
        for (number, (connection, lane)) in plan {
            if planned >= begun + self.time {
                break;
            }
            // A timer of the runtime is a millisecond late; looking again and again is exact.
            while Instant::now() < planned || waiting.len() >= MOST_WAITING {
                yield_now().await;
                while waiting.try_join_next().is_some() {}
            }
            if planned >= begun + self.time / 3
                && let Some(stall) = stall.take()
            {
                stall.make().await?;
            }
            let step = if number.is_multiple_of(4) { Step::Set(0) } else { Step::Get };
            tally.lock().unwrap_or_else(PoisonError::into_inner).sent += 1;
            waiting.spawn(operate(connection.clone(), Arc::clone(lane), step, planned, Arc::clone(&tally)));
            planned += apart;
        }
        while let Some(ended) = waiting.join_next().await {
            ended.map_err(|error| stopped(&error))?;
        }
        let mut tally = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
        tally.ends_after(begun.elapsed());
        Ok(tally)
    }
}

async fn operate(
    mut connection: Connection,
    lane: Arc<Lane>,
    step: Step,
    planned: Instant,
    tally: Arc<Mutex<Tally>>,
) {
    let reply = connection.req_packed_command(lane.command(step)).await;
    let latency = planned.elapsed();
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.note(lane.judge(step, Some(0), reply));
    tally.time(latency);
}
