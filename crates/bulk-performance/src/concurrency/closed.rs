//! Closed loop: every client asks, waits for its reply, and asks again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::aio::ConnectionLike;
use tokio::task::JoinSet;

use super::lane::{Lane, Step};
use super::own_thread::on_own_thread;
use super::stopped;
use super::tally::{Tally, Verdict};
use crate::keys::Keys;

/// The share of the time at the beginning that is not measured: one part in so many.
const WARM_UP: u32 = 10;

/// A crowd of clients, as many as operations are to be in flight, spread over connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Clients; each has one operation in flight.
    pub in_flight: usize,
    /// Connections that they share; at least one.
    pub connections: usize,
    /// How long they go on. Each does at least one operation.
    pub time: Duration,
}

impl Crowd {
    /// Lets the clients run, each on a key of its own, and checks every reply.
    pub async fn run(self, target: &Target) -> Result<Tally, LessonError> {
        let target = target.clone();
        on_own_thread(move || self.on_this_thread(target)).await
    }

    async fn on_this_thread(self, target: Target) -> Result<Tally, LessonError> {
        let keys = Keys::new(target.prefix());
        let connections = connect(&target, self.connections).await?;
        let lanes: Vec<Lane> = (0..self.in_flight).map(|client| Lane::new(&keys, client)).collect();
        let tally = Arc::new(Mutex::new(Tally::new()));
        let begun = Instant::now();
        let (measured_from, until) = (begun + self.time / WARM_UP, begun + self.time);
        let mut clients = JoinSet::new();
        for (lane, connection) in lanes.into_iter().zip(connections.iter().cycle()) {
            let client = Client {
                connection: connection.clone(),
                lane,
                measured_from,
                until,
                tally: Arc::clone(&tally),
            };
            clients.spawn(client.run());
        }
        while let Some(ended) = clients.join_next().await {
            ended.map_err(|error| stopped(&error))?;
        }
        let mut tally = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
        tally.ends_after(measured_from.elapsed());
        Ok(tally)
    }
}

/// `count` connections of one's own, at least one.
pub(crate) async fn connect(target: &Target, count: usize) -> Result<Vec<Connection>, LessonError> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count.max(1) {
        connections.push(target.dedicated().await?);
    }
    Ok(connections)
}

struct Client {
    connection: Connection,
    lane: Lane,
    measured_from: Instant,
    until: Instant,
    tally: Arc<Mutex<Tally>>,
}

impl Client {
    async fn run(mut self) {
        let mut written = None;
        let mut begun = Instant::now();
        for number in 0.. {
            let step = Lane::step(number);
            self.note(|tally| tally.sent += 1);
            let reply = self.connection.req_packed_command(self.lane.command(step)).await;
            let ended = Instant::now();
            let broken = reply.as_ref().is_err_and(|error| error.code().is_none());
            let verdict = self.lane.judge(step, written, reply);
            if let (Step::Set(value), Verdict::Right) = (step, &verdict) {
                written = Some(value);
            }
            let measured_from = self.measured_from;
            self.note(|tally| {
                tally.note(verdict);
                if ended >= measured_from {
                    tally.time(ended - begun);
                }
            });
            // A connection that broke stays broken, and nobody knows whether the last SET was done.
            if broken || ended >= self.until {
                return;
            }
            begun = ended;
        }
    }

    /// The clients share a thread, so nobody waits for the lock.
    fn note(&self, write: impl FnOnce(&mut Tally)) {
        write(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
