//! The changes of the shop: one stream in Redis, one reader in this process, and any number of event streams behind it.
//!
//! Handlers publish with [`Hub::publish`]. One task follows the stream and gives each change to all open event streams. The last ones are
//! kept for a browser that comes back.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use patterns::broadcast::{Broadcast, Event as Entry, Follower, Message, Position};
use patterns::key::Key;
use patterns::script::{StoreError, send};
use redis::RedisResult;
use redis::aio::ConnectionLike;
use tokio::sync::broadcast;

use crate::changes::{Change, Kind};
use crate::lock;
use crate::random::random;
use crate::wire::Redis;

/// How many changes are kept for browsers that come back.
pub const KEPT: usize = 1_000;
/// How many changes an open stream may be behind.
const BEHIND: usize = 256;

/// A change, as the streams get it.
#[derive(Debug)]
pub(crate) struct Live {
    /// `EPOCH.ID`.
    pub(crate) id: String,
    pub(crate) change: Change,
}

/// The changes of the shop.
pub struct Hub {
    broadcast: Broadcast<Redis>,
    redis: Redis,
    prefix: String,
    kept: Mutex<Kept>,
    sender: broadcast::Sender<Arc<Live>>,
    pub(crate) open: AtomicUsize,
}

/// The last changes, and the ID before the first of them.
#[derive(Default)]
struct Kept {
    /// As in Redis. After a gap, this process adds a part of its own, so that no ID from before the gap is known.
    epoch: String,
    /// `None` if it is not known. Then nobody can resume there.
    before: Option<String>,
    last: String,
    live: VecDeque<Arc<Live>>,
    /// Those from before a gap: after it, the follower may begin with them again.
    told: HashSet<String>,
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
        let (before, last) = (Some("0-0".to_owned()), "0-0".to_owned());
        *self.kept() = Kept { epoch, before, last, ..Kept::default() };
        let mut from = Position::Start;
        loop {
            let (gap, messages, last) = self.broadcast.read(&from).await?;
            if gap {
                // The oldest ones were trimmed.
                self.kept().before = None;
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

    /// The stream from here on, over connections of its own.
    pub fn follower<F, X, R>(&self, connect: F) -> Follower<Redis, F, R>
    where
        F: FnMut() -> X,
        X: Future<Output = RedisResult<R>>,
        R: ConnectionLike + Clone,
    {
        self.broadcast.follow(Position::After(self.kept().last.clone()), connect)
    }

    /// Gives what came to all open event streams.
    pub async fn take(&self, entry: Entry) {
        match entry {
            Entry::Message(message) => self.add(&message),
            Entry::Gap => self.gap().await,
        }
    }

    /// Keeps a change, and gives it to the open streams: in one step, so that a stream which begins now gets it once.
    fn add(&self, message: &Message) {
        let mut kept = self.kept();
        if kept.told.remove(&message.id) {
            return;
        }
        kept.last.clone_from(&message.id);
        let Ok(change) = serde_json::from_slice(&message.payload) else { return };
        let live = Arc::new(Live { id: format!("{}.{}", kept.epoch, message.id), change });
        kept.live.push_back(Arc::clone(&live));
        if kept.live.len() > KEPT
            && let Some(first) = kept.live.pop_front()
        {
            kept.before = first.entry().map(str::to_owned);
        }
        // An error means that nobody listens.
        let _ = self.sender.send(live);
    }

    /// Changes are missing: nobody can resume before this point.
    async fn gap(&self) {
        let epoch = self.read_epoch().await.ok();
        // Without randomness, the epoch stays. Then only the last change before the gap is a point to resume at.
        let part = random().map(|part| format!("-{part}")).unwrap_or_default();
        let mut kept = self.kept();
        let epoch = epoch.as_deref().or(kept.epoch.split('-').next()).unwrap_or_default();
        kept.epoch = format!("{epoch}{part}");
        kept.told = kept.live.iter().filter_map(|live| live.entry()).map(str::to_owned).collect();
        kept.live.clear();
        kept.before = Some(kept.last.clone());
        let id = format!("{}.{}", kept.epoch, kept.last);
        let _ = self.sender.send(Arc::new(Live { id, change: Change::all(Kind::Resync) }));
    }

    /// What to send first to a browser that saw `last`; whether that is all it missed; and then the changes to come.
    pub(crate) fn join(
        &self,
        last: Option<&str>,
    ) -> (Vec<Arc<Live>>, bool, String, broadcast::Receiver<Arc<Live>>) {
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

    /// The epoch in Redis; a new one if there is none, or a text that we did not write: it becomes a part of the events' IDs.
    async fn read_epoch(&self) -> Result<String, StoreError> {
        let key = Key::new(&self.prefix, "epoch", &[])?;
        let new = random().map_err(|error| StoreError::Malformed(error.to_string()))?;
        let mut set = redis::cmd("SET");
        set.arg(key.as_str()).arg(&new);
        send::<redis::Value>(&self.redis, set.clone().arg("NX")).await?;
        let epoch: Vec<u8> = send(&self.redis, redis::cmd("GET").arg(key.as_str())).await?;
        match String::from_utf8(epoch) {
            Ok(epoch) if is_epoch(&epoch) => Ok(epoch),
            _ => send::<()>(&self.redis, &set).await.map(|()| new),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Live {
    /// The ID without the epoch.
    fn entry(&self) -> Option<&str> {
        self.id.split_once('.').map(|(_, entry)| entry)
    }
}

/// As [`random`] makes it.
fn is_epoch(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Kept {
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
        let position = self.live.iter().position(|live| live.id == id)?;
        Some(self.live.iter().skip(position + 1).cloned().collect())
    }
}
