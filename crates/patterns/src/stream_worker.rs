//! Stream worker: messages that a group of workers handles, each with exactly one effect, though workers and servers die.
//!
//! XREADGROUP with NOACK, or XREAD from `$`, loses what a worker holds when it dies. With acknowledgment alone, a message that
//! crashes its worker goes round forever, and a worker that dies between its effect and XACK has the effect twice. MAXLEN deletes
//! what nobody has handled yet, and nobody notices. Here a worker reads its own pending entries first, claims what is idle, and
//! hands the effect to the script that acknowledges. A full stream refuses new messages instead of dropping old ones
//! ([`WhenFull`]). `stream_loop` is the loop of such a worker.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `stream:orders` | Stream | the messages: ID and payload |
//! | `stream:{stream:orders}:ids` | Sorted Set | the last IDs that were published, in order |
//! | `stream:{stream:orders}:counts` | Hash | entries dropped by producers, and entries that each group lost to trimming |
//! | `stream:{stream:orders}:done:billing` | Sorted Set | the last IDs that the group `billing` has completed, in order |
//! | `stream:{stream:orders}:failures:billing` | Hash | entry to how often its handler failed |
//! | `stream:{stream:orders}:dead:billing` | Stream | dead letters of the group, with the reason |
//!
//! - **Promise**: each message that was published is completed once or becomes a dead letter, in each group. The commands of an
//!   [`Effect`] run exactly once for each ID; what a handler does elsewhere may be done again after its worker was lost. A
//!   message that fails five times is dead; a message whose worker was lost ten times is dead with the reason `worker lost`. These
//!   are counted apart, and a planned stop counts as neither.
//! - **Cost**: one round trip for each call. A message costs XREADGROUP, which brings many, and one script.
//! - **Memory**: the stream has at most 100,000 entries ([`StreamQueue::with_max_entries`]). It remembers as many published IDs,
//!   and each group twice as many completed ones: on Valkey 9.1, 75 bytes each
//!   with IDs of 8 bytes, and 106 with IDs of 36. Dead letters: at most about 10,000, then the oldest go.
//! - **Faults**: if the stream or the whole server is lost, its messages are lost; the group is made again from the first entry
//!   that is there, so it misses nothing that is published afterward. If the completed IDs are lost, nothing happens unless the
//!   group is lost, too: then what is still in the stream has its effect again. If the published IDs are lost, a retry of an
//!   older message is a new entry, which completed IDs keep from a second effect. If the failures are lost, they are counted from
//!   zero. Lost dead letters are gone. If the counts are lost, they begin again. A failover may lose the last
//!   messages, and may lose the last completions with their effects, which then happen again.
//!   If the clock is set back, what a lost worker held waits that much longer. If it is set forward, what workers hold is
//!   delivered again early, and still has one effect.
//!
//! ```
//! use std::time::Duration;
//! use patterns::stream_worker::{Completed, Effect, StreamQueue};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let orders = StreamQueue::new(connection.clone(), "", "orders");
//! orders.publish("order-1", b"2 apples").await?;
//! orders.publish("order-1", b"2 apples").await?; // A retry: nothing happens.
//!
//! let billing = orders.group("billing");
//! billing.create().await?;
//! let messages = billing.read(&connection, "worker-1", 10, Duration::ZERO).await?;
//! assert_eq!(messages.len(), 1);
//! let billed = Effect::none().command("INCRBY", &orders.effect_key("billed")?, &["2"]);
//! assert_eq!(billing.complete(&messages[0], &billed).await?, Completed::Done);
//! assert_eq!(billing.complete(&messages[0], &billed).await?, Completed::Again);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, FromRedisValue, ToRedisArgs, Value};

use crate::key::{Key, check_id, escape};
use crate::script::{Call, Reply, Script, StoreError, by_operation, milliseconds, send};

/// The most bytes of a payload: 16 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;
/// The most messages that one call reads, claims, or returns, and that a worker handles at a time.
pub const MAX_MESSAGES: usize = 1_000;

const FILE: &str = include_str!("stream_worker.lua");

/// Publishes a message, once per ID.
pub static PUBLISH: Script =
    Script::new("stream_worker.lua: publish", FILE, &["room", "publish_read", "trim", "publish"]);
/// Publishes a dead letter again.
pub static REQUEUE: Script =
    Script::new("stream_worker.lua: requeue", FILE, &["room", "requeue_read", "trim", "requeue"]);
/// Runs the effect of a message, acknowledges it, and remembers its ID.
pub static COMPLETE: Script = Script::new("stream_worker.lua: complete", FILE, &["bury", "complete"]);
/// Counts a failure of the handler. The message comes again later, or is dead.
pub static FAIL: Script = Script::new("stream_worker.lua: fail", FILE, &["bury", "fail"]);
/// Takes over messages that nobody has touched for a while.
pub static CLAIM: Script = Script::new("stream_worker.lua: claim", FILE, &["bury", "claim"]);
/// What a consumer holds: after a read whose reply was lost.
pub static OWN: Script = Script::new("stream_worker.lua: own", FILE, &["own"]);
/// Says that the handlers of these messages still run.
pub static EXTEND: Script = Script::new("stream_worker.lua: extend", FILE, &["extend"]);
/// Returns messages that the consumer has not finished.
pub static GIVE_BACK: Script = Script::new("stream_worker.lua: give_back", FILE, &["give_back"]);
/// Removes consumers that have asked for nothing for a while and owe nothing.
pub static RETIRE: Script = Script::new("stream_worker.lua: retire", FILE, &["retire"]);
/// Counts what waits, what is with workers, and what was lost.
pub static STATUS: Script = Script::new("stream_worker.lua: status", FILE, &["status"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&PUBLISH, &REQUEUE, &COMPLETE, &FAIL, &CLAIM, &OWN, &EXTEND, &GIVE_BACK, &RETIRE, &STATUS])
}

/// What a producer does when the stream is full of messages that some group has not acknowledged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WhenFull {
    /// It refuses the message: back-pressure. A stream that no group reads waits for one.
    #[default]
    Refuse,
    /// It drops the oldest messages and counts them.
    Drop,
}

/// What became of a message that was published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Published {
    /// It is in the stream.
    New {
        /// The ID of its entry.
        entry: String,
        /// How many entries were dropped for it that some group had not acknowledged.
        dropped: u64,
    },
    /// It was published before. Nothing changed.
    Again,
    /// The stream is full. Nothing changed, so try again later.
    Full,
    /// There is no such dead letter.
    Unknown,
}

/// A message, as a worker gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The ID of its entry.
    pub entry: String,
    /// The producer's ID; that of the entry if another program added it without one.
    pub id: String,
    /// The producer's data.
    pub payload: Vec<u8>,
    /// How often its handler has failed.
    pub failures: u32,
    /// How many workers were lost with it.
    pub workers_lost: u32,
}

/// Commands that run in the script that acknowledges a message, exactly once. Their keys must be in the stream's slot: see
/// [`StreamQueue::effect_key`]. If the first command is refused, nothing changes, and the message has failed. If a later one is
/// refused, what has run stays, and the message is dead.
#[derive(Clone, Debug, Default)]
pub struct Effect {
    keys: Vec<String>,
    commands: Vec<(String, Vec<Vec<u8>>)>,
}

impl Effect {
    /// No commands: the handler did its work elsewhere, perhaps more than once.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a command that takes one key, and the key is its first argument.
    #[must_use]
    pub fn command(mut self, name: &str, key: &str, arguments: &[impl ToRedisArgs]) -> Self {
        self.keys.push(key.to_owned());
        self.commands
            .push((name.to_owned(), arguments.iter().flat_map(ToRedisArgs::to_redis_args).collect()));
        self
    }
}

/// What became of a completion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Completed {
    /// The effect happened now.
    Done,
    /// The ID was completed before, so there was no second effect.
    Again,
    /// The group does not know the message as pending: it is dead, or the server lost data. There was no effect.
    NotPending,
    /// The server refused the first command of the effect. Nothing changed.
    Refused(String),
    /// The server refused a later command. The message is dead.
    Half(String),
}

/// What became of a message whose handler failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// It comes again after a pause. It has failed so often.
    Retry(u32),
    /// It is a dead letter. It has failed so often.
    Dead(u32),
    /// The consumer no longer holds it. Nothing changed.
    NotPending,
}

/// What a claim found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Claimed {
    /// Messages to handle.
    pub messages: Vec<Message>,
    /// Where the next claim goes on; `0-0` after the last message.
    pub cursor: String,
    /// Whether the group has pending messages.
    pub pending: bool,
    /// How many pending entries had been trimmed from the stream: these are lost.
    pub trimmed: u64,
    /// How many messages are dead now because their workers were lost.
    pub quarantined: u64,
}

/// A dead letter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLetter {
    /// Its own ID, for [`Group::requeue`].
    pub letter: String,
    /// The message, with its counts.
    pub message: Message,
    /// Why it is dead.
    pub reason: String,
}

/// Counts of a stream and a group.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Status {
    /// Entries of the stream, handled or not.
    pub entries: u64,
    /// Messages that workers hold, or that wait for their next try.
    pub pending: u64,
    /// Consumers the group knows.
    pub consumers: u64,
    /// Dead letters.
    pub dead: u64,
    /// Entries that producers dropped before all groups had acknowledged them.
    pub dropped: u64,
    /// Pending entries of this group that it found trimmed.
    pub trimmed: u64,
}

/// A bounded stream.
#[derive(Clone, Debug)]
pub struct StreamQueue<C> {
    connection: C,
    prefix: String,
    name: String,
    max_entries: usize,
    when_full: WhenFull,
}

impl<C: ConnectionLike + Clone> StreamQueue<C> {
    /// The stream of this name. It has at most 100,000 entries and refuses more.
    pub fn new(connection: C, prefix: &str, name: &str) -> Self {
        let (prefix, name) = (prefix.to_owned(), name.to_owned());
        Self { connection, prefix, name, max_entries: 100_000, when_full: WhenFull::Refuse }
    }

    /// How many entries the stream has at most: 1 to 10 million. When it is full, it first forgets old entries that all groups have
    /// acknowledged. Give all producers and groups the same number.
    #[must_use]
    pub fn with_max_entries(self, max_entries: usize) -> Self {
        Self { max_entries: max_entries.clamp(1, 10_000_000), ..self }
    }

    /// What happens when the stream is full of messages that some group has not acknowledged.
    #[must_use]
    pub fn when_full(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }

    /// Publishes a message of at most [`MAX_PAYLOAD_BYTES`]. The producer picks the ID, so a retry is recognized. One round trip.
    pub async fn publish(&self, id: &str, payload: &[u8]) -> Result<Published, StoreError> {
        check_id(id)?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            let what = format!("{} bytes; at most {MAX_PAYLOAD_BYTES} are allowed", payload.len());
            return Err(StoreError::Redis((ErrorKind::Client, "the payload is too long", what).into()));
        }
        let call = PUBLISH.call(&[self.key()?.as_str(), &self.companion("ids")?, &self.companion("counts")?]);
        let call = self.limits(call).arg(id).arg(payload).arg(self.max_entries);
        published(call.run(&self.connection).await?)
    }

    /// A group, which handles every message of the stream. Its workers share them.
    pub fn group(&self, name: &str) -> Group<C> {
        Group {
            stream: self.clone(),
            name: name.to_owned(),
            visibility: Duration::from_secs(30),
            max_failures: 5,
            max_workers_lost: 10,
            max_dead: 10_000,
            retry_pause: Duration::from_secs(1),
        }
    }

    /// The stream.
    pub fn key(&self) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "stream", &[&self.name])?)
    }

    /// A key in the stream's slot, for effects.
    pub fn effect_key(&self, name: &str) -> Result<String, StoreError> {
        check_id(name)?;
        self.companion(&format!("effect:{}", escape(name)))
    }

    fn companion(&self, name: &str) -> Result<String, StoreError> {
        Ok(self.key()?.companion(name))
    }

    fn limits<'a>(&self, call: Call<'a>) -> Call<'a> {
        call.arg(self.max_entries).arg(if self.when_full == WhenFull::Drop { "drop" } else { "refuse" })
    }
}

fn published(mut reply: Reply) -> Result<Published, StoreError> {
    match reply.outcome.as_str() {
        "PUBLISHED" => Ok(Published::New { entry: reply.next()?, dropped: reply.next()? }),
        "AGAIN" => Ok(Published::Again),
        "FULL" => Ok(Published::Full),
        "UNKNOWN" => Ok(Published::Unknown),
        _ => Err(reply.unexpected()),
    }
}

/// A group of workers. Give all its workers the same settings.
#[derive(Clone, Debug)]
pub struct Group<C> {
    stream: StreamQueue<C>,
    name: String,
    visibility: Duration,
    max_failures: u32,
    max_workers_lost: u32,
    max_dead: usize,
    retry_pause: Duration,
}

impl<C: ConnectionLike + Clone> Group<C> {
    /// After how long without a sign from its worker a message goes to another: 10 ms to a day, 30 seconds by default.
    #[must_use]
    pub fn with_visibility(self, visibility: Duration) -> Self {
        Self { visibility: visibility.clamp(Duration::from_millis(10), Duration::from_hours(24)), ..self }
    }

    /// After how many failures of its handler a message is dead: at least one, five by default.
    #[must_use]
    pub fn with_max_failures(self, max_failures: u32) -> Self {
        Self { max_failures: max_failures.max(1), ..self }
    }

    /// After how many lost workers a message is dead: at least one, ten by default.
    #[must_use]
    pub fn with_max_workers_lost(self, max_workers_lost: u32) -> Self {
        Self { max_workers_lost: max_workers_lost.max(1), ..self }
    }

    /// How many dead letters are kept, approximately: 1 to a million. Then the oldest go.
    #[must_use]
    pub fn with_max_dead(self, max_dead: usize) -> Self {
        Self { max_dead: max_dead.clamp(1, 1_000_000), ..self }
    }

    /// The pause after the first failure, one second by default. It doubles with each failure, up to the visibility time, and a
    /// random part of up to a quarter is taken off.
    #[must_use]
    pub fn with_retry_pause(self, retry_pause: Duration) -> Self {
        Self { retry_pause, ..self }
    }

    /// The stream.
    pub fn stream(&self) -> &StreamQueue<C> {
        &self.stream
    }

    /// After how long without a sign from its worker a message goes to another.
    pub fn visibility(&self) -> Duration {
        self.visibility
    }

    /// Makes the group, from the first entry of the stream, unless it exists. Returns whether it was made. Call it before the first
    /// read, and after a reply with the code NOGROUP.
    pub async fn create(&self) -> Result<bool, StoreError> {
        check_id(&self.name)?;
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(self.stream.key()?.as_str()).arg(&self.name).arg("0").arg("MKSTREAM");
        match send::<Value>(&self.stream.connection, &create).await {
            Ok(_) => Ok(true),
            Err(StoreError::Redis(error)) if error.code() == Some("BUSYGROUP") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads new messages, and waits for the first one for up to `wait`: at most an hour, and zero does not wait. While it waits,
    /// it blocks `reader`, a connection of its own whose response timeout must be longer.
    pub async fn read(
        &self,
        reader: &(impl ConnectionLike + Clone),
        consumer: &str,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Message>, StoreError> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.name).arg(consumer).arg("COUNT").arg(most.clamp(1, MAX_MESSAGES));
        if !wait.is_zero() {
            read.arg("BLOCK").arg(milliseconds(wait.min(Duration::from_hours(1))));
        }
        read.arg("STREAMS").arg(self.stream.key()?.as_str()).arg(">");
        entries_of(send(reader, &read).await?)?.into_iter().map(|entry| message(entry, 0, 0)).collect()
    }

    /// What this consumer holds, after an entry (`0-0` for all), and the last entry it looked at, if there is one. For a worker that
    /// may have lost a reply. One round trip.
    pub async fn own_pending(
        &self,
        consumer: &str,
        after: &str,
        most: usize,
    ) -> Result<(Vec<Message>, Option<String>), StoreError> {
        let call = OWN.call(&[self.key()?, self.failures()?, self.dead()?, self.counts()?]);
        let call = call.arg(&self.name).arg(consumer).arg(after).arg(most.clamp(1, MAX_MESSAGES));
        let mut reply: Reply = call.run(&self.stream.connection).await?;
        let (last, _trimmed): (String, u64) = (reply.next()?, reply.next()?);
        Ok((counted(reply.next()?)?, Some(last).filter(|last| !last.is_empty())))
    }

    /// Whether the group has pending messages, which [`claim`](Self::claim) may find. One round trip.
    pub async fn has_pending(&self) -> Result<bool, StoreError> {
        let mut pending = redis::cmd("XPENDING");
        pending.arg(self.key()?).arg(&self.name).arg("-").arg("+").arg(1);
        Ok(!send::<Vec<Value>>(&self.stream.connection, &pending).await?.is_empty())
    }

    /// Claims messages that nobody has touched for the visibility time. Pass `0-0` or the cursor of the claim before. Each call looks
    /// at a bounded number of messages. One round trip.
    pub async fn claim(&self, consumer: &str, cursor: &str, most: usize) -> Result<Claimed, StoreError> {
        let call = CLAIM.call(&[self.key()?, self.failures()?, self.dead()?, self.counts()?]);
        let call = call.arg(&self.name).arg(consumer).arg(milliseconds(self.visibility)).arg(cursor);
        let call = call.arg(most.clamp(1, MAX_MESSAGES)).arg(self.max_workers_lost).arg(self.max_dead);
        let mut reply: Reply = call.run(&self.stream.connection).await?;
        Ok(Claimed {
            cursor: reply.next()?,
            pending: reply.next::<u8>()? == 1,
            trimmed: reply.next()?,
            quarantined: reply.next()?,
            messages: counted(reply.next()?)?,
        })
    }

    /// Runs the effect and acknowledges the message, in one step. One round trip. After an error, the outcome is unknown: call it
    /// again.
    pub async fn complete(&self, message: &Message, effect: &Effect) -> Result<Completed, StoreError> {
        let mut keys = vec![self.key()?, self.failures()?, self.dead()?, self.own("done")?];
        keys.extend(effect.keys.iter().cloned());
        let mut call = COMPLETE.call(&keys).arg(&self.name).arg(&message.entry).arg(&message.id);
        call = call.arg(2 * self.stream.max_entries).arg(self.max_dead);
        for (name, arguments) in &effect.commands {
            call = call.arg(arguments.len()).arg(name).arg(arguments);
        }
        let mut reply: Reply = match call.run(&self.stream.connection).await {
            Err(error) if is_without_group(&error) => return Ok(Completed::NotPending),
            reply => reply?,
        };
        match reply.outcome.as_str() {
            "DONE" => Ok(Completed::Done),
            "AGAIN" => Ok(Completed::Again),
            "NOT_PENDING" => Ok(Completed::NotPending),
            "REFUSED" => Ok(Completed::Refused(reply.next()?)),
            "HALF" => Ok(Completed::Half(reply.next()?)),
            _ => Err(reply.unexpected()),
        }
    }

    /// Counts a failure of the handler. The message comes again after a pause, or is dead. One round trip.
    pub async fn fail(&self, message: &Message, consumer: &str, reason: &str) -> Result<Failure, StoreError> {
        let call = FAIL.call(&[self.key()?, self.failures()?, self.dead()?]).arg(&self.name).arg(consumer);
        let call = call.arg(&message.entry).arg(self.max_failures).arg(crate::script::quote(reason));
        // The entry may be claimed when it has been idle for the visibility time.
        let idle = self.visibility.saturating_sub(self.pause_after(message.failures));
        let call = call.arg(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX)).arg(self.max_dead);
        let mut reply: Reply = match call.run(&self.stream.connection).await {
            Err(error) if is_without_group(&error) => return Ok(Failure::NotPending),
            reply => reply?,
        };
        match reply.outcome.as_str() {
            "RETRY" => Ok(Failure::Retry(reply.next()?)),
            "DEAD" => Ok(Failure::Dead(reply.next()?)),
            "NOT_PENDING" => Ok(Failure::NotPending),
            _ => Err(reply.unexpected()),
        }
    }

    /// Says that the handlers of these entries still run, at most [`MAX_MESSAGES`]. Returns how many the consumer still holds.
    pub async fn extend(&self, consumer: &str, entries: &[String]) -> Result<usize, StoreError> {
        let entries = &entries[..entries.len().min(MAX_MESSAGES)];
        let call = EXTEND.call(&[self.key()?]).arg(&self.name).arg(consumer).arg(entries);
        call.run::<Reply>(&self.stream.connection).await?.next()
    }

    /// Returns messages that the consumer has not finished, at most [`MAX_MESSAGES`]; others may claim them at once. It counts as
    /// neither a failure nor a lost worker. Returns how many the consumer held.
    pub async fn give_back(&self, consumer: &str, entries: &[String]) -> Result<usize, StoreError> {
        let entries = &entries[..entries.len().min(MAX_MESSAGES)];
        let call = GIVE_BACK.call(&[self.key()?]).arg(&self.name).arg(consumer);
        let call = call.arg(milliseconds(self.visibility)).arg(entries);
        call.run::<Reply>(&self.stream.connection).await?.next()
    }

    /// Removes at most [`MAX_MESSAGES`] consumers that have asked for nothing for so long and hold nothing. Take at least the
    /// visibility time. What a consumer holds is never dropped. Returns how many were removed.
    pub async fn retire(&self, idle: Duration) -> Result<usize, StoreError> {
        self.retire_only("", u64::try_from(idle.as_millis()).unwrap_or(u64::MAX)).await
    }

    /// The same for one consumer, and an idle time in milliseconds.
    pub(crate) async fn retire_only(&self, consumer: &str, idle: u64) -> Result<usize, StoreError> {
        let call = RETIRE.call(&[self.key()?]).arg(&self.name).arg(idle).arg(MAX_MESSAGES).arg(consumer);
        call.run::<Reply>(&self.stream.connection).await?.next()
    }

    /// Dead letters after this one (`0-0` for all), the oldest first: at most [`MAX_MESSAGES`]. One round trip.
    pub async fn dead_letters(&self, after: &str, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let mut range = redis::cmd("XRANGE");
        range
            .arg(self.dead()?)
            .arg(format!("({after}"))
            .arg("+")
            .arg("COUNT")
            .arg(most.clamp(1, MAX_MESSAGES));
        let letters: Vec<Value> = send(&self.stream.connection, &range).await?;
        letters.into_iter().map(dead_letter).collect()
    }

    /// Publishes a dead letter again, with its ID. Other groups do not handle it twice. One round trip.
    pub async fn requeue(&self, letter: &str) -> Result<Published, StoreError> {
        let call = REQUEUE.call(&[self.key()?, self.dead()?, self.counts()?]);
        published(self.stream.limits(call).arg(letter).run(&self.stream.connection).await?)
    }

    /// Removes a dead letter. Returns whether it was there.
    pub async fn discard(&self, letter: &str) -> Result<bool, StoreError> {
        send(&self.stream.connection, redis::cmd("XDEL").arg(self.dead()?).arg(letter)).await
    }

    /// Counts, in one step. O(groups).
    pub async fn status(&self) -> Result<Status, StoreError> {
        let call = STATUS.call(&[self.key()?, self.dead()?, self.counts()?]).arg(&self.name);
        let mut reply: Reply = call.run(&self.stream.connection).await?;
        let [entries, pending, consumers] = [reply.next()?, reply.next()?, reply.next()?];
        let [dead, dropped, trimmed] = [reply.next()?, reply.next()?, reply.next()?];
        Ok(Status { entries, pending, consumers, dead, dropped, trimmed })
    }

    fn pause_after(&self, failures: u32) -> Duration {
        let doubled = self.retry_pause.saturating_mul(1 << failures.min(20)).min(self.visibility);
        let random = getrandom::u32().unwrap_or_default();
        doubled.mul_f64(1.0 - 0.25 * f64::from(random) / f64::from(u32::MAX))
    }

    fn key(&self) -> Result<String, StoreError> {
        Ok(self.stream.key()?.as_str().to_owned())
    }

    fn counts(&self) -> Result<String, StoreError> {
        self.stream.companion("counts")
    }

    fn failures(&self) -> Result<String, StoreError> {
        self.own("failures")
    }

    fn dead(&self) -> Result<String, StoreError> {
        self.own("dead")
    }

    fn own(&self, what: &str) -> Result<String, StoreError> {
        self.stream.companion(&format!("{what}:{}", escape(&self.name)))
    }
}

/// The group, or the stream with it, is gone.
pub(crate) fn is_without_group(error: &StoreError) -> bool {
    matches!(error, StoreError::Redis(error) if matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")))
}

/// The entries in the reply of XREADGROUP for one stream.
fn entries_of(reply: Value) -> Result<Vec<Value>, StoreError> {
    let streams = match reply {
        Value::Nil => return Ok(Vec::new()),
        Value::Map(streams) => streams.into_iter().map(|(_, entries)| entries).collect(),
        reply => {
            let streams = Vec::<Vec<Value>>::from_redis_value(reply)?;
            streams.into_iter().filter_map(|stream| stream.into_iter().nth(1)).collect::<Vec<_>>()
        }
    };
    let entries = streams.into_iter().map(Vec::<Value>::from_redis_value).collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().flatten().collect())
}

/// An entry, which is its ID and its fields.
fn message(entry: Value, failures: u32, workers_lost: u32) -> Result<Message, StoreError> {
    let (entry, fields) = <(String, Value)>::from_redis_value(entry)?;
    let field = |name| field(&fields, name);
    let id = field("id")?.and_then(|id| String::from_utf8(id).ok()).unwrap_or_else(|| entry.clone());
    Ok(Message { id, payload: field("payload")?.unwrap_or_default(), entry, failures, workers_lost })
}

fn counted(messages: Value) -> Result<Vec<Message>, StoreError> {
    let messages = Vec::<Value>::from_redis_value(messages)?.into_iter().map(|counted| {
        let (entry, fields, failures, workers_lost) = FromRedisValue::from_redis_value(counted)?;
        message(Value::Array(vec![entry, fields]), failures, workers_lost)
    });
    messages.collect()
}

fn dead_letter(letter: Value) -> Result<DeadLetter, StoreError> {
    let (letter, fields) = <(String, Value)>::from_redis_value(letter)?;
    let text = |name| -> Result<String, StoreError> {
        Ok(String::from_utf8_lossy(&field(&fields, name)?.unwrap_or_default()).into_owned())
    };
    let number = |name| Ok::<u32, StoreError>(text(name)?.parse().unwrap_or_default());
    let entry = Value::BulkString(text("entry")?.into_bytes());
    let (failures, lost, reason) = (number("failures")?, number("lost")?, text("reason")?);
    Ok(DeadLetter { message: message(Value::Array(vec![entry, fields]), failures, lost)?, letter, reason })
}

fn field(fields: &Value, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let fields = Option::<Vec<Vec<u8>>>::from_redis_value_ref(fields)?.unwrap_or_default();
    Ok(fields.chunks_exact(2).find(|pair| pair[0] == name.as_bytes()).map(|pair| pair[1].clone()))
}
