//! Notifications: messages for a customer, delivered at least once to one of the customer's devices.
//!
//! PUBLISH reaches only clients that are subscribed at that moment: a phone in a tunnel misses it. A device that pops from a
//! queue loses the message if it crashes before it shows it. Here a notification waits in a List. [`Notifications::take`] holds
//! it for one device for a while, and only [`Notifications::acknowledge`] removes it. If no device acknowledges it in time, the
//! next device that asks gets it. The sender picks the ID, so a retry after a lost answer is not a second notification.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `notifications:user123` | List | waiting notifications as JSON, the newest first |
//! | `notifications:{notifications:user123}:taken` | Hash | ID to a notification that a device has taken |
//! | `notifications:{notifications:user123}:deadlines` | Sorted Set | ID, scored by when it is delivered again |
//! | `notifications:{notifications:user123}:sent` | Sorted Set | the last IDs, in order |
//! | `notifications:{notifications:user123}:counts` | Hash | counts of sent and read |
//!
//! - **Promise**: each notification is delivered until it is acknowledged. Two devices may show the same notification if one is
//!   slow; both see the same ID. At every moment, `sent = unread + read + dropped`.
//! - **Cost**: one round trip for each call, except for more than 500 IDs at once. Each script is O(notifications moved).
//! - **Memory**: at most 100 unread notifications for each customer ([`Notifications::with_cap`]), after which the oldest is
//!   dropped, and the last 1,000 IDs. Everything expires 30 days after the last notification was sent or taken.
//! - **Faults**: if the List or the Hash of taken notifications is lost, what it held is lost, and counted as dropped. If the
//!   deadlines are lost, what devices hold is delivered again. If the IDs are lost, a retry of an older notification is a new
//!   one. If the counts are lost, they begin again. A failover may lose the last notifications that were acknowledged to their
//!   sender, and deliver again those that were read last. If the clock is set back, what a device holds is delivered again
//!   after one hold of the device that asks, so give all devices of a customer the same hold.
//!
//! ```
//! use std::time::Duration;
//! use patterns::notifications::{Notifications, Sent};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let notifications = Notifications::new(connection, "");
//! let (id, text) = ("order-1-shipped", "Your order is on its way");
//! assert_eq!(notifications.send("user123", id, text).await?, Sent::New { unread: 1, dropped: 0 });
//! // The answer was lost, so the sender tries again.
//! assert_eq!(notifications.send("user123", id, text).await?, Sent::Again { unread: 1 });
//!
//! let taken = notifications.take("user123", 10, Duration::from_secs(30)).await?;
//! assert_eq!(taken[0].text, text);
//! assert_eq!(notifications.counts("user123").await?.unread, 1, "taken is not read");
//! assert_eq!(notifications.acknowledge("user123", &[id]).await?, 1);
//! assert_eq!(notifications.counts("user123").await?.unread, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::aio::ConnectionLike;
use serde::{Deserialize, Serialize};

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds, quote};

/// The most bytes of a text.
pub const MAX_TEXT_BYTES: usize = 2_000;
/// The most notifications that one [`Notifications::take`] takes.
pub const MAX_TAKEN: usize = 100;
/// The highest cap of unread notifications.
pub const MAX_CAP: u32 = 10_000;
/// How many IDs of a customer are remembered (as many as the cap, if that is more).
pub const IDS_REMEMBERED: u32 = 1_000;

/// The longest hold.
const MAX_HOLD: Duration = Duration::from_hours(24);
/// How many IDs one script call brings.
const IDS_PER_CALL: usize = 500;

const FILE: &str = include_str!("notifications.lua");

/// Adds a notification, once per ID.
pub static SEND: Script = Script::new("notifications.lua: send", FILE, &["read", "send"]);
/// Hands notifications to a device, the oldest first, and holds them for it until it acknowledges them.
pub static TAKE: Script = Script::new("notifications.lua: take", FILE, &["read", "take"]);
/// Marks notifications that a device took as read.
pub static ACKNOWLEDGE: Script =
    Script::new("notifications.lua: acknowledge", FILE, &["read", "acknowledge"]);
/// Marks all notifications as read, waiting or taken.
pub static MARK_ALL_READ: Script =
    Script::new("notifications.lua: mark_all_read", FILE, &["read", "mark_all_read"]);
/// Counts sent, unread, and read notifications.
pub static COUNTS: Script = Script::new("notifications.lua: counts", FILE, &["read", "counts"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&SEND, &TAKE, &ACKNOWLEDGE, &MARK_ALL_READ, &COUNTS])
}

/// A message for a customer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notification {
    /// The sender's ID. A notification that is delivered twice has the same ID.
    pub id: String,
    /// For the customer to read.
    pub text: String,
}

/// What became of a notification that was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// It waits for the customer.
    New {
        /// What is unread now.
        unread: u64,
        /// How many of the oldest were dropped because the cap was reached.
        dropped: u64,
    },
    /// It was sent before, and may be read by now. Nothing changed.
    Again {
        /// What is unread now.
        unread: u64,
    },
}

/// The notifications of one customer, counted in one step. Always `sent = unread + read + dropped`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Notifications that were sent.
    pub sent: u64,
    /// Notifications that are not acknowledged: waiting, or with a device.
    pub unread: u64,
    /// Those that were acknowledged.
    pub read: u64,
    /// Notifications that were dropped at the cap, or lost with a key.
    pub dropped: u64,
}

/// The notifications of all customers under a prefix. The devices of a customer share them: what one device acknowledges is
/// read.
#[derive(Clone, Debug)]
pub struct Notifications<C> {
    connection: C,
    prefix: String,
    cap: u32,
    ttl: Duration,
}

impl<C: ConnectionLike + Clone> Notifications<C> {
    /// Up to 100 unread notifications for each customer, kept for 30 days after the last was sent or taken.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), cap: 100, ttl: Duration::from_hours(30 * 24) }
    }

    /// How many unread notifications a customer can have: 1 to [`MAX_CAP`]. Other values become the nearest of these.
    #[must_use]
    pub fn with_cap(self, cap: u32) -> Self {
        Self { cap: cap.clamp(1, MAX_CAP), ..self }
    }

    /// How long a customer's notifications and counts live after the last was sent or taken: a millisecond to a year.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// Sends a notification, once for each ID: the last [`IDS_REMEMBERED`] of a customer are recognized.
    pub async fn send(&self, customer: &str, id: &str, text: &str) -> Result<Sent, SendError> {
        check_id(id).map_err(StoreError::from)?;
        if text.len() > MAX_TEXT_BYTES {
            return Err(SendError::TooLong { bytes: text.len() });
        }
        let notification = serde_json::json!({"id": id, "text": text}).to_string();
        let call = SEND.call(&self.keys(customer)?).arg(id).arg(notification).arg(self.cap);
        let call = call.arg(IDS_REMEMBERED.max(self.cap)).arg(milliseconds(self.ttl));
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "NEW" => Ok(Sent::New { unread: reply.next()?, dropped: reply.next()? }),
            "AGAIN" => Ok(Sent::Again { unread: reply.next()? }),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Takes up to `most` notifications (at most [`MAX_TAKEN`]) for one device, the oldest first, and holds them for `hold`, a
    /// millisecond to a day. Until then, no other device gets them. Those come first whose time with another device has run
    /// out.
    ///
    /// An entry that another program wrote and that cannot be read is an error only if nothing else is taken with it. Without
    /// an ID, it cannot be held, and newer notifications wait until you remove it by hand or with
    /// [`Notifications::mark_all_read`].
    pub async fn take(
        &self,
        customer: &str,
        most: usize,
        hold: Duration,
    ) -> Result<Vec<Notification>, StoreError> {
        let keys = self.keys(customer)?;
        let call = TAKE.call(&keys).arg(most.min(MAX_TAKEN)).arg(milliseconds(hold.min(MAX_HOLD)));
        let mut reply: Reply = call.arg(milliseconds(self.ttl)).run(&self.connection).await?;
        reply.must_be("TAKEN")?;
        let (mut taken, mut unreadable) = (Vec::new(), None);
        while let Some(json) = reply.next::<Option<Vec<u8>>>()? {
            match serde_json::from_slice(&json) {
                Ok(notification) => taken.push(notification),
                Err(_) => unreadable = Some(json),
            }
        }
        match unreadable {
            // The others are with this device already. No other device would get them before their time is over.
            Some(json) if taken.is_empty() => {
                let text = format!("{} {}", keys[0], String::from_utf8_lossy(&json));
                Err(StoreError::Malformed(quote(&text)))
            }
            _ => Ok(taken),
        }
    }

    /// Marks these as read: they are never delivered again. Returns how many of them were unread and with a device. A slow
    /// device may still acknowledge them, even if another device has them now. One round trip for every 500 IDs.
    pub async fn acknowledge(&self, customer: &str, ids: &[impl AsRef<str>]) -> Result<u64, StoreError> {
        let (keys, mut read) = (self.keys(customer)?, 0);
        for ids in ids.chunks(IDS_PER_CALL) {
            let mut call = ACKNOWLEDGE.call(&keys).arg(milliseconds(self.ttl));
            for id in ids {
                check_id(id.as_ref())?;
                call = call.arg(id.as_ref());
            }
            let mut reply: Reply = call.run(&self.connection).await?;
            reply.must_be("READ")?;
            read += reply.next::<u64>()?;
        }
        Ok(read)
    }

    /// Marks everything sent so far as read, even what a device holds now. Returns how many that were.
    pub async fn mark_all_read(&self, customer: &str) -> Result<u64, StoreError> {
        let call = MARK_ALL_READ.call(&self.keys(customer)?).arg(milliseconds(self.ttl));
        let mut reply: Reply = call.run(&self.connection).await?;
        reply.must_be("READ")?;
        reply.next()
    }

    /// The counts of a customer. All are zero for a customer without notifications.
    pub async fn counts(&self, customer: &str) -> Result<Counts, StoreError> {
        let mut reply: Reply = COUNTS.call(&self.keys(customer)?).run(&self.connection).await?;
        reply.must_be("COUNTS")?;
        let (sent, unread, read): (u64, u64, u64) = (reply.next()?, reply.next()?, reply.next()?);
        // Whatever is neither unread nor read was dropped. If the counts were lost, they start with what exists.
        let dropped = sent.saturating_sub(unread + read);
        Ok(Counts { sent: unread + read + dropped, unread, read, dropped })
    }

    /// The keys of one customer: waiting, taken, deadlines, sent, counts.
    pub fn keys(&self, customer: &str) -> Result<[String; 5], StoreError> {
        let key = Key::new(&self.prefix, "notifications", &[customer])?;
        let [taken, deadlines, sent, counts] =
            ["taken", "deadlines", "sent", "counts"].map(|name| key.companion(name));
        Ok([key.as_str().to_owned(), taken, deadlines, sent, counts])
    }
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The text is too long.
    #[error("a notification has at most {MAX_TEXT_BYTES} bytes, not {bytes}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Redis, or the data in it. After a connection error, send again with the same ID.
    #[error(transparent)]
    Store(#[from] StoreError),
}
