//! Job worker: the loop that takes jobs from a queue, runs them, and settles them. The queue is [`job_queue`](crate::job_queue).
//!
//! The naive way is a loop around `reserve`. It ends with the first lost connection, loses what a panic interrupts, asks again and
//! again when the queue is empty, and takes its jobs with it when the process is told to stop. This loop connects again by itself, also
//! to a server that came back empty. It needs no registration and no name, so two workers can't be mistaken for each other.
//!
//! | key | type | holds |
//! |---|---|---|
//! | those of [`job_queue`](crate::job_queue) | | |
//!
//! - **Promise**: a handler that fails or panics is a failure of its job. A job is settled only when the server has stored what became
//!   of it. On shutdown, jobs end within the grace period, or are given back without counting as an attempt.
//! - **Cost**: one round trip settles all jobs that have ended and takes as many new ones. An idle queue costs fewer than two commands a
//!   second for each worker: BLPOP on the doorbell, and EXISTS.
//! - **Memory**: the payloads of the jobs that run.
//! - **Faults**: while Redis cannot be reached, running jobs go on, and their outcome is stored afterward, if the visibility time is not
//!   over by then. When another worker may have a job, its handler is aborted. If a worker is killed, its jobs go on elsewhere when their
//!   visibility time is over. If BLPOP fails, the worker asks every 1.25 seconds instead.
//!
//! `open` must return a connection of its own for each call, since one of the two waits in BLPOP. Its response timeout must be
//! longer than two seconds; redis-rs has half a second by default.
//!
//! ```
//! use std::time::Duration;
//!
//! use patterns::job_queue::{JobQueue, NewJob};
//! use patterns::job_worker::Worker;
//! use redis::AsyncConnectionConfig;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let client = redis::Client::open(url)?;
//! let queue = JobQueue::new(client.get_multiplexed_async_connection().await?, "", "emails")?;
//! queue.enqueue(&NewJob::new("welcome-ann", "ann@example.com")).await?;
//!
//! let open = move || {
//!     let client = client.clone();
//!     let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(5)));
//!     async move { client.get_multiplexed_async_connection_with_config(&config).await }
//! };
//! let (sent, mut done) = tokio::sync::mpsc::channel(1);
//! let worker = Worker::new("", "emails", open)?.with_concurrency(10);
//! let stats = worker
//!     .run(
//!         move |job| {
//!             let sent = sent.clone();
//!             async move {
//!                 sent.send(job.id).await.map_err(|error| error.to_string())?;
//!                 // What is returned here is written when the job is completed.
//!                 Ok::<_, String>(Vec::new())
//!             }
//!         },
//!         // A service would wait for Ctrl-C here.
//!         async move { drop(done.recv().await) },
//!     )
//!     .await;
//! assert_eq!(stats.completed, 1);
//! assert_eq!(queue.counts().await?.completed, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisError};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::job_queue::{
    Effect, Job, JobError, JobQueue, MAX_BATCH, Outcome, Repaired, Settings, Settled, keys_of,
};
use crate::key::Key;
use crate::script::StoreError;

/// How long an idle worker waits before it looks at the queue.
const IDLE: Duration = Duration::from_millis(1_250);
/// The shortest and the longest pause before the next try to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a call may take before its connection is given up.
const CALL: Duration = Duration::from_secs(10);
/// How long the last calls may take after the grace period.
const LAST_CALLS: Duration = Duration::from_secs(5);
/// Errors of the connection are reported at most once in this time, and repairs are made at most once.
const QUIET: Duration = Duration::from_secs(10);
/// When a repair found nothing to repair, the next one comes after this time at the earliest.
const REPAIR_IN_VAIN: Duration = Duration::from_mins(10);

/// Takes jobs from a queue and runs them.
pub struct Worker<O> {
    prefix: String,
    queue: String,
    keys: [String; 8],
    open: O,
    settings: Settings,
    concurrency: usize,
    grace: Duration,
    report: Report,
}

type Report = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// What a worker reports, for a log.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A job failed, or its handler panicked.
    Failed {
        /// Its ID.
        job: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// The visibility time of a job was over before it was settled. Another worker may have it.
    LeaseLost {
        /// Its ID.
        job: &'a str,
    },
    /// Redis can't be reached, or refuses. The worker goes on trying. At most one is reported in ten seconds.
    Unavailable {
        /// Why.
        error: &'a StoreError,
        /// How many errors were not reported since the last one.
        unreported: u64,
    },
    /// Redis works again.
    Available,
    /// An index of the queue was damaged and has been rebuilt: this many jobs were in the wrong place.
    Repaired {
        /// How many.
        jobs: u64,
    },
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Jobs that it took.
    pub reserved: u64,
    /// Jobs that it completed.
    pub completed: u64,
    /// Failures, panics included.
    pub failed: u64,
    /// Handlers that panicked.
    pub panicked: u64,
    /// Jobs that it gave back on shutdown.
    pub given_back: u64,
    /// Jobs whose visibility time was over before they were settled.
    pub lease_lost: u64,
    /// Errors of Redis and of connections.
    pub errors: u64,
    /// Jobs of other workers that it found lost.
    pub recovered: u64,
}

impl<O, C, F> Worker<O>
where
    O: Fn() -> F,
    F: Future<Output = Result<C, RedisError>> + Send + 'static,
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    /// A worker of this queue under a prefix that runs ten jobs at once, and gives them ten seconds on shutdown. Two connections
    /// are opened with `open`, and again when they break.
    pub fn new(prefix: &str, queue: &str, open: O) -> Result<Self, StoreError> {
        let keys = keys_of(&Key::new(prefix, "job_queue", &[queue])?);
        Ok(Self {
            keys,
            prefix: prefix.to_owned(),
            queue: queue.to_owned(),
            open,
            settings: Settings::default(),
            concurrency: 10,
            grace: Duration::from_secs(10),
            report: Arc::new(|_| {}),
        })
    }

    /// The limits of the queue.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// How many jobs run at once: 1 to [`MAX_BATCH`].
    #[must_use]
    pub fn with_concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: concurrency.clamp(1, MAX_BATCH), ..self }
    }

    /// How long jobs may go on after shutdown before they are given back.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// What to do with each [`Event`]. It must not block.
    #[must_use]
    pub fn with_report(self, report: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self { report: Arc::new(report), ..self }
    }

    /// Runs jobs until `shutdown` is ready and what the worker has is settled. The handler gets a job and returns the effects to write
    /// when the job is completed, or why it failed. It is aborted at an await if its job is lost, or when the grace period is over.
    ///
    /// If you drop this future, the handlers are aborted, and their jobs come back when their visibility time is over.
    pub async fn run<H, R, E>(&self, handler: H, shutdown: impl Future<Output = ()>) -> Stats
    where
        H: Fn(Job) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Effect>, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let (mut shutdown, handler) = (pin!(shutdown), Arc::new(handler));
        // The handler is called inside of its task, so that a panic in it ends only that task.
        let start = move |job: Job| {
            let handler = Arc::clone(&handler);
            async move { handler(job).await.map_err(|error| error.to_string()) }
        };
        let mut run = Run::new(self);
        while !run.is_over() {
            run.collect_ended().await;
            if run.has_something_to_say()
                && let Err(error) = run.exchange(&start).await
            {
                run.failed(&error);
            }
            run.listen();
            let (at_once, wakes_at) = (run.has_something_to_say(), run.wakes_at());
            tokio::select! {
                biased;
                () = &mut shutdown, if run.stops_at.is_none() => run.stop(),
                () = std::future::ready(()), if at_once => {}
                Some(ended) = run.tasks.join_next_with_id() => run.ended(ended),
                Some(heard) = run.bells.join_next() => run.heard(heard),
                Some(repaired) = run.repairs.join_next() => run.repaired(repaired),
                () = sleep_until(wakes_at) => {}
            }
        }
        run.stats
    }
}

type Ended = Result<(Id, Result<Vec<Effect>, String>), JoinError>;

/// What came of waiting at the doorbell, and the connection for the next time.
struct Heard<C> {
    connection: C,
    /// Whether it rang.
    rang: bool,
    /// Whether to look at the queue.
    look: bool,
}

/// A job that runs.
struct Running {
    /// Without its payload.
    job: Job,
    /// When to ask for more time.
    extends_at: Instant,
    task: AbortHandle,
}

/// What a running worker knows.
struct Run<'a, O, C> {
    worker: &'a Worker<O>,
    connection: Option<C>,
    /// One task at most waits at the doorbell.
    bells: JoinSet<Result<Heard<C>, StoreError>>,
    bell_connection: Option<C>,
    listens_from: Instant,
    repairs: JoinSet<Result<Repaired, StoreError>>,
    repairs_from: Instant,
    tasks: JoinSet<Result<Vec<Effect>, String>>,
    running: HashMap<Id, Running>,
    /// What has ended and is not stored.
    unsettled: Vec<(Job, Outcome)>,
    /// When to ask for jobs; `None` if only the doorbell says so.
    looks_at: Option<Instant>,
    /// After an error, not before this.
    calls_from: Instant,
    pause: Duration,
    /// When the grace period is over. It begins with the shutdown.
    stops_at: Option<Instant>,
    reported_at: Option<Instant>,
    unreported: u64,
    stats: Stats,
}

impl<'a, O, C, F> Run<'a, O, C>
where
    O: Fn() -> F,
    F: Future<Output = Result<C, RedisError>> + Send + 'static,
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    fn new(worker: &'a Worker<O>) -> Self {
        let now = Instant::now();
        Self {
            worker,
            connection: None,
            bells: JoinSet::new(),
            bell_connection: None,
            listens_from: now,
            repairs: JoinSet::new(),
            repairs_from: now,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            unsettled: Vec::new(),
            looks_at: Some(now),
            calls_from: now,
            pause: FIRST_PAUSE,
            stops_at: None,
            reported_at: None,
            unreported: 0,
            stats: Stats::default(),
        }
    }

    /// How many more jobs it can run.
    fn free(&self) -> usize {
        if self.stops_at.is_some() { 0 } else { self.worker.concurrency.saturating_sub(self.running.len()) }
    }

    /// After the shutdown: when all is settled, or when the time for that is up, too.
    fn is_over(&self) -> bool {
        let time_is_up = |stops_at: Instant| Instant::now() >= stops_at + LAST_CALLS;
        let settled = self.running.is_empty() && self.unsettled.is_empty();
        self.stops_at.is_some_and(|stops_at| settled || time_is_up(stops_at))
    }

    fn stop(&mut self) {
        self.stops_at = Some(Instant::now() + self.worker.grace);
        self.bells.abort_all();
    }

    /// Takes what has ended, so that one call settles all of it.
    async fn collect_ended(&mut self) {
        if !self.unsettled.is_empty() {
            // Others may be about to end.
            tokio::task::yield_now().await;
        }
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.ended(ended);
        }
        if self.stops_at.is_some_and(|at| Instant::now() >= at) {
            for (_, running) in self.running.drain() {
                running.task.abort();
                self.unsettled.push((running.job, Outcome::GiveBack));
            }
        }
    }

    fn ended(&mut self, ended: Ended) {
        let (id, result) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                self.stats.panicked += u64::from(error.is_panic());
                (error.id(), Err(panic_text(error)))
            }
        };
        // A task that was aborted no longer has a job.
        let Some(Running { job, .. }) = self.running.remove(&id) else { return };
        let outcome = result.map_or_else(|reason| self.failure(&job, reason), Outcome::Complete);
        self.unsettled.push((job, outcome));
    }

    fn failure(&self, job: &Job, reason: String) -> Outcome {
        (self.worker.report)(&Event::Failed { job: &job.id, reason: &reason });
        Outcome::Fail(reason)
    }

    fn has_something_to_say(&self) -> bool {
        let now = Instant::now();
        let looks = self.free() > 0 && self.looks_at.is_some_and(|at| at <= now);
        let extends = self.running.values().any(|running| running.extends_at <= now);
        self.calls_from <= now && (looks || extends || !self.unsettled.is_empty())
    }

    /// When it must do something even if nothing happens.
    fn wakes_at(&self) -> Instant {
        let now = Instant::now();
        let looks = self.looks_at.filter(|_| self.free() > 0);
        let extends = self.running.values().map(|running| running.extends_at).min();
        let settles = Some(now).filter(|_| !self.unsettled.is_empty());
        let calls = looks.into_iter().chain(extends).chain(settles).min();
        let listens = Some(self.listens_from).filter(|_| self.free() > 0 && self.bells.is_empty());
        let calls = calls.map(|at| at.max(self.calls_from));
        let stops = self.stops_at.map(|at| if at > now { at } else { at + LAST_CALLS });
        calls.into_iter().chain(listens).chain(stops).min().unwrap_or(now + IDLE)
    }

    /// One round trip: settles what has ended, asks for more time, and takes new jobs.
    async fn exchange<R>(&mut self, start: &impl Fn(Job) -> R) -> Result<(), StoreError>
    where
        R: Future<Output = Result<Vec<Effect>, String>> + Send + 'static,
    {
        let queue = self.queue().await?;
        let now = Instant::now();
        let ends = self.unsettled.len().min(MAX_BATCH);
        let due = self.running.iter().filter(|(_, running)| running.extends_at <= now);
        let extended: Vec<Id> = due.map(|(id, _)| *id).take(MAX_BATCH - ends).collect();
        let ending = self.unsettled[..ends].iter().map(|(job, outcome)| (job, outcome.clone()));
        let extending = extended.iter().filter_map(|id| Some((&self.running.get(id)?.job, Outcome::Extend)));
        let settlements: Vec<_> = ending.chain(extending).collect();
        let call = queue.settle_and_reserve(&settlements, self.free());
        let (settled, reserved) = match timeout(CALL, call).await.map_err(|_| timed_out())? {
            Ok(answer) => answer,
            Err(JobError::Store(error)) => return Err(error),
            // Only an effect on a key of the queue is refused as a whole, before anything is sent.
            Err(refused) => {
                self.fail_what_has_effects(&refused.to_string());
                return Ok(());
            }
        };
        self.works();
        let mut settled = settled.into_iter();
        let next = now + self.worker.settings.visibility / 3;
        for (job, outcome) in self.unsettled.drain(..ends).collect::<Vec<_>>() {
            self.settled(job, &outcome, settled.next().unwrap_or(Settled::LeaseLost));
        }
        for (id, settled) in extended.into_iter().zip(settled) {
            if settled == Settled::Done {
                self.running.entry(id).and_modify(|running| running.extends_at = next);
            } else if let Some(running) = self.running.remove(&id) {
                running.task.abort();
                self.lost(&running.job);
            }
        }
        self.looks_at = reserved.next_in.map(|wait| Instant::now() + wait);
        self.stats.recovered += reserved.lost;
        if reserved.damaged {
            self.repair(queue);
        }
        for mut job in reserved.jobs {
            self.stats.reserved += 1;
            let payload = std::mem::take(&mut job.payload);
            let kept = job.clone();
            let task = self.tasks.spawn(start(Job { payload, ..job }));
            self.running.insert(task.id(), Running { job: kept, extends_at: next, task });
        }
        Ok(())
    }

    fn settled(&mut self, job: Job, outcome: &Outcome, settled: Settled) {
        match (settled, outcome) {
            (Settled::LeaseLost, _) => self.lost(&job),
            (Settled::EffectRefused, _) => {
                let outcome = self.failure(&job, "an effect was refused".to_owned());
                self.unsettled.push((job, outcome));
            }
            (_, Outcome::Complete(_)) => self.stats.completed += 1,
            (_, Outcome::GiveBack) => self.stats.given_back += 1,
            (_, _) => self.stats.failed += 1,
        }
    }

    fn fail_what_has_effects(&mut self, reason: &str) {
        for (job, outcome) in std::mem::take(&mut self.unsettled) {
            let has_effects = matches!(&outcome, Outcome::Complete(effects) if !effects.is_empty());
            let outcome = if has_effects { self.failure(&job, reason.to_owned()) } else { outcome };
            self.unsettled.push((job, outcome));
        }
    }

    fn lost(&mut self, job: &Job) {
        self.stats.lease_lost += 1;
        (self.worker.report)(&Event::LeaseLost { job: &job.id });
    }

    async fn queue(&mut self) -> Result<JobQueue<C>, StoreError> {
        let connection = match &self.connection {
            Some(connection) => connection.clone(),
            None => timeout(CALL, (self.worker.open)()).await.map_err(|_| timed_out())??,
        };
        self.connection = Some(connection.clone());
        let queue = JobQueue::new(connection, &self.worker.prefix, &self.worker.queue)?;
        Ok(queue.with_settings(self.worker.settings.clone()))
    }

    /// The server answered.
    fn works(&mut self) {
        self.pause = FIRST_PAUSE;
        if self.reported_at.take().is_some() {
            self.unreported = 0;
            (self.worker.report)(&Event::Available);
        }
    }

    /// Connects again after a pause, which grows.
    fn failed(&mut self, error: &StoreError) {
        self.connection = None;
        self.calls_from = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.report_error(error);
    }

    fn report_error(&mut self, error: &StoreError) {
        self.stats.errors += 1;
        if self.reported_at.is_some_and(|at| at.elapsed() < QUIET) {
            self.unreported += 1;
        } else {
            (self.worker.report)(&Event::Unavailable { error, unreported: self.unreported });
            self.reported_at = Some(Instant::now());
            self.unreported = 0;
        }
    }

    /// Waits at the doorbell, if it has time for more jobs and nobody waits there.
    fn listen(&mut self) {
        let now = Instant::now();
        if self.free() == 0 || !self.bells.is_empty() || self.listens_from > now {
            return;
        }
        let until_look = self.looks_at.map_or(IDLE, |at| at.saturating_duration_since(now));
        // 0 would mean forever.
        let wait = until_look.clamp(Duration::from_millis(5), IDLE);
        let connection = self.bell_connection.take();
        let opening = connection.is_none().then(|| (self.worker.open)());
        let keys = self.worker.keys.clone();
        self.bells.spawn(async move {
            let connection = match (connection, opening) {
                (Some(connection), _) => connection,
                (None, Some(opening)) => timeout(CALL, opening).await.map_err(|_| timed_out())??,
                (None, None) => return Err(timed_out()),
            };
            timeout(CALL, at_the_doorbell(connection, &keys, wait)).await.map_err(|_| timed_out())?
        });
    }

    fn heard(&mut self, heard: Result<Result<Heard<C>, StoreError>, JoinError>) {
        match heard {
            Ok(Ok(heard)) => {
                if heard.rang && self.free() == 0 {
                    ring_for_another(heard.connection.clone(), self.worker.keys[7].clone());
                } else if heard.look {
                    self.looks_at = Some(Instant::now());
                }
                self.bell_connection = Some(heard.connection);
            }
            Ok(Err(error)) => {
                self.report_error(&error);
                let later = Instant::now() + IDLE;
                self.listens_from = later;
                self.looks_at = Some(self.looks_at.map_or(later, |at| at.min(later)));
            }
            // It was aborted.
            Err(_) => {}
        }
    }

    fn repair(&mut self, queue: JobQueue<C>) {
        if self.repairs.is_empty() && self.repairs_from <= Instant::now() {
            self.repairs.spawn(async move { queue.repair().await });
        }
    }

    fn repaired(&mut self, repaired: Result<Result<Repaired, StoreError>, JoinError>) {
        let mut pause = QUIET;
        match repaired {
            // Half of a job that another program left has no place, and a repair reads the whole queue.
            Ok(Ok(repaired)) if repaired == Repaired::default() => pause = REPAIR_IN_VAIN,
            Ok(Ok(repaired)) => (self.worker.report)(&Event::Repaired { jobs: repaired.moved }),
            Ok(Err(error)) => self.report_error(&error),
            Err(_) => {}
        }
        self.repairs_from = Instant::now() + pause;
    }
}

/// Waits until it rings, or for so long. Then one plain command tells an empty queue from one to look at.
async fn at_the_doorbell<C: ConnectionLike>(
    mut connection: C,
    keys: &[String; 8],
    wait: Duration,
) -> Result<Heard<C>, StoreError> {
    let [_, ready, delayed, running, .., doorbell] = keys;
    let mut blpop = redis::cmd("BLPOP");
    blpop.arg(doorbell).arg(format!("{:.3}", wait.as_secs_f64()));
    let popped: Option<(String, String)> = blpop.query_async(&mut connection).await?;
    let rang = popped.is_some();
    let look = rang
        || redis::cmd("EXISTS")
            .arg(ready)
            .arg(delayed)
            .arg(running)
            .query_async::<u32>(&mut connection)
            .await?
            > 0;
    Ok(Heard { connection, rang, look })
}

/// It rang for a worker that has become busy.
fn ring_for_another(mut connection: impl ConnectionLike + Send + 'static, doorbell: String) {
    drop(tokio::spawn(async move {
        // If this fails, the others look soon anyway.
        let _: Result<(), RedisError> =
            redis::cmd("LPUSH").arg(doorbell).arg("1").query_async(&mut connection).await;
    }));
}

fn panic_text(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "the handler was aborted".to_owned() };
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("the handler panicked: {}", text.unwrap_or("no message"))
}

fn timed_out() -> StoreError {
    StoreError::Redis((ErrorKind::Io, "no answer in ten seconds").into())
}
