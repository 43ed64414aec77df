//! Broadcast: each message reaches every subscriber, live, or from where the subscriber left off.
//!
//! PUBLISH reaches those who listen at that moment. A subscriber that is away misses messages and does not learn it, and one that
//! is too slow is cut off by the server. XREAD from `$` after each message skips what came in between. Here are two kinds:
//!
//! - [`Broadcast::announce`] and [`Broadcast::listen`] are pub/sub, which stores nothing: for hints such as 'reload'. A listener
//!   that lost its connection or was too slow gets [`Event::Gap`].
//! - [`Broadcast::publish`] and [`Broadcast::follow`] have a bounded stream behind them. A follower resumes after the last message it
//!   has seen. Each entry names the one before it, so a follower notices when something in between is gone, and gets
//!   [`Event::Gap`]: it reads the current state elsewhere and goes on.
//!
//! | key or channel | type | holds |
//! |---|---|---|
//! | `broadcast:news` | Stream | the last messages |
//! | `broadcast:{broadcast:news}:last` | String | the ID of the last message |
//! | `broadcast:news` | channel | announcements; a shard channel in the same slot with [`Broadcast::sharded`] |
//!
//! - **Promise**: a follower gets each message that is still kept, in order and once, and one gap for all that is not. Nothing is
//!   skipped in silence: not after a trim, not after a reset, not with an ID that means nothing. A listener gets a gap after each
//!   lost connection or overflow.
//! - **Cost**: one round trip to publish. A follower has a connection of its own, which blocks; when idle, it sends two commands in
//!   five seconds. PUBLISH reaches every node of a cluster, SPUBLISH only the slot's.
//! - **Memory**: about 10,000 entries ([`Broadcast::with_max_entries`]), and up to one node of the stream more. A listener keeps
//!   1,000 messages.
//! - **Faults**: a publication that is sent again, after a lost answer, is a second message. If the stream is lost, followers that
//!   were behind get a gap. If the ID of the last message is lost, it is read from the stream.
//!   A failover may lose the last messages; followers that have seen them get a gap. A clock that jumps does no harm.
//!
//! ```
//! use std::time::Duration;
//! use patterns::broadcast::{Broadcast, Event, Position};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let client = redis::Client::open(url)?;
//! let news = Broadcast::new(client.get_multiplexed_async_connection().await?, "", "news");
//! let first = news.publish(b"one").await?;
//! news.publish(b"two").await?;
//!
//! // A connection that may wait longer than a follower does.
//! let connect = || async {
//!     let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
//!     client.get_multiplexed_async_connection_with_config(&config).await
//! };
//! let mut follower = news.follow(Position::After(first), connect);
//! let Event::Message(message) = follower.next().await? else { return Err("nothing was trimmed".into()) };
//! assert_eq!(message.payload, b"two");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike, SendError};
use redis::{ErrorKind, FromRedisValue, PushInfo, PushKind, RedisResult, Value};
use tokio::time::{Instant, sleep_until};

use crate::key::Key;
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds, send};

/// The most bytes of a payload: 1 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;
/// How many messages a listener keeps until it asks for them.
pub const MAX_WAITING: usize = 1_000;

/// How many messages one read brings.
const BATCH: usize = 100;
/// How long a follower waits for a message before it checks that it has not missed a reset.
const BLOCK: Duration = Duration::from_secs(5);
/// How long it waits before it reconnects: at first, and at most.
const RECONNECT_PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

const FILE: &str = include_str!("broadcast.lua");

/// Adds a message.
pub static PUBLISH: Script = Script::new("broadcast.lua: publish", FILE, &["publish"]);
/// Reads what follows an entry.
pub static READ: Script = Script::new("broadcast.lua: read", FILE, &["read"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&PUBLISH, &READ])
}

/// A message, as a subscriber gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Its ID, to resume after it: [`Position::After`]. Empty if it was announced, not published.
    pub id: String,
    /// The publisher's data.
    pub payload: Vec<u8>,
}

/// What a subscriber gets next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A message.
    Message(Message),
    /// Messages may be missing here. Read the current state elsewhere, and go on.
    Gap,
}

/// Where a follower begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Position {
    /// With the next message.
    Now,
    /// With the oldest one that is kept. A gap comes first if older ones were trimmed.
    Start,
    /// After this message, the last one that was seen. A text that is no ID is a gap.
    After(String),
}

/// A broadcast of one name.
#[derive(Clone, Debug)]
pub struct Broadcast<C> {
    connection: C,
    prefix: String,
    name: String,
    max_entries: usize,
    sharded: bool,
}

impl<C: ConnectionLike + Clone> Broadcast<C> {
    /// It keeps about 10,000 messages and announces on a plain channel.
    pub fn new(connection: C, prefix: &str, name: &str) -> Self {
        let (prefix, name) = (prefix.to_owned(), name.to_owned());
        Self { connection, prefix, name, max_entries: 10_000, sharded: false }
    }

    /// How many messages are kept at least: 1 to 10 million.
    #[must_use]
    pub fn with_max_entries(self, max_entries: usize) -> Self {
        Self { max_entries: max_entries.clamp(1, 10_000_000), ..self }
    }

    /// Announces on a shard channel: SPUBLISH and SSUBSCRIBE. On a cluster, only the nodes of one slot carry it.
    #[must_use]
    pub fn sharded(self) -> Self {
        Self { sharded: true, ..self }
    }

    /// Publishes a message of at most [`MAX_PAYLOAD_BYTES`] for followers. Returns its ID. One round trip.
    pub async fn publish(&self, payload: &[u8]) -> Result<String, StoreError> {
        check_payload(payload)?;
        let call = PUBLISH.call(&self.keys()?).arg(payload).arg(self.max_entries);
        call.run::<Reply>(&self.connection).await?.next()
    }

    /// Announces a message to those who listen now. Returns how many the server that was asked has; on a cluster, others may have
    /// more. One round trip.
    pub async fn announce(&self, payload: &[u8]) -> Result<u64, StoreError> {
        check_payload(payload)?;
        let command = if self.sharded { "SPUBLISH" } else { "PUBLISH" };
        send(&self.connection, redis::cmd(command).arg(self.channel()?).arg(payload)).await
    }

    /// Reads messages after an ID, at most 100, without waiting: what a follower does first. Returns whether there is a gap before
    /// them, the messages, and the ID to go on after.
    pub async fn read(&self, from: &Position) -> Result<(bool, Vec<Message>, String), StoreError> {
        let after = match from {
            Position::Now => "now",
            Position::Start => "0-0",
            Position::After(id) => id,
        };
        let mut reply: Reply = READ.call(&self.keys()?).arg(after).arg(BATCH).run(&self.connection).await?;
        let (last, entries): (String, Vec<Value>) = (reply.next()?, reply.next()?);
        let messages =
            entries.into_iter().map(|entry| Ok(message(entry)?.0)).collect::<Result<_, StoreError>>()?;
        Ok((reply.outcome == "GAP", messages, last))
    }

    /// Follows the messages. `connect` opens a connection of its own, which blocks, with a response timeout of at least ten seconds.
    /// It is called again when that connection is lost.
    pub fn follow<F, X, R>(&self, from: Position, connect: F) -> Follower<C, F, R>
    where
        F: FnMut() -> X,
        X: Future<Output = RedisResult<R>>,
        R: ConnectionLike + Clone,
    {
        let (broadcast, events) = (self.clone(), VecDeque::new());
        Follower {
            broadcast,
            connect,
            reader: None,
            from,
            events,
            is_checked: false,
            retry: Retry::default(),
        }
    }

    /// Listens to announcements. `connect` opens a connection of its own over RESP3 that passes its messages to the [`Inbox`],
    /// subscribes it to the channel (SUBSCRIBE, or SSUBSCRIBE if it is [sharded](Self::sharded)), and returns it. It is called again
    /// when that connection or its subscription is lost. On a cluster, a shard channel moves with its slot, so connect to the
    /// cluster: `ClusterClientBuilder::push_sender`, then `ssubscribe`.
    pub fn listen<F, X, S>(&self, connect: F) -> Result<Listener<F, S>, StoreError>
    where
        F: FnMut(String, Inbox) -> X,
        X: Future<Output = RedisResult<S>>,
    {
        let heard = Heard { events: VecDeque::new(), connection: 0, lost: false, waker: None };
        Ok(Listener {
            channel: self.channel()?,
            connect,
            subscription: None,
            heard: Arc::new(Mutex::new(heard)),
            retry: Retry::default(),
        })
    }

    /// The channel of announcements.
    pub fn channel(&self) -> Result<String, StoreError> {
        Ok(self.key()?.as_str().to_owned())
    }

    /// The stream.
    pub fn key(&self) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "broadcast", &[&self.name])?)
    }

    /// The stream, and the key with the ID of the last message.
    pub fn keys(&self) -> Result<[String; 2], StoreError> {
        let key = self.key()?;
        Ok([key.as_str().to_owned(), key.companion("last")])
    }
}

fn check_payload(payload: &[u8]) -> Result<(), StoreError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        let what = format!("{} bytes; at most {MAX_PAYLOAD_BYTES} are allowed", payload.len());
        return Err(StoreError::Redis((ErrorKind::Client, "the payload is too long", what).into()));
    }
    Ok(())
}

/// A subscriber that resumes: see [`Broadcast::follow`].
#[derive(Debug)]
pub struct Follower<C, F, R> {
    broadcast: Broadcast<C>,
    connect: F,
    reader: Option<R>,
    from: Position,
    events: VecDeque<Event>,
    /// The script has found no gap since the last connection or pause, so that a blocking read may go on.
    is_checked: bool,
    retry: Retry,
}

impl<C, F, X, R> Follower<C, F, R>
where
    C: ConnectionLike + Clone,
    F: FnMut() -> X,
    X: Future<Output = RedisResult<R>>,
    R: ConnectionLike + Clone,
{
    /// Waits for the next message or gap. After an error, call it again: it waits a little longer each time, up to 5 seconds, and
    /// reconnects. If its future is dropped, nothing is lost.
    pub async fn next(&mut self) -> Result<Event, StoreError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.retry.wait().await;
            if let Err(error) = self.read().await {
                (self.reader, self.is_checked) = (None, false);
                self.retry.failed();
                return Err(error);
            }
            self.retry = Retry::default();
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        if !self.is_checked {
            let (gap, messages, last) = self.broadcast.read(&self.from).await?;
            self.is_checked = messages.len() < BATCH;
            self.from = Position::After(last);
            self.events.extend(gap.then_some(Event::Gap));
            self.events.extend(messages.into_iter().map(Event::Message));
            return Ok(());
        }
        let Position::After(after) = &self.from else { return Ok(()) };
        let reader = match &self.reader {
            Some(reader) => reader,
            None => self.reader.insert((self.connect)().await?),
        };
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(BATCH).arg("BLOCK").arg(milliseconds(BLOCK));
        read.arg("STREAMS").arg(self.broadcast.key()?.as_str()).arg(after);
        let entries = entries_of(send(reader, &read).await?)?;
        self.is_checked = !entries.is_empty();
        for entry in entries {
            let (message, previous) = message(entry)?;
            if self.from != Position::After(previous) {
                self.events.push_back(Event::Gap);
            }
            self.from = Position::After(message.id.clone());
            self.events.push_back(Event::Message(message));
        }
        Ok(())
    }

    /// The last message that was read from the server: where to resume, once all events before it are handled.
    pub fn position(&self) -> &Position {
        &self.from
    }
}

/// The entries in the reply of XREAD for one stream.
fn entries_of(reply: Value) -> Result<Vec<Value>, StoreError> {
    let entries = match reply {
        Value::Nil => None,
        Value::Map(streams) => streams.into_iter().next().map(|(_, entries)| entries),
        reply => {
            let stream = Vec::<Vec<Value>>::from_redis_value(reply)?.into_iter().next();
            stream.and_then(|stream| stream.into_iter().nth(1))
        }
    };
    Ok(entries.map(Vec::from_redis_value).transpose()?.unwrap_or_default())
}

/// The message of an entry, and the ID of the one before.
fn message(entry: Value) -> Result<(Message, String), StoreError> {
    let (id, fields) = <(String, Vec<Vec<u8>>)>::from_redis_value(entry)?;
    let field = |name: &[u8]| fields.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
    let previous = String::from_utf8_lossy(&field(b"previous").unwrap_or_default()).into_owned();
    Ok((Message { id, payload: field(b"payload").unwrap_or_default() }, previous))
}

/// When to try again after an error. A caller that drops the future and calls again does not wait anew.
#[derive(Debug, Default)]
struct Retry {
    failures: u32,
    at: Option<Instant>,
}

impl Retry {
    async fn wait(&self) {
        if let Some(at) = self.at {
            sleep_until(at).await;
        }
    }

    fn failed(&mut self) {
        self.failures += 1;
        let pause = (RECONNECT_PAUSES[0] * (1 << self.failures.min(10))).min(RECONNECT_PAUSES[1]);
        self.at = Some(Instant::now() + pause);
    }
}

/// A subscriber of announcements: see [`Broadcast::listen`].
#[derive(Debug)]
pub struct Listener<F, S> {
    channel: String,
    connect: F,
    /// Kept, because dropping it ends the subscription.
    subscription: Option<S>,
    heard: Arc<Mutex<Heard>>,
    retry: Retry,
}

impl<F, X, S> Listener<F, S>
where
    F: FnMut(String, Inbox) -> X,
    X: Future<Output = RedisResult<S>>,
{
    /// Waits for the next announcement or gap. After an error, call it again: it waits a little longer each time, up to 5 seconds,
    /// and then reconnects. If its future is dropped, nothing is lost.
    pub async fn next(&mut self) -> Result<Event, StoreError> {
        loop {
            if let Some(event) = lock(&self.heard).events.pop_front() {
                return Ok(event);
            }
            self.connect().await?;
            poll_fn(|context| lock(&self.heard).poll(context.waker())).await;
        }
    }

    /// Subscribes now, unless it is subscribed, so that nothing that is announced afterward is missed.
    pub async fn connect(&mut self) -> Result<(), StoreError> {
        if self.subscription.is_some() && !lock(&self.heard).lost {
            return Ok(());
        }
        self.subscription = None;
        self.retry.wait().await;
        let inbox = {
            let mut heard = lock(&self.heard);
            heard.connection += 1;
            // From now on, because the new connection may be lost before it is returned.
            heard.lost = false;
            Inbox { heard: Arc::clone(&self.heard), connection: heard.connection }
        };
        match (self.connect)(self.channel.clone(), inbox).await {
            Ok(subscription) => {
                (self.subscription, self.retry) = (Some(subscription), Retry::default());
                Ok(())
            }
            Err(error) => {
                self.retry.failed();
                Err(error.into())
            }
        }
    }
}

/// The messages of a listener, shared with its connection.
#[derive(Debug)]
struct Heard {
    events: VecDeque<Event>,
    /// The number of the connection that counts.
    connection: u64,
    /// That connection was lost.
    lost: bool,
    waker: Option<Waker>,
}

impl Heard {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        if self.lost || !self.events.is_empty() {
            return Poll::Ready(());
        }
        self.waker = Some(waker.clone());
        Poll::Pending
    }

    /// One gap stands for all that is missing in one place.
    fn gap(&mut self) {
        if self.events.back() != Some(&Event::Gap) {
            self.events.push_back(Event::Gap);
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a listener's connection puts its messages: pass it to `AsyncConnectionConfig::set_push_sender` (RESP3). A connection that
/// gets messages in another way calls [`Inbox::message`] and [`Inbox::lost`].
#[derive(Clone, Debug)]
pub struct Inbox {
    heard: Arc<Mutex<Heard>>,
    connection: u64,
}

impl Inbox {
    /// A message arrived. If the listener has not asked for the last [`MAX_WAITING`], they are dropped, and a gap stands for them.
    pub fn message(&self, payload: Vec<u8>) {
        self.update(|heard| {
            if heard.events.len() >= MAX_WAITING {
                heard.events.clear();
                heard.gap();
            }
            heard.events.push_back(Event::Message(Message { id: String::new(), payload }));
        });
    }

    /// The connection, or its subscription, was lost.
    pub fn lost(&self) {
        self.update(|heard| {
            heard.lost = true;
            heard.gap();
        });
    }

    fn update(&self, what: impl FnOnce(&mut Heard)) {
        let mut heard = lock(&self.heard);
        if heard.connection == self.connection {
            what(&mut heard);
            if let Some(waker) = heard.waker.take() {
                waker.wake();
            }
        }
    }
}

impl AsyncPushSender for Inbox {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        match (info.kind, info.data.as_slice()) {
            (PushKind::Message | PushKind::SMessage, [_, payload]) => {
                self.message(Vec::from_redis_value_ref(payload).unwrap_or_default());
            }
            // A shard channel ends when its slot moves.
            (PushKind::Disconnection | PushKind::SUnsubscribe, _) => self.lost(),
            _ => {}
        }
        Ok(())
    }
}
