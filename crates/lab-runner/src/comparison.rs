//! Approaches side by side: verified before they are timed, interleaved, with spread, caveats and environment.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::transcript::{Exchange, Listener};
use lab_connection::{Connection, Target, Transcript};
use redis::aio::ConnectionLike;
use redis::{RedisError, RedisResult};

use crate::caveat::Caveat;
use crate::lesson::LessonError;
use crate::measurement::{Measured, Row, Traffic};
use crate::statistics::Summary;

/// Rounds per approach in a lesson: an odd number, so that the median is a round that happened.
const ROUNDS: usize = 15;
/// No comparison in a lesson takes longer than about this; it then ends after the round, but not before three. A debug
/// build's figures are worth little, so less time goes into them.
const BUDGET: Duration = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 1500 });
const FEWEST_ROUNDS: usize = 3;

/// A connection that approaches may use, traced or plain; clones share its socket.
pub trait Wire: ConnectionLike + Clone + Send + Sync + 'static {}
impl<C: ConnectionLike + Clone + Send + Sync + 'static> Wire for C {}

/// One way of doing a thing. Tests, lessons and benches all call these functions.
pub trait Approach: Copy + Send + Sync {
    /// What the approaches work on: keys and sizes.
    type Subject: Sync;
    /// What a run sees or leaves behind; the same for every approach, or they do not do the same thing.
    type Observed: PartialEq + Debug + Send;

    /// Its row in the table.
    fn label(self) -> String;

    /// How many operations one run performs.
    fn operations(self, subject: &Self::Subject) -> u64;

    /// Untimed: brings the data into the state that a run starts from.
    fn reset<C: Wire>(
        self,
        subject: &Self::Subject,
        connection: &mut C,
    ) -> impl Future<Output = RedisResult<()>> + Send;

    /// Timed: does the thing.
    fn run<C: Wire>(
        self,
        subject: &Self::Subject,
        connection: &mut C,
    ) -> impl Future<Output = RedisResult<Self::Observed>> + Send;
}

/// A question and the approaches that answer it; the first is the reference of the ratios.
pub struct Comparison<'a, A: Approach> {
    /// What the table shows.
    pub title: &'a str,
    /// The approaches, reference first.
    pub approaches: &'a [A],
    /// What they work on.
    pub subject: &'a A::Subject,
}

impl<A: Approach> Comparison<'_, A> {
    /// Runs every approach once, traced and untimed, and requires that all see the same.
    pub async fn verify<C: Wire>(&self, connection: &C) -> Result<Vec<Traffic>, LessonError> {
        let mut reference: Option<(String, A::Observed)> = None;
        let mut traffic = Vec::new();
        for &approach in self.approaches {
            let meter = Arc::new(Meter::default());
            approach.reset(self.subject, &mut connection.clone()).await?;
            let mut traced = Transcript::new(connection.clone(), Arc::clone(&meter) as Arc<dyn Listener>);
            let observed = approach.run(self.subject, &mut traced).await?;
            traffic.push(meter.read());
            match &reference {
                None => reference = Some((approach.label(), observed)),
                Some((_, expected)) if *expected == observed => {}
                Some((label, expected)) => {
                    return Err(LessonError::Check(format!(
                        "'{label}' and '{}' do the same thing (the first saw {expected:?}, the second {observed:?})",
                        approach.label()
                    )));
                }
            }
        }
        Ok(traffic)
    }

    /// Verifies the approaches, then times them in interleaved rounds on an untraced connection.
    pub async fn measure(&self, target: &Target) -> Result<Measured, LessonError> {
        let mut connection = target.connection();
        let traffic = self.verify(&connection).await?;
        let samples = self.time(&mut connection).await?;
        let rates: Vec<(String, Summary)> = self
            .approaches
            .iter()
            .zip(&samples)
            .map(|(approach, samples)| (approach.label(), Summary::of(samples)))
            .collect();
        let reference = rates.first().map_or(0.0, |(_, rate)| rate.median);
        let caveats = Caveat::about(&rates, target.is_near());
        let row = |((label, rate), traffic): ((String, Summary), Traffic)| {
            let ratio = if reference > 0.0 { rate.median / reference } else { 0.0 };
            Row { label, rate, ratio, traffic }
        };
        Ok(Measured {
            title: self.title.to_owned(),
            operations: self.approaches.first().map_or(0, |approach| approach.operations(self.subject)),
            rounds: samples.first().map_or(0, Vec::len),
            rows: rates.into_iter().zip(traffic).map(row).collect(),
            environment: environment(target, &mut connection).await,
            caveats,
        })
    }

    /// Operations a second of every round of every approach. A round runs each approach once, and the next round
    /// begins with another one, so that a slow moment of the machine meets all of them.
    async fn time(&self, connection: &mut Connection) -> Result<Vec<Vec<f64>>, RedisError> {
        let mut rates = vec![Vec::with_capacity(ROUNDS); self.approaches.len()];
        let begun = Instant::now();
        for round in 0..ROUNDS {
            if round >= FEWEST_ROUNDS && begun.elapsed() > BUDGET {
                break;
            }
            for turn in 0..self.approaches.len() {
                let index = (turn + round) % self.approaches.len();
                let approach = self.approaches[index];
                approach.reset(self.subject, connection).await?;
                let started = Instant::now();
                approach.run(self.subject, connection).await?;
                let seconds = started.elapsed().as_secs_f64().max(1e-9);
                rates[index].push(approach.operations(self.subject) as f64 / seconds);
            }
        }
        Ok(rates)
    }
}

/// Adds up what a transcript hears.
#[derive(Default)]
struct Meter(Mutex<Traffic>);

impl Meter {
    fn read(&self) -> Traffic {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Meter {
    fn heard(&self, exchange: Exchange) {
        let mut traffic = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        traffic.round_trips += exchange.round_trips;
        traffic.bytes_sent += exchange.bytes_sent;
        traffic.bytes_received += exchange.bytes_received;
    }
}

/// What the numbers hold for.
async fn environment(target: &Target, connection: &mut Connection) -> Vec<String> {
    let info = target.info();
    let persistence = if info.append_only { "append-only file on" } else { "no append-only file" };
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    vec![
        client_library(connection).await,
        format!("{} {}", info.name, info.version),
        info.allocator.clone(),
        target.transport().into(),
        persistence.into(),
        build.into(),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .collect()
}

/// The client library introduces itself when it connects; since Redis 7.2 the server can repeat it.
async fn client_library(connection: &mut Connection) -> String {
    let line: String = redis::cmd("CLIENT").arg("INFO").query_async(connection).await.unwrap_or_default();
    let version = line.split(' ').find_map(|field| field.strip_prefix("lib-ver=")).unwrap_or_default();
    format!("redis-rs {version}").trim_end().to_owned()
}
