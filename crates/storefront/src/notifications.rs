//! Telling a customer something, at least once.
//!
//! Publishing (PUBLISH) reaches who listens at that moment, and nobody else: a phone in a tunnel never hears of it. And a
//! queue from which a device pops loses what was popped when the device dies before it has shown it. Here a notification
//! waits in a List; [`Notifications::take`] puts it aside for a while, and only [`Notifications::acknowledge`] removes it.
//! What is not acknowledged in time, by the server's clock, is delivered to whoever takes next.
//!
//! So nothing is lost, and something may come twice: to a device that was only slow. Who handles it recognises it by its
//! [`EventId`]. The sender names it too, so that sending again after a lost answer is no second notification.
//!
//! A customer who never comes back costs a bounded amount: the queue has a cap, beyond which the oldest is dropped and
//! counted, and all his keys expire. At every moment `sent = unread + read + dropped`.
//!
//! ```
//! use std::time::Duration;
//! use storefront::notifications::{Notifications, Sent};
//! use storefront::{CustomerId, Keys, Layout};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let notifications = Notifications::new(connection, Keys::new("", Layout::Standalone));
//! let ann: CustomerId = "user123".parse()?;
//! let event = "order-1-shipped".parse()?;
//! let sent = notifications.send(&ann, &event, "Your order is on its way").await?;
//! assert_eq!(sent, Sent::New { unread: 1, dropped: 0 });
//! // The answer was lost, so the sender sends again.
//! assert_eq!(notifications.send(&ann, &event, "Your order is on its way").await?, Sent::Again { unread: 1 });
//!
//! let taken = notifications.take(&ann, 10, Duration::from_secs(30)).await?;
//! assert_eq!(taken[0].text, "Your order is on its way");
//! assert_eq!(notifications.counts(&ann).await?.unread, 1, "taken is not read");
//! assert_eq!(notifications.acknowledge(&ann, &[taken[0].id.clone()]).await?, 1);
//! assert_eq!(notifications.counts(&ann).await?.unread, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{RedisError, Script, ScriptInvocation};
use serde::{Deserialize, Serialize};

use crate::script;
use crate::store::{Reply, holds_store_error};
use crate::{CustomerId, EventId, Keys, StoreError};

/// How many unread notifications a customer can have, unless [`Notifications::with_cap`] says otherwise.
pub const DEFAULT_CAP: u32 = 100;
/// How long notifications live after the last was sent or taken, unless [`Notifications::with_ttl`] says otherwise.
pub const DEFAULT_TTL: Duration = Duration::from_hours(30 * 24);
/// The longest text, in bytes.
pub const LONGEST_TEXT: usize = 2_000;
/// The most that one [`Notifications::take`] takes.
pub const MOST_AT_ONCE: usize = 100;
/// How many events of a customer are remembered (as many as the cap, if that is more), so that sending one of them again is
/// no second notification.
pub const EVENTS_REMEMBERED: usize = 1_000;

/// The longest time that something is put aside for a device.
const LONGEST_HOLD: u64 = 24 * 60 * 60 * 1000;
/// How many ids one call of a script brings.
const IDS_AT_ONCE: usize = 500;

/// What a customer is told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notification {
    /// What it is about; a repetition has the same.
    pub id: EventId,
    /// For the customer to read.
    pub text: String,
}

/// What has become of a notification that was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// It waits for the customer.
    New {
        /// What is unread now.
        unread: u64,
        /// What had to go for it: the oldest, if the cap was reached.
        dropped: u64,
    },
    /// It was sent before, whatever has become of it since. Nothing has changed.
    Again {
        /// What is unread now.
        unread: u64,
    },
}

/// The notifications of one customer, counted in one step. Always `sent = unread + read + dropped`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Different events that were sent.
    pub sent: u64,
    /// Those that nobody has acknowledged: waiting, or with a device.
    pub unread: u64,
    /// Those that were acknowledged.
    pub read: u64,
    /// Those that went when the cap was reached.
    pub dropped: u64,
}

/// The notifications of a shop's customers.
///
/// Every method takes one round trip, of a server that knows its scripts, unless it says otherwise. The devices of a
/// customer share his queue: what one of them acknowledges is read.
#[derive(Clone, Debug)]
pub struct Notifications<C> {
    connection: C,
    keys: Keys,
    cap: u32,
    ttl: Duration,
}

impl<C: ConnectionLike + Clone> Notifications<C> {
    /// The notifications under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys, cap: DEFAULT_CAP, ttl: DEFAULT_TTL }
    }

    /// How many unread notifications a customer can have: 1 to 10,000; other values become the nearest of these.
    #[must_use]
    pub fn with_cap(mut self, cap: u32) -> Self {
        self.cap = cap.clamp(1, 10_000);
        self
    }

    /// How long a customer's notifications live after the last was sent or taken: a second to a year; other values become
    /// the nearest of these. The counts expire with them.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sends a notification, once for each event: the last [`EVENTS_REMEMBERED`] events of a customer are recognised.
    pub async fn send(&self, to: &CustomerId, id: &EventId, text: &str) -> Result<Sent, SendError> {
        if text.len() > LONGEST_TEXT {
            return Err(SendError::TooLong { bytes: text.len() });
        }
        let notification = Notification { id: id.clone(), text: text.to_owned() };
        let json = serde_json::to_string(&notification)
            .map_err(|error| StoreError::Redis(RedisError::from(std::io::Error::other(error))))?;
        let mut call = self.call(&SEND, to);
        call.arg(id.as_str())
            .arg(json)
            .arg(self.cap)
            .arg(EVENTS_REMEMBERED.max(self.cap as usize))
            .arg(self.ttl_ms());
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "NEW" => Ok(Sent::New { unread: reply.next()?, dropped: reply.next()? }),
            "AGAIN" => Ok(Sent::Again { unread: reply.next()? }),
            _ => Err(reply.into_error().into()),
        }
    }

    /// Takes up to `most` notifications (at most [`MOST_AT_ONCE`]) for one device, the oldest first, and puts them aside
    /// for as long as `hold` (a millisecond to a day): nobody else gets them until then. First come those whose time with
    /// another device has run out.
    ///
    /// What somebody else wrote and cannot be read is an error only if nothing else is taken with it. If it has no id it
    /// cannot be put aside either: it stays, and so does what is behind it, until it is removed by hand or by
    /// [`Notifications::mark_all_read`].
    pub async fn take(
        &self,
        customer: &CustomerId,
        most: usize,
        hold: Duration,
    ) -> Result<Vec<Notification>, StoreError> {
        let hold = u64::try_from(hold.as_millis()).unwrap_or(LONGEST_HOLD).clamp(1, LONGEST_HOLD);
        let mut call = self.call(&TAKE, customer);
        call.arg(most.min(MOST_AT_ONCE)).arg(hold).arg(self.ttl_ms());
        let mut reply = self.run(&call).await?;
        if reply.outcome != "TAKEN" {
            return Err(reply.into_error());
        }
        let (mut taken, mut unreadable) = (Vec::new(), None);
        while let Some(json) = reply.next::<Option<Vec<u8>>>()? {
            match serde_json::from_slice(&json) {
                Ok(notification) => taken.push(notification),
                Err(_) => unreadable = Some(json),
            }
        }
        match unreadable {
            // The others are with this device already: nobody else would get them before their time is over.
            Some(json) if taken.is_empty() => {
                let waiting = self.keys.notifications(customer).waiting;
                Err(StoreError::malformed(&waiting, &String::from_utf8_lossy(&json)))
            }
            _ => Ok(taken),
        }
    }

    /// The customer has seen these: they are never delivered again. Returns how many of them were unread and with a
    /// device; one that was acknowledged before, or dropped, is none. Who was too slow may still acknowledge, also when
    /// another device has it now.
    ///
    /// One round trip for every 500 ids.
    pub async fn acknowledge(&self, customer: &CustomerId, ids: &[EventId]) -> Result<u64, StoreError> {
        let mut read = 0;
        for ids in ids.chunks(IDS_AT_ONCE) {
            let mut call = self.call(&ACKNOWLEDGE, customer);
            call.arg(ids.iter().map(EventId::as_str).collect::<Vec<_>>());
            let mut reply = self.run(&call).await?;
            if reply.outcome != "READ" {
                return Err(reply.into_error());
            }
            read += reply.next::<u64>()?;
        }
        Ok(read)
    }

    /// Everything sent so far is read, also what a device has at this moment. Returns how many that were.
    pub async fn mark_all_read(&self, customer: &CustomerId) -> Result<u64, StoreError> {
        let mut reply = self.run(&self.call(&READ_ALL, customer)).await?;
        match reply.outcome.as_str() {
            "READ" => reply.next(),
            _ => Err(reply.into_error()),
        }
    }

    /// How many there are and were. All are zero for somebody who was never told anything.
    pub async fn counts(&self, customer: &CustomerId) -> Result<Counts, StoreError> {
        let mut reply = self.run(&self.call(&COUNTS, customer)).await?;
        if reply.outcome != "COUNTS" {
            return Err(reply.into_error());
        }
        let mut number = || reply.next();
        Ok(Counts { sent: number()?, unread: number()?, read: number()?, dropped: number()? })
    }

    /// A call of a script with all the keys of a customer.
    fn call(&self, script: &'static Script, customer: &CustomerId) -> ScriptInvocation<'static> {
        let mut call = script.prepare_invoke();
        for key in self.keys.notifications(customer).all() {
            call.key(key);
        }
        call
    }

    async fn run(&self, call: &ScriptInvocation<'_>) -> Result<Reply, RedisError> {
        script::run(call, &self.connection).await
    }

    fn ttl_ms(&self) -> u64 {
        const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;
        u64::try_from(self.ttl.as_millis()).unwrap_or(YEAR).clamp(1000, YEAR)
    }
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The text is too long.
    #[error("a notification has at most {LONGEST_TEXT} bytes, and this one {bytes}")]
    TooLong {
        /// What was given.
        bytes: usize,
    },
    /// Redis, or the data in it. If it was the connection, send again under the same event.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(SendError);

/// The keys of one customer's notifications, all in one slot.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NotificationKeys {
    /// What waits: a List.
    pub waiting: String,
    /// What was taken and not acknowledged: a Hash.
    pub taken: String,
    /// When what was taken is delivered again: a Sorted Set.
    pub deadlines: String,
    /// The events sent lately: a Sorted Set.
    pub sent: String,
    /// How many were sent, read and dropped: a Hash.
    pub counts: String,
}

impl NotificationKeys {
    /// All of them, in the order in which the scripts take them.
    #[must_use]
    pub fn all(&self) -> [&str; 5] {
        [&self.waiting, &self.taken, &self.deadlines, &self.sent, &self.counts]
    }
}

static SEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("notifications/scripts/unread.lua"),
        include_str!("notifications/scripts/send.lua")
    ))
});
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("notifications/scripts/unread.lua"),
        include_str!("notifications/scripts/take.lua")
    ))
});
static ACKNOWLEDGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("notifications/scripts/unread.lua"),
        include_str!("notifications/scripts/acknowledge.lua")
    ))
});
static READ_ALL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("notifications/scripts/unread.lua"),
        include_str!("notifications/scripts/read_all.lua")
    ))
});
static COUNTS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("notifications/scripts/unread.lua"),
        include_str!("notifications/scripts/counts.lua")
    ))
});
