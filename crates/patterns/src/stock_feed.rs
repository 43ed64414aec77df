//! Stock feed: the live stock of a product on every screen that shows it.
//!
//! Pub/sub alone loses messages: a screen that was offline misses what was published, and goes on showing stock that is gone. A
//! screen that reads the level and then subscribes misses what happens in between. Here the script that changes the level also
//! numbers the change and publishes it, with the number of the change before. A screen
//!
//! 1. subscribes, and gives each message to a [`StockView`] ([`StockView::hear`]);
//! 2. then reads the current level ([`StockFeed::snapshot`], [`StockView::read`]);
//! 3. reads again whenever [`StockView::wants_snapshot`]: after a message that does not follow what it shows, and after a lost
//!    connection ([`StockView::refresh`]).
//!
//! [`StockFeed::watch`] does all of that. A view does no input or output, so it fits any runtime.
//!
//! | key or channel | type | holds |
//! |---|---|---|
//! | `stock:PROD123` | Hash | the level, and the number of the last change |
//! | `stock_updates:PROD123` | channel | each change as JSON |
//!
//! - **Promise**: a screen never goes back to an older level, notices each gap, and ends with the current level. A slow screen
//!   may skip levels.
//! - **Cost**: one round trip for each change and each snapshot. On a cluster, PUBLISH reaches the subscribers of every node.
//! - **Memory**: about 100 bytes for each product, until its key is removed.
//! - **Faults**: setting a level twice, after a lost answer, is two changes to the same level. A server that comes back without
//!   its last changes, a reset, and a lost key are noticed: the next change does not follow what screens show, so they read the
//!   current level and show it. Until then, a screen that kept its connection may show a lost level, for at most the time of
//!   [`StockFeed::with_refresh`]. Set the level again after a failover if it must be right at once. A clock that jumps does no
//!   harm.
//!
//! ```
//! use patterns::stock_feed::StockFeed;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
//! let feed = StockFeed::new(client.get_multiplexed_async_connection().await?, "");
//! feed.set("PROD123", 9).await?;
//!
//! let mut screen = feed.watch("PROD123", |channel, inbox| {
//!     let client = client.clone();
//!     async move {
//!         let config = redis::AsyncConnectionConfig::new().set_push_sender(inbox);
//!         let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
//!         connection.subscribe(channel).await?;
//!         Ok(connection)
//!     }
//! })?;
//! assert_eq!(screen.next().await?.level, 9);
//! feed.set("PROD123", 8).await?;
//! assert_eq!(screen.next().await?.level, 8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike, SendError};
use redis::{FromRedisValue, PushInfo, PushKind, RedisResult};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use crate::key::Key;
use crate::script::{Reply, Script, StoreError, by_operation};

/// How many changes a view keeps while it waits for a snapshot. With more, it drops the oldest and reads another snapshot.
const MAX_PENDING: usize = 1_000;
/// How long a watch waits before it reconnects: the first pause and the longest one.
const RECONNECT_PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

const FILE: &str = include_str!("stock_feed.lua");

/// Sets the level, numbers the change, and publishes it.
pub static SET: Script = Script::new("stock_feed.lua: set", FILE, &["set"]);
/// Reads level and version.
pub static SNAPSHOT: Script = Script::new("stock_feed.lua: snapshot", FILE, &["snapshot"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&SET, &SNAPSHOT])
}

/// The level of a product, and the number of the change that set it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stock {
    /// Units.
    pub level: u32,
    /// The number of the change: the microsecond of the server's clock, or one more than the number before it, if that is larger.
    /// 0 if the level was never set.
    pub version: u64,
}

/// One change, as it was published.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct StockUpdate {
    /// The product.
    pub sku: String,
    /// Its units after the change.
    pub level: u32,
    /// The number of the change.
    pub version: u64,
    /// The number of the change before it; 0 if there was none.
    pub previous: u64,
}

impl StockUpdate {
    /// Reads a message. Any client that may publish on the channel can send one.
    pub fn parse(message: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(message)
    }

    /// The state it leads to.
    #[must_use]
    pub fn stock(&self) -> Stock {
        Stock { level: self.level, version: self.version }
    }
}

/// The stock of all products under a prefix.
#[derive(Clone, Debug)]
pub struct StockFeed<C> {
    connection: C,
    prefix: String,
    refresh: Duration,
}

impl<C: ConnectionLike + Clone> StockFeed<C> {
    /// The feed under this prefix. Use a connection to the primary.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), refresh: Duration::from_secs(30) }
    }

    /// How often a watch reads a snapshot when it gets no message: 30 seconds by default.
    #[must_use]
    pub fn with_refresh(self, refresh: Duration) -> Self {
        Self { refresh: refresh.max(Duration::from_millis(1)), ..self }
    }

    /// Sets the level of a product and publishes it in one step, so the numbers on the channel are in order.
    pub async fn set(&self, sku: &str, level: u32) -> Result<Stock, StoreError> {
        let json = serde_json::Value::from(sku).to_string();
        let call = SET.call(&[self.key(sku)?.as_str()]).arg(level).arg(self.channel(sku)?).arg(json);
        let mut reply: Reply = call.run(&self.connection).await?;
        reply.must_be("SET")?;
        Ok(Stock { level, version: reply.next()? })
    }

    /// The current level; [`Stock::default`] if it was never set.
    pub async fn snapshot(&self, sku: &str) -> Result<Stock, StoreError> {
        let mut reply: Reply = SNAPSHOT.call(&[self.key(sku)?.as_str()]).run(&self.connection).await?;
        match reply.outcome.as_str() {
            "STOCK" => Ok(Stock { level: reply.next()?, version: reply.next()? }),
            "NONE" => Ok(Stock::default()),
            _ => Err(reply.unexpected()),
        }
    }

    /// Watches a product. `connect` opens a separate connection that passes its messages to the [`Inbox`], subscribes it to the
    /// channel, and returns it. It is called again when that connection is lost.
    pub fn watch<F, R, S>(&self, sku: &str, connect: F) -> Result<StockWatch<C, F, S>, StoreError>
    where
        F: FnMut(String, Inbox) -> R,
        R: Future<Output = RedisResult<S>>,
    {
        let received = Received { view: StockView::new(sku), connection: 0, lost: true, waker: None };
        Ok(StockWatch {
            feed: self.clone(),
            sku: sku.to_owned(),
            channel: self.channel(sku)?,
            connect,
            subscription: None,
            received: Arc::new(Mutex::new(received)),
            shown: None,
            failures: 0,
        })
    }

    /// The key of one product.
    pub fn key(&self, sku: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "stock", &[sku])?)
    }

    /// The channel of one product.
    pub fn channel(&self, sku: &str) -> Result<String, StoreError> {
        Ok(Key::new(&self.prefix, "stock_updates", &[sku])?.as_str().to_owned())
    }
}

/// A screen that shows one product: see [`StockFeed::watch`].
#[derive(Debug)]
pub struct StockWatch<C, F, S> {
    feed: StockFeed<C>,
    sku: String,
    channel: String,
    connect: F,
    /// Kept, because dropping it ends the subscription.
    subscription: Option<S>,
    received: Arc<Mutex<Received>>,
    shown: Option<Stock>,
    failures: u32,
}

impl<C, F, R, S> StockWatch<C, F, S>
where
    C: ConnectionLike + Clone,
    F: FnMut(String, Inbox) -> R,
    R: Future<Output = RedisResult<S>>,
{
    /// Waits for the next state to show: first the current one, then each one that differs from the last. After an error, show
    /// that the level may be old, and call it again: it waits a little longer each time, up to 5 seconds, and then reconnects.
    /// If its future is dropped, nothing is lost.
    pub async fn next(&mut self) -> Result<Stock, StoreError> {
        if self.failures > 0 {
            sleep((RECONNECT_PAUSES[0] * (1 << self.failures.min(10))).min(RECONNECT_PAUSES[1])).await;
        }
        let next = self.follow().await;
        self.failures = if next.is_ok() { 0 } else { self.failures + 1 };
        next
    }

    /// Drops the connection; the next [`StockWatch::next`] opens another. For a caller who knows that it is dead.
    pub fn reconnect(&mut self) {
        self.subscription = None;
        lock(&self.received).lost = true;
    }

    async fn follow(&mut self) -> Result<Stock, StoreError> {
        loop {
            if lock(&self.received).lost {
                let inbox = self.new_inbox();
                self.subscription = Some((self.connect)(self.channel.clone(), inbox).await?);
                lock(&self.received).connected();
            }
            if lock(&self.received).view.wants_snapshot() {
                let snapshot = self.feed.snapshot(&self.sku).await?;
                lock(&self.received).view.read(snapshot);
            }
            let shown = lock(&self.received).view.stock();
            if let Some(stock) = shown
                && self.shown != shown
            {
                self.shown = shown;
                return Ok(stock);
            }
            let news = poll_fn(|context| lock(&self.received).poll(shown, context.waker()));
            if timeout(self.feed.refresh, news).await.is_err() {
                lock(&self.received).view.refresh();
            }
        }
    }

    /// For a new connection. Messages of an earlier one are ignored.
    fn new_inbox(&mut self) -> Inbox {
        self.subscription = None;
        let mut received = lock(&self.received);
        received.connection += 1;
        Inbox { received: Arc::clone(&self.received), connection: received.connection }
    }
}

/// The messages of a watch, shared with its connection.
#[derive(Debug)]
struct Received {
    view: StockView,
    /// The number of the connection that counts.
    connection: u64,
    /// That connection was lost, or not yet made.
    lost: bool,
    waker: Option<Waker>,
}

impl Received {
    fn connected(&mut self) {
        self.lost = false;
        self.view.refresh();
    }

    fn poll(&mut self, shown: Option<Stock>, waker: &Waker) -> Poll<()> {
        if self.lost || self.view.wants_snapshot() || self.view.stock() != shown {
            return Poll::Ready(());
        }
        self.waker = Some(waker.clone());
        Poll::Pending
    }
}

fn lock(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a watch's connection puts its messages: pass it to `AsyncConnectionConfig::set_push_sender` (RESP3). A connection that
/// gets messages in another way calls [`Inbox::message`] and [`Inbox::lost`].
#[derive(Clone, Debug)]
pub struct Inbox {
    received: Arc<Mutex<Received>>,
    connection: u64,
}

impl Inbox {
    /// A message arrived on the channel. If it cannot be read, the watch reads a snapshot, because it may be a change.
    pub fn message(&self, payload: &[u8]) {
        self.update(|received| match StockUpdate::parse(payload) {
            Ok(update) => drop(received.view.hear(&update)),
            Err(_) => received.view.refresh(),
        });
    }

    /// The connection was lost.
    pub fn lost(&self) {
        self.update(|received| received.lost = true);
    }

    fn update(&self, what: impl FnOnce(&mut Received)) {
        let mut received = lock(&self.received);
        if received.connection == self.connection {
            what(&mut received);
            if let Some(waker) = received.waker.take() {
                waker.wake();
            }
        }
    }
}

impl AsyncPushSender for Inbox {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        match (info.kind, info.data.as_slice()) {
            (PushKind::Message, [_, payload]) => {
                self.message(&Vec::from_redis_value_ref(payload).unwrap_or_default());
            }
            (PushKind::Disconnection, _) => self.lost(),
            _ => {}
        }
        Ok(())
    }
}

/// What one screen knows of a product's stock.
#[derive(Clone, Debug)]
pub struct StockView {
    sku: String,
    shown: Option<Stock>,
    /// Changes received since a snapshot was wanted, in order.
    ahead: Vec<StockUpdate>,
    wants_snapshot: bool,
    gaps: u64,
}

/// What a view made of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageEffect {
    /// It is the next change: this is the level now.
    Shown(u32),
    /// The view shows it already, or it is of another product.
    Old,
    /// It is kept until a snapshot is read.
    Kept,
}

impl StockView {
    /// An empty view of this product.
    #[must_use]
    pub fn new(sku: &str) -> Self {
        Self { sku: sku.to_owned(), shown: None, ahead: Vec::new(), wants_snapshot: true, gaps: 0 }
    }

    /// The level to show; `None` before the first snapshot.
    #[must_use]
    pub fn level(&self) -> Option<u32> {
        self.shown.map(|stock| stock.level)
    }

    /// The state to show; `None` before the first snapshot.
    #[must_use]
    pub fn stock(&self) -> Option<Stock> {
        self.shown
    }

    /// Whether to read a snapshot: from the primary, after subscribing, and one at a time.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.wants_snapshot
    }

    /// How many messages did not follow what was shown.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Changes may have been missed: the connection was lost, or no message came for a while. What is shown stays until a
    /// snapshot is read.
    pub fn refresh(&mut self) {
        self.wants_snapshot = true;
        self.ahead.clear();
    }

    /// A message came.
    pub fn hear(&mut self, update: &StockUpdate) -> MessageEffect {
        if update.sku != self.sku || self.shown == Some(update.stock()) {
            return MessageEffect::Old;
        }
        if !self.wants_snapshot {
            if self.shown.is_some_and(|shown| follows(update, shown)) {
                self.shown = Some(update.stock());
                return MessageEffect::Shown(update.level);
            }
            // A change was missed, or came late. Or the server has lost what is shown, and this is the current level.
            self.gaps += 1;
            self.wants_snapshot = true;
        }
        if self.ahead.len() == MAX_PENDING {
            self.ahead.remove(0);
        }
        self.ahead.push(update.clone());
        MessageEffect::Kept
    }

    /// A snapshot was read. If the view wanted one, it is the current level, even if it is older than what is shown: then the
    /// server has lost that. Kept changes that follow it are shown. If others are newer, the view wants one more snapshot.
    pub fn read(&mut self, snapshot: Stock) {
        let is_older = self.shown.is_some_and(|shown| snapshot.version < shown.version);
        if is_older && !self.wants_snapshot {
            return;
        }
        let mut shown = snapshot;
        let mut ahead = std::mem::take(&mut self.ahead);
        while let Some(position) = ahead.iter().position(|update| follows(update, shown)) {
            shown = ahead.swap_remove(position).stock();
        }
        self.shown = Some(shown);
        self.wants_snapshot = ahead.iter().any(|update| update.version > shown.version);
    }
}

/// Whether nothing can be between the two.
fn follows(update: &StockUpdate, shown: Stock) -> bool {
    update.previous == shown.version && update.version > shown.version
}
