//! Job queue: work for other processes, which is done even if a worker dies in the middle of it.
//!
//! The naive way is LPUSH and BRPOP. A worker that dies after BRPOP takes its job with it. With LMOVE into a second list, the job
//! is still somewhere, but nobody knows whether its worker is alive, how often it was tried, or whether it kills every worker that
//! takes it. Here, a worker reserves jobs for a visibility time. If it neither completes them nor asks for more time, they are
//! handed to another worker. Each step is one script, so a job is in exactly one state at any time: ready, delayed, running, or dead.
//!
//! The client picks the ID of a job, so that a job that is sent twice is done once. A job is handed out with a token, and only that
//! token completes it. [`Effect`]s are written in the same script that completes the job: exactly once. An effect elsewhere can happen
//! again after a crash; use the job's ID to make it idempotent. `job_worker` has the loop that a worker runs.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `job_queue:emails` | Hash | the payload and the record of each job, and the IDs of finished ones |
//! | `job_queue:{job_queue:emails}:ready` | Sorted Set | what can be handed out, by priority and order of arrival |
//! | `job_queue:{job_queue:emails}:delayed` | Sorted Set | what waits for its time, by that time |
//! | `job_queue:{job_queue:emails}:running` | Sorted Set | what workers have, by the end of the visibility time |
//! | `job_queue:{job_queue:emails}:dead` | Sorted Set | what failed too often, by the time of the last failure |
//! | `job_queue:{job_queue:emails}:finished` | Sorted Set | IDs that finished, by time |
//! | `job_queue:{job_queue:emails}:counts` | Hash | totals, and the window of the rate |
//! | `job_queue:{job_queue:emails}:doorbell` | List | wakes an idle worker |
//!
//! - **Promise**: a job whose enqueue was acknowledged is completed, dead, or still in the queue, in exactly one state, until you purge
//!   it. Its effects in the queue's slot happen exactly once. A job dies after the configured number of its own failures, or of lost
//!   workers, which are counted apart.
//! - **Cost**: one round trip for each call. A batch of 50 takes the server about 20 microseconds for each job, from enqueue to completion.
//!   Each reserve recovers at most [`Settings::recover`] expired and as many delayed jobs. A payload of 10 MiB takes the server several
//!   milliseconds to copy in and again to copy out, so store large data elsewhere and enqueue its name.
//! - **Memory**: about 200 bytes and the payload for each job, at most [`Settings::max_jobs`] jobs, dead ones included. About 150 bytes for each
//!   finished ID, at most [`Settings::max_finished`] of them.
//! - **Faults**: use `noeviction` and an append-only file with `appendfsync always`. A job that is enqueued twice is one job, also for
//!   [`Settings::finished_for`] after it has finished. A lost reply of `reserve` costs the jobs in it one visibility time, and counts as a lost
//!   worker. If an index is lost, [`JobQueue::repair`] rebuilds it from the Hash. If the jobs are lost, what they held is lost, and leftover
//!   entries are dropped and counted. If the finished IDs are lost, a retry of a finished job is still recognized until the next repair and
//!   [`Settings::finished_for`] after it. If the counts are lost, the totals begin again, and new jobs come before those that wait. A failover
//!   may forget the last calls that were acknowledged: jobs that were enqueued, or that they were completed, and then they run again.
//!   The queue cannot restore a key that effects write. If the server's clock jumps forward, delayed jobs come early, and running
//!   jobs are handed out again. If it is set back, both come later by that much.
//!
//! ```
//! use patterns::job_queue::{Effect, Enqueued, JobQueue, NewJob};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let queue = JobQueue::new(connection, "", "emails")?;
//! let welcome = NewJob::new("welcome-ann", "ann@example.com");
//! assert_eq!(queue.enqueue(&welcome).await?, Enqueued::New);
//! // The answer was lost, so the client sends it again.
//! assert_eq!(queue.enqueue(&welcome).await?, Enqueued::AlreadyQueued);
//!
//! for job in queue.reserve(10).await?.jobs {
//!     assert_eq!((job.id.as_str(), job.attempt()), ("welcome-ann", 1));
//!     // Send the email here, and give the provider job.id as its idempotency key.
//!     let sent = Effect::increment(&queue.effect_key("sent")?, 1);
//!     queue.complete_with(&job, &[sent]).await?;
//! }
//! assert_eq!(queue.counts().await?.completed, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::Value;
use redis::aio::ConnectionLike;

use crate::key::{Key, check_id, escape};
use crate::script::{Call, Reply, Script, StoreError, by_operation, milliseconds, quote, send};

/// The most jobs in one call: enqueued, settled, or reserved.
pub const MAX_BATCH: usize = 500;
/// The most bytes of all payloads in one call: 10 MiB. So it is also the most for one job.
pub const MAX_PAYLOAD_BYTES: usize = 10 * 1024 * 1024;
/// The most bytes of a reason that are kept.
pub const MAX_REASON_BYTES: usize = 1_000;
/// The latest due time in milliseconds since 1970: the year 4821.
pub const LATEST_DUE: u64 = 90_000_000_000_000;
/// The most that an effect adds to a number or takes from it.
pub const MAX_INCREMENT: i64 = 1_000_000_000_000_000;

/// Why a job that never failed by itself is dead.
pub const WORKER_LOST: &str = "worker lost";

const FILE: &str = include_str!("job_queue.lua");

/// Adds jobs.
pub static ENQUEUE: Script =
    Script::new("job_queue.lua: enqueue", FILE, &["changes", "enqueue", "write", "enqueued"]);
/// Settles jobs, recovers what is due, and reserves the next jobs.
pub static SETTLE: Script = Script::new(
    "job_queue.lua: settle",
    FILE,
    &["changes", "settle", "check_effects", "settle_changes", "reserve", "write", "reserved"],
);
/// Makes dead jobs ready again.
pub static REQUEUE: Script =
    Script::new("job_queue.lua: requeue", FILE, &["changes", "requeue", "write", "requeued"]);
/// Deletes jobs of one state.
pub static PURGE: Script =
    Script::new("job_queue.lua: purge", FILE, &["changes", "purge", "write", "purged"]);
/// Brings the indexes in line with the records.
pub static REPAIR: Script =
    Script::new("job_queue.lua: repair", FILE, &["changes", "repair", "write", "repaired"]);
/// Counts the jobs of each state.
pub static COUNTS: Script = Script::new("job_queue.lua: counts", FILE, &["counts"]);
/// Reads jobs of one state.
pub static PAGE: Script = Script::new("job_queue.lua: page", FILE, &["page"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&ENQUEUE, &SETTLE, &REQUEUE, &PURGE, &REPAIR, &COUNTS, &PAGE])
}

/// The limits of a queue. All programs that use it should have the same ones.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// How long a worker has a job before it must complete or extend it: a millisecond to a year. Default: 30 s.
    pub visibility: Duration,
    /// After how many of its own failures a job is dead: at least 1. Default: 5.
    pub max_failures: u32,
    /// After how many lost workers a job is dead, with the reason [`WORKER_LOST`]: at least 1. Default: 10.
    pub max_losses: u32,
    /// The pause after the first failure. Each next one is twice as long. Default: 1 s.
    pub first_pause: Duration,
    /// The longest pause. Default: 1 h.
    pub longest_pause: Duration,
    /// The most jobs in the queue, dead ones included. Default: 1,000,000.
    pub max_jobs: u64,
    /// The most IDs of finished jobs that are remembered. Default: 100,000.
    pub max_finished: u64,
    /// How long they are remembered: a millisecond to a year. Default: 1 h.
    pub finished_for: Duration,
    /// The most jobs that start in each window of this length, by the server's clock. Across the edge of two windows, up to twice as
    /// many can start. Default: no limit.
    pub rate: Option<(u32, Duration)>,
    /// How many expired jobs, and how many delayed ones that are due, each reserve puts back: 1 to 1,000. Default: 100.
    pub recover: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            max_failures: 5,
            max_losses: 10,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_hours(1),
            max_jobs: 1_000_000,
            max_finished: 100_000,
            finished_for: Duration::from_hours(1),
            rate: None,
            recover: 100,
        }
    }
}

impl Settings {
    /// The pause after this many failures, before jitter: the first pause, doubled for each failure after the first, and never more
    /// than the longest pause.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first_pause.saturating_mul(factor).min(self.longest_pause)
    }
}

/// When a job can be handed out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Due {
    /// At once.
    #[default]
    Now,
    /// After this time, by the server's clock.
    After(Duration),
    /// At this time in milliseconds since 1970, at most [`LATEST_DUE`]. A time in the past is now.
    At(u64),
}

/// A job to enqueue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewJob {
    /// Its ID: any text of 1 to 512 bytes.
    pub id: String,
    /// Any bytes, from none to [`MAX_PAYLOAD_BYTES`].
    pub payload: Vec<u8>,
    /// Smaller numbers are handed out first. Within one priority, it is the order of arrival. The default is 100.
    pub priority: u8,
    /// When.
    pub due: Due,
}

impl NewJob {
    /// A job for now, with priority 100.
    pub fn new(id: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { id: id.into(), payload: payload.into(), priority: 100, due: Due::Now }
    }

    /// With another priority. Smaller numbers come first.
    #[must_use]
    pub fn with_priority(self, priority: u8) -> Self {
        Self { priority, ..self }
    }

    /// With another time.
    #[must_use]
    pub fn with_due(self, due: Due) -> Self {
        Self { due, ..self }
    }
}

/// What became of an enqueue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enqueued {
    /// The job is in the queue.
    New,
    /// The queue has a job with this ID, which stays as it is. It may be dead.
    AlreadyQueued,
    /// A job with this ID has finished.
    AlreadyFinished,
}

/// A job that a worker has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Job {
    /// Its ID.
    pub id: String,
    /// What the client gave.
    pub payload: Vec<u8>,
    /// As it was enqueued.
    pub priority: u8,
    /// How often it has failed by itself.
    pub failures: u32,
    /// How often its worker was lost.
    pub losses: u32,
    /// Why it failed the last time; empty if it has not failed.
    pub reason: String,
    /// Names this hand-out. Another hand-out of the same job has another token.
    pub token: String,
}

impl Job {
    /// 1 for the first time that it is handed out. A planned hand-back does not count.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.failures.saturating_add(self.losses).saturating_add(1)
    }
}

/// What a worker got.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reserved {
    /// The jobs, in order.
    pub jobs: Vec<Job>,
    /// When to ask again: zero if more can be handed out now. `None` if nothing comes unless a job is enqueued.
    pub next_in: Option<Duration>,
    /// Jobs whose worker was lost, including those that are now dead.
    pub lost: u64,
    /// Jobs of them that are now dead, because it was one lost worker too many.
    pub quarantined: u64,
    /// Entries of an index that had no job, and are gone.
    pub dropped: u64,
    /// Whether an index disagrees with the jobs. Then call [`JobQueue::repair`].
    pub damaged: bool,
}

/// What to do with a job that a worker has.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done. These effects are written in the same step.
    Complete(Vec<Effect>),
    /// It failed. It is tried again after a pause, or is dead after [`Settings::max_failures`]. Text beyond
    /// [`MAX_REASON_BYTES`] is cut off.
    Fail(String),
    /// It failed for good, and is dead.
    Bury(String),
    /// The worker has not started it. It is ready again, before jobs that arrived later, and no attempt is counted.
    GiveBack,
    /// The worker needs more time: one visibility time from now.
    Extend,
}

/// What became of a settlement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Settled {
    /// It was done as asked.
    Done,
    /// This hand-out had completed the job before, and nothing more was done.
    Before,
    /// The visibility time was over, or another worker has the job. Nothing was done.
    LeaseLost,
    /// An effect can't be written: its key holds another type of value or a number that is too large, two commands meet at one value, or the
    /// user may not write there. The worker still has the job.
    EffectRefused,
}

/// A write in the script that completes a job. Its key must be in the queue's slot: see [`JobQueue::effect_key`].
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    command: &'static str,
    key: String,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Effect {
    /// SET.
    pub fn set(key: &str, value: impl Into<Vec<u8>>) -> Self {
        Self::of("SET", key, value, "")
    }

    /// INCRBY, by at most [`MAX_INCREMENT`] up or down. More becomes that.
    pub fn increment(key: &str, by: i64) -> Self {
        Self::of("INCRBY", key, by.clamp(-MAX_INCREMENT, MAX_INCREMENT).to_string(), "")
    }

    /// HSET.
    pub fn hash_set(key: &str, field: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self::of("HSET", key, field, value)
    }

    /// HINCRBY, by at most [`MAX_INCREMENT`] up or down. More becomes that.
    pub fn hash_increment(key: &str, field: impl Into<Vec<u8>>, by: i64) -> Self {
        Self::of("HINCRBY", key, field, by.clamp(-MAX_INCREMENT, MAX_INCREMENT).to_string())
    }

    /// SADD.
    pub fn set_add(key: &str, member: impl Into<Vec<u8>>) -> Self {
        Self::of("SADD", key, member, "")
    }

    /// RPUSH.
    pub fn list_push(key: &str, element: impl Into<Vec<u8>>) -> Self {
        Self::of("RPUSH", key, element, "")
    }

    /// ZADD with a whole number as the score.
    pub fn sorted_set_add(key: &str, score: i64, member: impl Into<Vec<u8>>) -> Self {
        Self::of("ZADD", key, score.to_string(), member)
    }

    fn of(command: &'static str, key: &str, first: impl Into<Vec<u8>>, second: impl Into<Vec<u8>>) -> Self {
        Self { command, key: key.to_owned(), first: first.into(), second: second.into() }
    }
}

/// How many jobs are in each state, and totals since the queue began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Jobs that can be handed out.
    pub ready: u64,
    /// Jobs that wait for their time, also those that failed.
    pub delayed: u64,
    /// Jobs that workers have, also those whose visibility time is over.
    pub running: u64,
    /// Dead jobs.
    pub dead: u64,
    /// IDs of finished jobs that are remembered.
    pub finished: u64,
    /// Jobs that were enqueued.
    pub enqueued: u64,
    /// Jobs that were completed.
    pub completed: u64,
    /// Failures.
    pub failed: u64,
    /// Lost workers, counted once for each job that they had.
    pub lost: u64,
    /// Jobs that died of their own failures.
    pub died: u64,
    /// Jobs that died because of lost workers.
    pub quarantined: u64,
    /// Jobs that were purged.
    pub purged: u64,
    /// Entries without a job that were dropped.
    pub dropped: u64,
    /// Dead jobs that were requeued.
    pub requeued: u64,
    /// Fields of jobs in no state; negative for entries without a job. Anything but 0 needs [`JobQueue::repair`].
    pub astray: i64,
}

impl Counts {
    /// Jobs that are ready, delayed, or running.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.ready + self.delayed + self.running
    }
}

/// The state of a job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It can be handed out.
    Ready,
    /// It waits for its time.
    Delayed,
    /// A worker has it.
    Running,
    /// It failed too often.
    Dead,
}

/// What is known of a job, without its payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JobInfo {
    /// Its ID.
    pub id: String,
    /// The length of its payload in bytes.
    pub bytes: u64,
    /// As it was enqueued.
    pub priority: u8,
    /// Its own failures.
    pub failures: u32,
    /// Lost workers.
    pub losses: u32,
    /// When it is due (delayed), its visibility time ends (running), or it died (dead), in milliseconds since 1970; 0 if it is ready.
    pub at: u64,
    /// Why it failed the last time.
    pub reason: String,
}

/// Where a repair was.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Repaired {
    /// Jobs that were in no state, in a wrong one, or in two.
    pub moved: u64,
    /// Entries and records without a payload, which are gone.
    pub dropped: u64,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct JobQueue<C> {
    connection: C,
    settings: Settings,
    root: Key,
    keys: [String; 8],
}

impl<C: ConnectionLike + Clone> JobQueue<C> {
    /// The queue of this name under a prefix, with the default [`Settings`]. It sends nothing.
    pub fn new(connection: C, prefix: &str, queue: &str) -> Result<Self, StoreError> {
        let root = Key::new(prefix, "job_queue", &[queue])?;
        let keys = keys_of(&root);
        Ok(Self { connection, settings: Settings::default(), root, keys })
    }

    /// With other limits.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// The same queue over another connection.
    pub fn with_connection<D: ConnectionLike + Clone>(&self, connection: D) -> JobQueue<D> {
        JobQueue {
            connection,
            settings: self.settings.clone(),
            root: self.root.clone(),
            keys: self.keys.clone(),
        }
    }

    /// Its limits.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Adds a job. After a lost reply, send the same job again.
    pub async fn enqueue(&self, job: &NewJob) -> Result<Enqueued, JobError> {
        let enqueued = self.enqueue_many(std::slice::from_ref(job)).await?;
        enqueued.first().copied().ok_or_else(|| malformed(&self.keys[0], "reply").into())
    }

    /// Adds up to [`MAX_BATCH`] jobs, all of them or none. One round trip.
    pub async fn enqueue_many(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, JobError> {
        check_batch(jobs.len())?;
        let bytes = jobs.iter().map(|job| job.payload.len()).sum();
        if bytes > MAX_PAYLOAD_BYTES {
            return Err(JobError::TooLarge { bytes });
        }
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let Settings { max_jobs, finished_for, .. } = self.settings;
        let mut call = ENQUEUE.call(&self.keys).arg(max_jobs).arg(milliseconds(finished_for));
        for NewJob { id, payload, priority, due } in jobs {
            check_id(id).map_err(StoreError::from)?;
            let due = match *due {
                Due::Now => "0".to_owned(),
                Due::After(delay) => {
                    format!("+{}", u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).min(LATEST_DUE / 2))
                }
                Due::At(time) => time.min(LATEST_DUE).to_string(),
            };
            call = call.arg(id).arg(priority).arg(due).arg(payload);
        }
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "ENQUEUED" => {
                let letters: String = reply.next()?;
                let enqueued = letters.chars().map(|letter| match letter {
                    'n' => Ok(Enqueued::New),
                    'q' => Ok(Enqueued::AlreadyQueued),
                    'f' => Ok(Enqueued::AlreadyFinished),
                    _ => Err(JobError::from(malformed(&self.keys[0], "reply"))),
                });
                enqueued.collect()
            }
            "FULL" => Err(JobError::Full { jobs: reply.next()?, max: self.settings.max_jobs }),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Hands out up to `most` jobs, at most [`MAX_BATCH`] and together at most [`MAX_PAYLOAD_BYTES`] (but at least one). One
    /// round trip.
    ///
    /// After a lost reply, the jobs in it come back when their visibility time is over.
    pub async fn reserve(&self, most: usize) -> Result<Reserved, StoreError> {
        Ok(self.run(&[], most).await?.1)
    }

    /// Completes a job. Again with the same token, it changes nothing and succeeds.
    pub async fn complete(&self, job: &Job) -> Result<(), JobError> {
        self.settle_one(job, Outcome::Complete(Vec::new())).await
    }

    /// Completes a job and writes its effects, in one step: all of it or nothing.
    pub async fn complete_with(&self, job: &Job, effects: &[Effect]) -> Result<(), JobError> {
        self.settle_one(job, Outcome::Complete(effects.to_vec())).await
    }

    /// Says that a job failed: see [`Outcome::Fail`]. After a lost reply, a second call returns [`JobError::LeaseLost`], and the
    /// failure is counted once.
    pub async fn fail(&self, job: &Job, reason: &str) -> Result<(), JobError> {
        self.settle_one(job, Outcome::Fail(reason.to_owned())).await
    }

    /// Gives a job back that the worker has not started: see [`Outcome::GiveBack`].
    pub async fn give_back(&self, job: &Job) -> Result<(), JobError> {
        self.settle_one(job, Outcome::GiveBack).await
    }

    /// Asks for one visibility time from now.
    pub async fn extend(&self, job: &Job) -> Result<(), JobError> {
        self.settle_one(job, Outcome::Extend).await
    }

    /// Settles up to [`MAX_BATCH`] jobs and reserves the next ones, in one round trip. There is an answer for each settlement, in
    /// order. After a lost reply, repeat the settlements.
    pub async fn settle_and_reserve(
        &self,
        settlements: &[(&Job, Outcome)],
        most: usize,
    ) -> Result<(Vec<Settled>, Reserved), JobError> {
        check_batch(settlements.len())?;
        for (_, outcome) in settlements {
            let Outcome::Complete(effects) = outcome else { continue };
            if let Some(effect) = effects.iter().find(|effect| self.keys.contains(&effect.key)) {
                return Err(JobError::EffectKey { key: quote(&effect.key) });
            }
        }
        Ok(self.run(settlements, most).await?)
    }

    /// How many jobs are in each state, at one moment.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let mut reply: Reply = COUNTS.call(&self.keys[..7]).run(&self.connection).await?;
        Ok(Counts {
            ready: reply.next()?,
            delayed: reply.next()?,
            running: reply.next()?,
            dead: reply.next()?,
            finished: reply.next()?,
            enqueued: reply.next()?,
            completed: reply.next()?,
            failed: reply.next()?,
            lost: reply.next()?,
            died: reply.next()?,
            quarantined: reply.next()?,
            purged: reply.next()?,
            dropped: reply.next()?,
            requeued: reply.next()?,
            astray: reply.next()?,
        })
    }

    /// Up to [`MAX_BATCH`] jobs of a state from this position, in its order. Jobs that move meanwhile shift the pages.
    pub async fn page(&self, state: State, from: usize, count: usize) -> Result<Vec<JobInfo>, StoreError> {
        let Some(last) = count.min(MAX_BATCH).checked_sub(1) else { return Ok(Vec::new()) };
        let keys = [&self.keys[0], self.index(state)];
        let mut reply: Reply =
            PAGE.call(&keys).arg(from).arg(from.saturating_add(last)).run(&self.connection).await?;
        let mut jobs = Vec::new();
        while let Some(id) = next_text(&mut reply)? {
            let (score, text): (f64, _) = (reply.next()?, next_text(&mut reply)?.unwrap_or_default());
            // An entry without a record is dropped when its turn comes.
            let Some(record) = Record::parse(&text) else { continue };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a time in milliseconds"
            )]
            let at = if state == State::Ready { 0 } else { score as u64 };
            let Record { bytes, priority, failures, losses, reason } = record;
            jobs.push(JobInfo { id, bytes, priority, failures, losses, at, reason });
        }
        Ok(jobs)
    }

    /// The payload of a job in any state; `None` if the queue has no such job.
    pub async fn payload(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_id(id)?;
        send(&self.connection, redis::cmd("HGET").arg(&self.keys[0]).arg(format!("p{id}"))).await
    }

    /// Makes up to [`MAX_BATCH`] dead jobs ready again, as if they had never failed. Returns how many there were.
    pub async fn requeue(&self, ids: &[impl AsRef<str>]) -> Result<u64, JobError> {
        check_batch(ids.len())?;
        if ids.is_empty() {
            return Ok(0);
        }
        let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
        let mut reply: Reply = REQUEUE.call(&self.keys).arg(ids).run(&self.connection).await?;
        reply.must_be("REQUEUED")?;
        Ok(reply.next()?)
    }

    /// Deletes the first jobs of a state, up to [`MAX_BATCH`]. Returns how many; 0 when no more are there. Running jobs are never
    /// deleted.
    pub async fn purge(&self, state: State, most: usize) -> Result<u64, StoreError> {
        let name = match state {
            State::Ready => "ready",
            State::Delayed => "delayed",
            State::Dead => "dead",
            State::Running => return Ok(0),
        };
        if most == 0 {
            return Ok(0);
        }
        let call = PURGE.call(&self.keys).arg(name).arg(most.min(MAX_BATCH));
        loop {
            let mut reply: Reply = call.run(&self.connection).await?;
            reply.must_be("PURGED")?;
            let (purged, looked_at): (u64, u64) = (reply.next()?, reply.next()?);
            // If all that it looked at were leftovers, look at the next ones.
            if purged > 0 || looked_at == 0 {
                return Ok(purged);
            }
        }
    }

    /// Rebuilds indexes that were lost or disagree with the jobs, 100 jobs in each step. Other calls may go on meanwhile. You can repeat
    /// it at any time. A job whose place was lost is ready, or delayed if it is not due; if a worker had it, it gets one visibility
    /// time.
    pub async fn repair(&self) -> Result<Repaired, StoreError> {
        let mut repaired = Repaired::default();
        for key in &self.keys[..6] {
            let hash = *key == self.keys[0];
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd(if hash { "HSCAN" } else { "ZSCAN" });
                scan.arg(key).arg(cursor).arg("COUNT").arg(100);
                if hash {
                    // Only the records: HSCAN would return the payloads, too.
                    scan.arg("MATCH").arg("r*");
                }
                let (next, found): (u64, Vec<Value>) = send(&self.connection, &scan).await?;
                let mut ids = Vec::new();
                for name in found.into_iter().step_by(2) {
                    let name: Vec<u8> = redis::from_redis_value(name)?;
                    ids.push(if hash { name.get(1..).unwrap_or_default().to_vec() } else { name });
                }
                ids.sort_unstable();
                ids.dedup();
                for ids in ids.chunks(100) {
                    let call = REPAIR.call(&self.keys).arg(milliseconds(self.settings.visibility)).arg(ids);
                    let mut reply: Reply = call.run(&self.connection).await?;
                    reply.must_be("REPAIRED")?;
                    repaired.moved += reply.next::<u64>()?;
                    repaired.dropped += reply.next::<u64>()?;
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(repaired)
    }

    /// The name of a key in the queue's slot, for an [`Effect`].
    pub fn effect_key(&self, name: &str) -> Result<String, StoreError> {
        check_id(name)?;
        Ok(self.root.companion(&format!("effect:{}", escape(name))))
    }

    /// Its keys: jobs, ready, delayed, running, dead, finished, counts, doorbell.
    pub fn keys(&self) -> &[String; 8] {
        &self.keys
    }

    fn index(&self, state: State) -> &String {
        match state {
            State::Ready => &self.keys[1],
            State::Delayed => &self.keys[2],
            State::Running => &self.keys[3],
            State::Dead => &self.keys[4],
        }
    }

    async fn settle_one(&self, job: &Job, outcome: Outcome) -> Result<(), JobError> {
        match self.settle_and_reserve(&[(job, outcome)], 0).await?.0.first() {
            Some(Settled::Done | Settled::Before) => Ok(()),
            Some(Settled::EffectRefused) => Err(JobError::EffectRefused),
            Some(Settled::LeaseLost) | None => Err(JobError::LeaseLost),
        }
    }

    async fn run(
        &self,
        settlements: &[(&Job, Outcome)],
        most: usize,
    ) -> Result<(Vec<Settled>, Reserved), StoreError> {
        let mut reply: Reply = self.settle_call(settlements, most)?.run(&self.connection).await?;
        reply.must_be("RESERVED")?;
        let letters: String = reply.next()?;
        let settled = letters.chars().map(|letter| match letter {
            's' => Ok(Settled::Done),
            'a' => Ok(Settled::Before),
            'l' => Ok(Settled::LeaseLost),
            'e' => Ok(Settled::EffectRefused),
            _ => Err(malformed(&self.keys[0], "reply")),
        });
        let settled = settled.collect::<Result<_, _>>()?;
        let wait: i64 = reply.next()?;
        let token: String = reply.next()?;
        let mut reserved = Reserved {
            next_in: u64::try_from(wait).ok().map(Duration::from_millis),
            lost: reply.next()?,
            quarantined: reply.next()?,
            dropped: reply.next()?,
            damaged: reply.next()?,
            jobs: Vec::new(),
        };
        while let Some(id) = next_text(&mut reply)? {
            let (text, payload) = (next_text(&mut reply)?.unwrap_or_default(), reply.next()?);
            let record = Record::parse(&text).unwrap_or_default();
            let Record { priority, failures, losses, reason, .. } = record;
            let token = token.clone();
            reserved.jobs.push(Job { id, payload, priority, failures, losses, reason, token });
        }
        Ok((settled, reserved))
    }

    fn settle_call(&self, settlements: &[(&Job, Outcome)], most: usize) -> Result<Call<'static>, StoreError> {
        let settings = &self.settings;
        let mut keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        let (mut outcomes, mut effects) = (Vec::new(), Vec::new());
        for (position, (job, outcome)) in settlements.iter().enumerate() {
            check_id(&job.id)?;
            let (word, reason) = match outcome {
                Outcome::Complete(of_job) => {
                    effects.extend(of_job.iter().map(|effect| (position + 1, effect)));
                    ("done".to_owned(), "")
                }
                Outcome::Fail(reason) if job.failures + 1 >= settings.max_failures => {
                    ("bury".to_owned(), reason.as_str())
                }
                Outcome::Fail(reason) => {
                    (milliseconds(jittered(settings.pause(job.failures + 1))).to_string(), reason.as_str())
                }
                Outcome::Bury(reason) => ("bury".to_owned(), reason.as_str()),
                Outcome::GiveBack => ("back".to_owned(), ""),
                Outcome::Extend => ("extend".to_owned(), ""),
            };
            let end = reason.floor_char_boundary(MAX_REASON_BYTES);
            outcomes.push((&job.id, &job.token, word, &reason[..end]));
        }
        let first_effect_key = keys.len();
        let mut effect_arguments = Vec::new();
        for (position, effect) in effects {
            let known = keys.iter().skip(first_effect_key).position(|key| *key == effect.key);
            let index = known.map_or(keys.len(), |known| first_effect_key + known);
            if known.is_none() {
                keys.push(&effect.key);
            }
            effect_arguments.push((position, effect.command, index + 1, &effect.first, &effect.second));
        }
        let (limit, window) = settings.rate.unwrap_or((0, Duration::from_secs(1)));
        let mut call = SETTLE
            .call(&keys)
            .arg(most.min(MAX_BATCH))
            .arg(milliseconds(settings.visibility))
            .arg(settings.max_losses)
            .arg(settings.recover.clamp(1, 1_000))
            .arg(MAX_PAYLOAD_BYTES)
            .arg(limit)
            .arg(milliseconds(window))
            .arg(settings.max_finished)
            .arg(milliseconds(settings.finished_for))
            .arg(outcomes.len());
        for (id, token, outcome, reason) in outcomes {
            call = call.arg(id).arg(token).arg(outcome).arg(reason);
        }
        for (position, command, key, first, second) in effect_arguments {
            call = call.arg(position).arg(command).arg(key).arg(first).arg(second);
        }
        Ok(call)
    }
}

/// The keys of a queue: jobs, ready, delayed, running, dead, finished, counts, doorbell.
pub(crate) fn keys_of(root: &Key) -> [String; 8] {
    let [ready, delayed, running, dead, finished, counts, doorbell] =
        ["ready", "delayed", "running", "dead", "finished", "counts", "doorbell"]
            .map(|name| root.companion(name));
    [root.as_str().to_owned(), ready, delayed, running, dead, finished, counts, doorbell]
}

/// Between half of the pause and all of it, so that jobs that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    // Without randomness, all wait for the whole pause.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// What the scripts keep of a job: see the head of `job_queue.lua`.
#[derive(Default)]
struct Record {
    bytes: u64,
    priority: u8,
    failures: u32,
    losses: u32,
    reason: String,
}

impl Record {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(8, ':').skip(1);
        let bytes = parts.next()?.parse().ok()?;
        let priority = parts.next()?.parse().ok()?;
        let mut parts = parts.skip(2);
        let (failures, losses) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { bytes, priority, failures, losses, reason: parts.next()?.to_owned() })
    }
}

/// Another program may have enqueued an ID that is not UTF-8. One such job must not keep a worker from the others.
fn next_text(reply: &mut Reply) -> Result<Option<String>, StoreError> {
    let bytes: Option<Vec<u8>> = reply.next()?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn check_batch(jobs: usize) -> Result<(), JobError> {
    if jobs > MAX_BATCH { Err(JobError::TooMany { jobs }) } else { Ok(()) }
}

fn malformed(key: &str, field: &str) -> StoreError {
    StoreError::Malformed(quote(&format!("{key} {field}")))
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The queue has too many jobs. Try again when workers have completed some, or purge dead ones.
    #[error("the queue is full: it has {jobs} jobs, and takes at most {max}")]
    Full {
        /// The jobs in it, dead ones included.
        jobs: u64,
        /// [`Settings::max_jobs`].
        max: u64,
    },
    /// The payloads of a call are too large. Nothing was sent.
    #[error("the payloads of one call have at most {MAX_PAYLOAD_BYTES} bytes, and these have {bytes}")]
    TooLarge {
        /// Their length.
        bytes: usize,
    },
    /// Too many jobs for one call. Nothing was sent.
    #[error("one call takes at most {MAX_BATCH} jobs, not {jobs}")]
    TooMany {
        /// How many it was given.
        jobs: usize,
    },
    /// The visibility time was over, or another worker has the job. Another attempt may be under way.
    #[error("the job is no longer this worker's: its visibility time was over, or it was settled before")]
    LeaseLost,
    /// See [`Settled::EffectRefused`].
    #[error("an effect of the job can't be written, so the job is not completed")]
    EffectRefused,
    /// An effect would write one of the queue's own keys. Nothing was sent.
    #[error("an effect may not write to a key of the queue: {key}")]
    EffectKey {
        /// The key.
        key: String,
    },
    /// Redis, or the data in it. After a connection error, call again with the same job.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_never_overflow() {
        let settings = Settings::default();
        let pauses: Vec<u64> = (1..=5).map(|failures| settings.pause(failures).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16]);
        for failures in [13, 32, 33, 64, 65, 1_024, u32::MAX] {
            assert_eq!(settings.pause(failures), settings.longest_pause, "{failures}");
        }
        assert_eq!(settings.pause(0), settings.first_pause);
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(2));
            assert!((1_000..=2_000).contains(&pause.as_millis()), "{pause:?}");
        }
        let huge = Settings { first_pause: Duration::MAX, longest_pause: Duration::MAX, ..settings };
        assert_eq!(huge.pause(1_024), Duration::MAX);
        assert!(jittered(huge.longest_pause) <= Duration::MAX);
    }
}
