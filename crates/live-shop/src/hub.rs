//! The changes of the shop: one stream in Redis, one reader in this process, and any number of event streams behind it.
//!
//! Handlers publish with [`Hub::publish`]. One task follows the stream and gives each change to all open event streams. The last ones are
//! kept for a browser that comes back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use patterns::broadcast::{Broadcast, Event as Entry, Follower, Message, Position};
use patterns::key::Key;
use patterns::script::{StoreError, send};
use redis::RedisResult;
use redis::aio::ConnectionLike;
use tokio::sync::broadcast;

use crate::changes::{Change, Kind};
use crate::random::random;
use crate::wire::Redis;

/// How many changes are kept for browsers that come back.
pub const KEPT: usize = 1_000;
/// How many changes an open stream may be behind.
const BEHIND: usize = 256;

/// A change, as the streams get it.
#[derive(Debug)]
pub(crate) struct Live {
    /// `EPOCH.ID`; none for `resync`, which nobody resumes after.
    pub(crate) id: Option<String>,
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
