//! Live changes: one stream in Redis, one reader in this process, and any number of browsers behind it.
//!
//! Handlers publish with [`Hub::publish`]. One task follows the stream ([`Hub::follow`]) and gives each change to all open event
//! streams. A browser that comes back names the last event it saw (`Last-Event-ID`), and gets what it missed, each event once. If
//! that is no longer known, it gets one `resync` event, and reads the page again.
//!
//! An event's ID is the epoch of the stream and the ID of its entry. A shop that was reset has another epoch, so an ID from before
//! is never taken for one of now.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use patterns::broadcast::{Broadcast, Event as Entry, Message, Position};
use patterns::key::Key;
use patterns::script::{StoreError, send};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::session::{Visitor, random};
use crate::state::App;
use crate::wire::Redis;

/// How many changes are kept for browsers that come back.
pub const KEPT: usize = 1_000;
/// How many changes an open stream may be behind.
const BEHIND: usize = 256;
/// How long a browser waits before it comes back, plus up to a second, so that not all come at once.
const RETRY_MS: u64 = 1_000;
/// How long one read of the follower blocks.
const BLOCK: Duration = Duration::from_secs(10);

/// What changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A customer's cart.
    Cart,
    /// The units of a product.
    Stock,
    /// An order was placed.
    Order,
    /// The flash sale.
    Sale,
    /// A customer has a notification.
    Note,
    /// A session has ended. Its streams end too.
    Bye,
    /// Events are missing. Read the page again.
    Resync,
}

impl Kind {
    /// Its name in the stream.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cart => "cart",
            Self::Stock => "stock",
            Self::Order => "order",
            Self::Sale => "sale",
            Self::Note => "note",
            Self::Bye => "bye",
            Self::Resync => "resync",
        }
    }
}

/// A change, as it is in the stream in Redis.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Change {
    /// What changed.
    pub kind: Kind,
    /// Whom it concerns; nobody else gets it. `None` for all.
    pub to: Option<String>,
    /// The product.
    pub sku: Option<String>,
    /// How many units are left.
    pub left: Option<u64>,
}

impl Change {
    /// For everybody.
    pub fn all(kind: Kind) -> Self {
        Self { kind, to: None, sku: None, left: None }
    }

    /// For one customer.
    pub fn to(kind: Kind, customer: &str) -> Self {
        Self { to: Some(customer.to_owned()), ..Self::all(kind) }
    }

    /// The stock of a product.
    pub fn stock(sku: &str, left: u64) -> Self {
        Self { sku: Some(sku.to_owned()), left: Some(left), ..Self::all(Kind::Stock) }
    }
}

/// A change, as the streams get it.
#[derive(Debug)]
struct Live {
    /// `EPOCH.ID`; none for `resync`, which nobody resumes after.
    id: Option<String>,
    change: Change,
}

/// The changes of the shop.
pub struct Hub {
    broadcast: Broadcast<Redis>,
    redis: Redis,
    prefix: String,
    kept: Mutex<Kept>,
    sender: broadcast::Sender<Arc<Live>>,
    open: AtomicUsize,
}

/// The last changes, and the ID before the first of them.
#[derive(Default)]
struct Kept {
    epoch: String,
    /// `None` if it is not known. Then nobody can resume there.
    before: Option<String>,
    last: String,
    live: VecDeque<Arc<Live>>,
}

impl Hub {
    /// The changes under a prefix.
    pub fn new(redis: Redis, prefix: &str) -> Self {
        let broadcast = Broadcast::new(redis.clone(), prefix, "changes").with_max_entries(KEPT);
        let (prefix, sender) = (prefix.to_owned(), broadcast::Sender::new(BEHIND));
        Self { broadcast, redis, prefix, kept: Mutex::default(), sender, open: AtomicUsize::new(0) }
    }

    /// Publishes a change. One round trip.
    pub async fn publish(&self, change: &Change) -> Result<(), StoreError> {
        let json = serde_json::json!(change).to_string();
        self.broadcast.publish(json.as_bytes()).await.map(drop)
    }

    /// How many event streams are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Reads what is in Redis, so that browsers can resume where they were before this process began.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let epoch = self.read_epoch().await?;
        *self.kept() =
            Kept { epoch, before: Some("0-0".to_owned()), last: "0-0".to_owned(), live: VecDeque::new() };
        let mut from = Position::Start;
        loop {
            let (gap, messages, last) = self.broadcast.read(&from).await?;
            if gap {
                self.kept().forget(&last);
            }
            if messages.is_empty() {
                self.kept().last = last;
                return Ok(());
            }
            for message in &messages {
                self.add(message);
            }
            from = Position::After(last);
        }
    }

    /// Follows the stream until the shop closes.
    pub async fn follow(&self, app: &App) {
        let connect = || {
            let target = app.link.target();
            async move { target.blocking(BLOCK).await }
        };
        let from = Position::After(self.kept().last.clone());
        let mut follower = self.broadcast.follow(from, connect);
        loop {
            let next = tokio::select! {
                next = follower.next() => next,
                () = app.closed() => return,
            };
            match next {
                Ok(Entry::Message(message)) => self.add(&message),
                Ok(Entry::Gap) => self.gap().await,
                // The follower waits before it tries again.
                Err(_) => app.counters.follower_error(),
            }
        }
    }

    /// Keeps a change, and gives it to the open streams: in one step, so that a stream which begins now gets it once.
    fn add(&self, message: &Message) {
        let mut kept = self.kept();
        kept.last.clone_from(&message.id);
        let Ok(change) = serde_json::from_slice(&message.payload) else { return };
        let live = Arc::new(Live { id: Some(format!("{}.{}", kept.epoch, message.id)), change });
        kept.live.push_back(Arc::clone(&live));
        if kept.live.len() > KEPT
            && let Some(first) = kept.live.pop_front()
        {
            kept.before = first.id.as_deref().and_then(|id| id.split_once('.')).map(|(_, id)| id.to_owned());
        }
        // An error means that nobody listens.
        let _ = self.sender.send(live);
    }

    /// Changes are missing: nobody can resume before this point.
    async fn gap(&self) {
        let epoch = self.read_epoch().await.ok();
        let mut kept = self.kept();
        if let Some(epoch) = epoch {
            kept.epoch = epoch;
        }
        let last = kept.last.clone();
        kept.forget(&last);
        let _ = self.sender.send(Arc::new(Live { id: None, change: Change::all(Kind::Resync) }));
    }

    /// What to send first to a browser that saw `last`; whether that is all it missed; and then the changes to come.
    fn join(&self, last: Option<&str>) -> (Vec<Arc<Live>>, bool, String, broadcast::Receiver<Arc<Live>>) {
        let kept = self.kept();
        let (missed, complete) = match last {
            None => (Vec::new(), true),
            Some(last) => match kept.after(last) {
                Some(missed) => (missed, true),
                None => (Vec::new(), false),
            },
        };
        (missed, complete, format!("{}.{}", kept.epoch, kept.last), self.sender.subscribe())
    }

    /// The epoch in Redis; a new one if there is none.
    async fn read_epoch(&self) -> Result<String, StoreError> {
        let key = Key::new(&self.prefix, "epoch", &[])?;
        let new = random().map_err(|error| StoreError::Malformed(error.to_string()))?;
        let mut set = redis::cmd("SET");
        set.arg(key.as_str()).arg(new).arg("NX");
        send::<redis::Value>(&self.redis, &set).await?;
        send(&self.redis, redis::cmd("GET").arg(key.as_str())).await
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, last: &str) {
        self.live.clear();
        self.before = None;
        last.clone_into(&mut self.last);
    }

    /// The changes after an event's ID; `None` if it is not known.
    fn after(&self, id: &str) -> Option<Vec<Arc<Live>>> {
        let (epoch, entry) = id.split_once('.')?;
        if epoch != self.epoch {
            return None;
        }
        if self.before.as_deref() == Some(entry) {
            return Some(self.live.iter().cloned().collect());
        }
        if self.last == entry {
            return Some(Vec::new());
        }
        let position = self.live.iter().position(|live| live.id.as_deref() == Some(id))?;
        Some(self.live.iter().skip(position + 1).cloned().collect())
    }
}

/// `GET /events`: the changes that concern this visitor. A browser names the last event in a header, and a script in `last`.
pub async fn events(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<Resume>,
    headers: HeaderMap,
) -> Response {
    if app.events.open() >= app.settings.connections {
        return come_back();
    }
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let last = header.or(query.last.as_deref());
    Sse::new(Feed::begin(app, visitor, last).into_stream()).into_response()
}

/// Where to resume.
#[derive(Deserialize)]
pub struct Resume {
    last: Option<String>,
}

/// An answer to an event request that is refused. Browsers give up on any status but 200, so this is one: it only says when to come
/// back.
pub fn come_back() -> Response {
    let retry: Result<_, Infallible> = Ok(Event::default().retry(pause()));
    Sse::new(stream::iter([retry])).into_response()
}

/// An open event stream.
struct Feed {
    app: App,
    visitor: Visitor,
    first: VecDeque<Event>,
    changes: broadcast::Receiver<Arc<Live>>,
    /// Ticks whether or not there are changes, so that a busy stream ends with its session too.
    keep_alive: Interval,
    over: bool,
}

impl Feed {
    fn begin(app: App, visitor: Visitor, last: Option<&str>) -> Self {
        let (missed, complete, at, changes) = app.events.join(last);
        app.events.open.fetch_add(1, Ordering::Relaxed);
        // It has an ID, so a browser that saw nothing else resumes here.
        let hello = |event: Event| event.retry(pause());
        let mut first = VecDeque::new();
        if complete {
            first.extend(missed.iter().filter(|live| concerns(live, &visitor)).map(|live| event(live)));
            first.push_back(hello(Event::default().event("hello").id(&at).data("{}")));
        } else {
            first.push_back(hello(Event::default().event(Kind::Resync.name()).id(&at).data("{}")));
        }
        let every = app.settings.keep_alive;
        let mut keep_alive = interval_at(Instant::now() + every, every);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { app, visitor, first, changes, keep_alive, over: false }
    }

    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut feed| async { feed.next().await.map(|event| (Ok(event), feed)) })
    }

    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        while !self.over {
            tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(live) if concerns(&live, &self.visitor) => {
                        self.over = live.change.kind == Kind::Bye;
                        return Some(event(&live));
                    }
                    Ok(_) => {}
                    // This browser was too slow.
                    Err(RecvError::Lagged(_)) => return Some(Event::default().event(Kind::Resync.name()).data("{}")),
                    Err(RecvError::Closed) => return None,
                },
                () = self.app.closed() => {
                    self.over = true;
                    return Some(Event::default().retry(pause()).comment("closing"));
                }
                _ = self.keep_alive.tick() => {
                    // While Redis does not answer, the stream stays.
                    self.over = matches!(self.visitor.lives(&self.app).await, Ok(false));
                    let alive = Event::default().comment("still here");
                    let bye = || Event::default().event(Kind::Bye.name()).data("{}");
                    return Some(if self.over { bye() } else { alive });
                }
            }
        }
        None
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.app.events.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn concerns(live: &Live, visitor: &Visitor) -> bool {
    match (&live.change.to, live.change.kind) {
        (None, _) => true,
        (Some(to), Kind::Bye) => *to == visitor.public_id,
        (Some(to), _) => *to == visitor.id(),
    }
}

/// JSON has no line ends, and IDs and names are ours. So nothing that a customer types can begin a field of its own.
fn event(live: &Live) -> Event {
    let Change { sku, left, .. } = &live.change;
    let data = serde_json::json!({ "sku": sku, "left": left }).to_string();
    let event = Event::default().event(live.change.kind.name()).data(data);
    match &live.id {
        Some(id) => event.id(id),
        None => event,
    }
}

fn pause() -> Duration {
    let mut byte = [0; 2];
    // Without randomness, all come back at once.
    let _ = getrandom::fill(&mut byte);
    Duration::from_millis(RETRY_MS + u64::from(u16::from_le_bytes(byte)) % 1_000)
}
