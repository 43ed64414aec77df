//! Stream loop: a worker process of a group. The messages and the group are those of [`stream_worker`](crate::stream_worker).
//!
//! The naive way is a loop around XREADGROUP. It ends with the first lost connection, never sees what a lost reply has made
//! pending, shares its consumer with every process of the same name, and leaves one behind for each name. This loop has a new
//! name each time, connects again, also to a server that came back empty, and removes its consumer when it stops.
//!
//! | key | type | holds |
//! |---|---|---|
//! | those of [`stream_worker`](crate::stream_worker) | | |
//!
//! - **Promise**: a handler that fails or panics is a failure of its message. While a handler runs, its message stays with it. On a
//!   stop, handlers end within the grace time, or their messages are given back, which counts as neither a failure nor a lost
//!   worker. What a killed worker held goes on elsewhere after the visibility time, and one second later at the latest.
//! - **Cost**: one round trip reads many messages, and one settles each. An idle worker sends two
//!   commands a second at most, those inside of scripts among them: 9 in 8 seconds were measured with the default visibility time,
//!   and 13 with one second.
//! - **Memory**: the payloads of the messages that run.
//! - **Faults**: while the server cannot be reached, handlers go on, and their outcome is stored afterward. If another worker has
//!   the message by then, its effect still happens once. After an error, the loop reads its own pending messages again.
//!
//! ```
//! use std::time::Duration;
//! use patterns::stream_loop::Worker;
//! use patterns::stream_worker::{Effect, Message, StreamQueue};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let client = redis::Client::open(url)?;
//! let connection = client.get_multiplexed_async_connection().await?;
//! let orders = StreamQueue::new(connection.clone(), "", "orders");
//! orders.publish("order-1", b"2 apples").await?;
//! orders.publish("order-1", b"2 apples").await?; // A retry: nothing happens.
//!
//! let worker = Worker::new(orders.group("billing"), "host-1")?;
//! let billed = orders.effect_key("billed")?;
//! let key = billed.clone();
//! let handler = move |message: Message| {
//!     let apples = &message.payload[..1];
//!     let effect = Effect::none().command("INCRBY", &key, &[apples]);
//!     async move { Ok::<_, String>(effect) }
//! };
//! // A connection that may wait longer than the worker does.
//! let connect = || {
//!     let client = client.clone();
//!     async move {
//!         let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
//!         client.get_multiplexed_async_connection_with_config(&config).await
//!     }
//! };
//! let stop = tokio::time::sleep(Duration::from_millis(200)); // Or Ctrl-C.
//! let report = worker.run(connect, handler, stop).await;
//! assert_eq!(report.completed, 1);
//! let count: u32 = redis::cmd("GET").arg(&billed).query_async(&mut connection.clone()).await?;
//! assert_eq!(count, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashSet;
use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisResult};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::script::StoreError;
use crate::stream_worker::{Completed, Effect, Failure, Group, MAX_MESSAGES, Message, is_without_group};

/// How long one XREADGROUP of a [`Worker`] waits. A stop takes no longer, apart from the handlers.
const BLOCK: Duration = Duration::from_millis(1_500);
/// How long it waits at most between two claims while messages are pending.
const CLAIM_PAUSE: Duration = Duration::from_millis(500);
/// How long it waits until it looks for pending messages while there are none: the visibility time, but at least and at most this.
const IDLE_PAUSES: [Duration; 2] = [Duration::from_millis(750), Duration::from_secs(2)];
/// How long a worker waits after an error: at first, and at most.
const ERROR_PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// What a [`Worker`] did so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Messages whose effect happened.
    pub completed: u64,
    /// Messages that were completed before, or are no longer this group's.
    pub again: u64,
    /// Failures of the handler, panics among them.
    pub failed: u64,
    /// Messages that became dead letters because they failed.
    pub dead: u64,
    /// Messages that became dead letters because their workers were lost.
    pub quarantined: u64,
    /// Messages taken over from other workers, or after a pause.
    pub claimed: u64,
    /// Pending entries that had been trimmed from the stream.
    pub trimmed: u64,
    /// How often the group was gone, as on a server that came back empty, and was made again.
    pub remade: u64,
    /// Errors of the server or a connection. A worker pauses after each.
    pub errors: u64,
}

/// One worker process of a group. Its consumer has a new name each time, so no two processes share one.
#[derive(Clone, Debug)]
pub struct Worker<C> {
    group: Group<C>,
    consumer: String,
    concurrency: usize,
    grace: Duration,
    report: Arc<Mutex<Report>>,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Worker<C> {
    /// A worker that handles ten messages at a time. `host` is any text that tells you where it runs; a random part follows it.
    pub fn new(group: Group<C>, host: &str) -> Result<Self, StoreError> {
        let random = getrandom::u64().map_err(|error| {
            StoreError::Redis(
                (ErrorKind::Io, "no random number for the consumer's name", error.to_string()).into(),
            )
        })?;
        let consumer = format!("{host}-{random:016x}");
        Ok(Self { group, consumer, concurrency: 10, grace: Duration::from_secs(10), report: Arc::default() })
    }

    /// How many messages it handles at a time: 1 to [`MAX_MESSAGES`].
    #[must_use]
    pub fn with_concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: concurrency.clamp(1, MAX_MESSAGES), ..self }
    }

    /// How long handlers may go on after a stop, ten seconds by default. Then they are dropped, and their messages are given back.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// The name of its consumer.
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// What it did so far.
    pub fn report(&self) -> Report {
        *self.counts()
    }

    /// Handles messages until `stop` is ready: its own pending ones first, then what others left, then new ones. It survives a
    /// restart of the server if its connection reconnects. `connect` opens the connection that blocks, with a response timeout of
    /// at least 5 seconds, and is called again when that is lost. A handler that returns an error or panics has failed. Its task is
    /// dropped if it still runs after the grace time.
    pub async fn run<F, X, R, H, W, E>(
        &self,
        connect: F,
        handler: H,
        stop: impl Future<Output = ()>,
    ) -> Report
    where
        F: Fn() -> X,
        X: Future<Output = RedisResult<R>>,
        R: ConnectionLike + Clone,
        H: Fn(Message) -> W + Send + Sync + 'static,
        W: Future<Output = Result<Effect, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let (handler, mut stop) = (Arc::new(handler), pin!(stop));
        let mut held = Held { tasks: JoinSet::new(), entries: HashSet::new() };
        let (mut reader, mut reading) = (None, None);
        let mut chores = Chores::new();
        let mut pause = Pause::default();
        loop {
            // First, because a process that was paused could otherwise claim its own messages as those of a lost worker.
            self.extend(&mut chores, &held).await;
            let free = self.concurrency - held.entries.len().min(self.concurrency);
            if free > 0 && Instant::now() >= pause.until {
                match self.do_chores(&mut chores, free).await {
                    Ok(messages) if !messages.is_empty() => {
                        self.start(&handler, messages, &mut held);
                        continue;
                    }
                    Ok(_) if reading.is_none() => {
                        reading = Some(Box::pin(self.read(&connect, reader.take(), free)));
                    }
                    Ok(_) => {}
                    Err(error) => self.after_error(&error, &mut chores, &mut pause),
                }
            }
            tokio::select! {
                () = &mut stop => break,
                (connection, read) = ready(&mut reading) => {
                    (reader, reading) = (connection, None);
                    match read {
                        Ok(messages) => {
                            pause = Pause::default();
                            if !messages.is_empty() {
                                chores.pending = true;
                                chores.claim_at = chores.claim_at.min(Instant::now() + self.claim_pause());
                            }
                            self.start(&handler, messages, &mut held);
                        }
                        Err(error) => self.after_error(&error, &mut chores, &mut pause),
                    }
                }
                Some(ended) = held.tasks.join_next() => {
                    if let Ok(entry) = ended {
                        held.entries.remove(&entry);
                    }
                }
                () = sleep_until(chores.extend_at) => {}
                () = sleep_until(chores.claim_at.max(pause.until)), if free > 0 => {}
                () = sleep_until(pause.until), if free > 0 && reading.is_none() => {}
            }
        }
        // Without it, the reply of this read would be lost, and its messages would wait for the visibility time.
        let mut unread = Vec::new();
        while reading.is_some() {
            tokio::select! {
                (_, read) = ready(&mut reading) => (reading, unread) = (None, read.unwrap_or_default()),
                () = sleep_until(chores.extend_at) => self.extend(&mut chores, &held).await,
            }
        }
        self.stop(chores, held, unread).await;
        self.report()
    }

    /// What comes before new messages. Returns messages to handle.
    async fn do_chores(&self, chores: &mut Chores, free: usize) -> Result<Vec<Message>, StoreError> {
        if chores.group_unknown {
            if self.group.create().await? && chores.had_group {
                self.counts().remade += 1;
            }
            (chores.group_unknown, chores.had_group) = (false, true);
        }
        while let Some(after) = chores.own_after.clone() {
            let (messages, last) = self.group.own_pending(&self.consumer, &after, free).await?;
            chores.own_after = last;
            if !messages.is_empty() {
                return Ok(messages);
            }
        }
        if Instant::now() < chores.claim_at {
            return Ok(Vec::new());
        }
        if !chores.pending && !self.group.has_pending().await? {
            let longest = self.group.visibility().clamp(IDLE_PAUSES[0], IDLE_PAUSES[1]);
            chores.claim_at = Instant::now() + longest;
            return Ok(Vec::new());
        }
        let claimed = self.group.claim(&self.consumer, &chores.cursor, free).await?;
        let more = !claimed.messages.is_empty() || claimed.cursor != "0-0";
        let pause = if more { Duration::ZERO } else { self.claim_pause() };
        (chores.pending, chores.cursor) = (claimed.pending, claimed.cursor);
        chores.claim_at = Instant::now() + pause;
        let mut counts = self.counts();
        counts.claimed += claimed.messages.len() as u64;
        counts.trimmed += claimed.trimmed;
        counts.quarantined += claimed.quarantined;
        Ok(claimed.messages)
    }

    /// Says that its handlers still run, three times in each visibility time.
    async fn extend(&self, chores: &mut Chores, held: &Held) {
        if Instant::now() < chores.extend_at {
            return;
        }
        chores.extend_at = Instant::now() + self.group.visibility() / 3;
        let entries: Vec<String> = held.entries.iter().cloned().collect();
        if !entries.is_empty() && self.group.extend(&self.consumer, &entries).await.is_err() {
            self.counts().errors += 1;
        }
    }

    /// How long it waits between two claims while messages are pending.
    fn claim_pause(&self) -> Duration {
        CLAIM_PAUSE.min(self.group.visibility() / 4)
    }

    /// Reads once, on its own connection. After an error, that connection is not used again.
    async fn read<F, X, R>(
        &self,
        connect: &F,
        reader: Option<R>,
        free: usize,
    ) -> (Option<R>, Result<Vec<Message>, StoreError>)
    where
        F: Fn() -> X,
        X: Future<Output = RedisResult<R>>,
        R: ConnectionLike + Clone,
    {
        let reader = match reader {
            Some(reader) => reader,
            None => match connect().await {
                Ok(reader) => reader,
                Err(error) => return (None, Err(error.into())),
            },
        };
        let read = self.group.read(&reader, &self.consumer, free, BLOCK).await;
        (Some(reader).filter(|_| read.is_ok()), read)
    }

    fn start<H, W, E>(&self, handler: &Arc<H>, messages: Vec<Message>, held: &mut Held)
    where
        H: Fn(Message) -> W + Send + Sync + 'static,
        W: Future<Output = Result<Effect, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        for message in messages {
            if held.entries.insert(message.entry.clone()) {
                let (worker, handler) = (self.clone(), Arc::clone(handler));
                held.tasks.spawn(async move {
                    let mut handling = JoinSet::new();
                    let copy = message.clone();
                    // A task of its own, so a panic is a failure. It ends when the set is dropped.
                    handling.spawn(async move { (*handler)(copy).await.map_err(|error| error.to_string()) });
                    let outcome = match handling.join_next().await {
                        Some(Ok(outcome)) => outcome,
                        Some(Err(error)) => Err(format!("the handler {}", panic_text(error))),
                        None => Err("the handler ended without an answer".to_owned()),
                    };
                    worker.settle(&message, outcome).await;
                    message.entry
                });
            }
        }
    }

    /// Completes or fails a message. It tries again while the server cannot be reached.
    async fn settle(&self, message: &Message, mut outcome: Result<Effect, String>) {
        let mut pause = Pause::default();
        loop {
            let error = match &outcome {
                Ok(effect) => match self.group.complete(message, effect).await {
                    Ok(Completed::Done) => return self.counts().completed += 1,
                    Ok(Completed::Again | Completed::NotPending) => return self.counts().again += 1,
                    Ok(Completed::Half(_)) => return self.counts().dead += 1,
                    Ok(Completed::Refused(reason)) => {
                        outcome = Err(reason);
                        continue;
                    }
                    Err(error) => error,
                },
                Err(reason) => match self.group.fail(message, &self.consumer, reason).await {
                    Ok(failure) => {
                        let mut counts = self.counts();
                        counts.failed += 1;
                        counts.dead += u64::from(matches!(failure, Failure::Dead(_)));
                        return;
                    }
                    Err(error) => error,
                },
            };
            self.counts().errors += 1;
            if passes(&error) {
                sleep(pause.next()).await;
            } else if outcome.is_ok() {
                outcome = Err(error.to_string());
            } else {
                // It stays pending, and is claimed after the visibility time.
                return;
            }
        }
    }

    fn after_error(&self, error: &StoreError, chores: &mut Chores, pause: &mut Pause) {
        self.counts().errors += 1;
        // The server may be empty. A reply may be lost, whose messages are pending.
        chores.group_unknown |= is_without_group(error);
        chores.own_after = Some("0-0".to_owned());
        pause.until = Instant::now() + pause.next();
    }

    /// Lets handlers end, gives back the rest, and removes the consumer. If the server cannot be reached, others claim the rest.
    async fn stop(&self, mut chores: Chores, mut held: Held, unread: Vec<Message>) {
        let end = async {
            while !held.tasks.is_empty() {
                tokio::select! {
                    Some(ended) = held.tasks.join_next() => {
                        if let Ok(entry) = ended {
                            held.entries.remove(&entry);
                        }
                    }
                    () = sleep_until(chores.extend_at) => self.extend(&mut chores, &held).await,
                }
            }
        };
        let _ = timeout(self.grace, end).await;
        held.tasks.shutdown().await;
        let rest: Vec<String> =
            held.entries.drain().chain(unread.into_iter().map(|message| message.entry)).collect();
        for entries in rest.chunks(MAX_MESSAGES) {
            let _ = self.group.give_back(&self.consumer, entries).await;
        }
        while let Ok((messages, Some(_))) = self.group.own_pending(&self.consumer, "0-0", MAX_MESSAGES).await
        {
            let entries: Vec<String> = messages.into_iter().map(|message| message.entry).collect();
            if !self.group.give_back(&self.consumer, &entries).await.is_ok_and(|returned| returned > 0) {
                break;
            }
        }
        let _ = self.group.retire_only(&self.consumer, 0).await;
    }

    fn counts(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages that a worker holds, and the tasks that handle them.
struct Held {
    tasks: JoinSet<String>,
    entries: HashSet<String>,
}

/// What a worker does between reads.
struct Chores {
    group_unknown: bool,
    had_group: bool,
    /// Its own pending messages after this entry are to be handled.
    own_after: Option<String>,
    /// The group may have pending messages.
    pending: bool,
    cursor: String,
    claim_at: Instant,
    extend_at: Instant,
}

impl Chores {
    fn new() -> Self {
        let (now, first) = (Instant::now(), || "0-0".to_owned());
        let (own_after, cursor) = (Some(first()), first());
        Self {
            group_unknown: true,
            had_group: false,
            own_after,
            pending: true,
            cursor,
            claim_at: now,
            extend_at: now,
        }
    }
}

/// Pauses that grow with each error.
struct Pause {
    until: Instant,
    errors: u32,
}

impl Default for Pause {
    fn default() -> Self {
        Self { until: Instant::now(), errors: 0 }
    }
}

impl Pause {
    fn next(&mut self) -> Duration {
        self.errors += 1;
        (ERROR_PAUSES[0] * (1 << self.errors.min(10))).min(ERROR_PAUSES[1])
    }
}

/// The output of a future that may not be there yet.
async fn ready<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn panic_text(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "was dropped".to_owned() };
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a text"))
}

/// Whether the same call may succeed later.
fn passes(error: &StoreError) -> bool {
    const CODES: [&str; 9] =
        ["LOADING", "READONLY", "OOM", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "BUSY", "MOVED", "ASK"];
    let StoreError::Redis(error) = error else { return false };
    match error.code() {
        Some(code) => CODES.contains(&code),
        None => true,
    }
}
