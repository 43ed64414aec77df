//! Semaphore: at most N at a time, and the place of a holder that crashed is free after its lease.
//!
//! The naive way is a counter: INCR to enter, DECR to leave. A holder that dies never leaves, and the counter loses a place for
//! good. A TTL on the counter is wrong both ways: it frees all places at once, while others are still inside. Here each permit is
//! an entry with a deadline of its own, by the server's clock. One script counts the live ones and adds yours.
//!
//! Waiters get their turn in the order in which they came. One who wants several permits is not passed by those who want one.
//! Each wait is a place in line that has to be confirmed: a waiter that died is skipped after its grace.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `semaphore:renderer` | Sorted Set | `token:1` to `token:N` for each holder, scored by the millisecond at which its lease ends |
//! | `semaphore:{semaphore:renderer}:waiters` | Sorted Set | `token:permits` of each waiter, in the order of arrival |
//! | `semaphore:{semaphore:renderer}:last_asks` | Sorted Set | the same, scored by the millisecond until which it has to ask again |
//!
//! - **Promise**: never more permits are held than the capacity. Permits whose lease has ended are free, and a longer lease is
//!   kept, even if its holder has long been silent. A waiter goes at most 0.1 s and a round trip after its permits are free and those
//!   before it have gone. A waiter that died holds up the others for at most its grace.
//! - **Cost**: one round trip for each call, and at most 13 commands: about 30 microseconds on the server for one permit, and
//!   1.5 ms for 1,000. A waiter asks again after 5 ms, then after twice as long, up to 100 ms: 10 to 20 times a second.
//! - **Memory**: 40 to 100 bytes for each permit and 70 to 200 for each waiter, at most 1,000 of both. Waiters above that have no
//!   order. All keys expire by themselves.
//! - **Faults**: use `noeviction`. If the holders are lost, they hold nothing, and others get their permits; their next renewal
//!   says so. If one of the other keys is lost, waiters stand in line again, in a new order. A failover may lose the last
//!   permits that were taken, and then too many are held until these leases end. If the server's clock jumps forward, leases end
//!   early; if it is set back, they end late. A holder that stops for longer than its lease does not know it: where two too many
//!   do harm, use a `lock` with a `fence` for each place.
//!
//! ```
//! use std::time::Duration;
//! use patterns::semaphore::{SemaphoreError, Semaphores, Token};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let semaphores = Semaphores::new(connection, "", 3);
//! let first = semaphores.try_acquire("renderer", &Token::random()?, 2).await?;
//! let token = Token::random()?;
//! let refused = semaphores.try_acquire("renderer", &token, 2).await;
//! assert!(matches!(refused, Err(SemaphoreError::Full { free: 1, ahead: 0 })));
//!
//! semaphores.release("renderer", first.token(), 2).await?;
//! let second = semaphores.acquire("renderer", &token, 2, Duration::from_secs(1)).await?;
//! assert!(second.lease().is_held());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::aio::ConnectionLike;
use tokio::time::{Instant, sleep};

use crate::key::Key;
use crate::lease::{Lease, MAX_LEASE, may_pass, with_jitter};
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds};

pub use crate::lease::Token;

/// The highest capacity, since each call counts the permits.
pub const MAX_CAPACITY: u32 = 1_000;
/// The most waiters with a place in line.
pub const MAX_WAITERS: usize = 1_000;

/// How long a waiter pauses: the first time, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];

const FILE: &str = include_str!("semaphore.lua");

/// Takes permits, or a place in line.
pub static ACQUIRE: Script = Script::new("semaphore.lua: acquire", FILE, &["acquire"]);
/// Begins the lease of permits again, for their holder only.
pub static RENEW: Script = Script::new("semaphore.lua: renew", FILE, &["renew"]);
/// Gives permits back, and gives up the place in line.
pub static RELEASE: Script = Script::new("semaphore.lua: release", FILE, &["release"]);
/// Removes permits whose lease has ended, and waiters who no longer ask.
pub static SWEEP: Script = Script::new("semaphore.lua: sweep", FILE, &["sweep"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&ACQUIRE, &RENEW, &RELEASE, &SWEEP])
}

/// Permits that were taken. Dropping them gives nothing back: see [`Semaphores::release`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Permits {
    name: String,
    token: Token,
    count: u32,
    lease: Lease,
}

impl Permits {
    /// The token with which they were taken.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Their lease by the local clock. Work only while it [is held](Lease::is_held).
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lease
    }
}

/// How a semaphore is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Usage {
    /// Permits that are held.
    pub held: u32,
    /// Waiters in line.
    pub waiting: u32,
    /// Permits whose lease had ended, and that this call removed.
    pub removed: u32,
}

/// The semaphores of one capacity under a prefix. All clients of a semaphore must use the same capacity and grace.
#[derive(Clone, Debug)]
pub struct Semaphores<C> {
    connection: C,
    prefix: String,
    capacity: u32,
    lease: Duration,
    grace: Duration,
}

impl<C: ConnectionLike + Clone> Semaphores<C> {
    /// Semaphores of this capacity, 1 to [`MAX_CAPACITY`] (other values become the nearest), with leases of 30 seconds and a
    /// grace of 2 seconds.
    pub fn new(connection: C, prefix: &str, capacity: u32) -> Self {
        Self {
            connection,
            prefix: prefix.to_owned(),
            capacity: capacity.clamp(1, MAX_CAPACITY),
            lease: Duration::from_secs(30),
            grace: Duration::from_secs(2),
        }
    }

    /// How long permits last without being renewed: a millisecond to a year.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease: lease.clamp(Duration::from_millis(1), MAX_LEASE), ..self }
    }

    /// How long a waiter that no longer asks keeps its place: 0.3 seconds, three times the longest pause between two calls, to a
    /// year.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace: grace.clamp(3 * PAUSES[1], MAX_LEASE), ..self }
    }

    /// Takes 1 to capacity permits at once, all or none, if they are free and nobody waits for them. With the token and the
    /// number of a holder, the holder gets them again, with the whole lease. One round trip.
    pub async fn try_acquire(
        &self,
        name: &str,
        token: &Token,
        permits: u32,
    ) -> Result<Permits, SemaphoreError> {
        self.ask(name, token, permits, 0).await
    }

    /// Takes permits, and waits for them in line up to `wait`. A lost connection is tried again. At the end, it gives up the
    /// place and returns the last refusal.
    ///
    /// If the future is dropped, the place is free after the grace, and permits that it may have got after their lease.
    /// [`Semaphores::release`] with the token frees both at once.
    pub async fn acquire(
        &self,
        name: &str,
        token: &Token,
        permits: u32,
        wait: Duration,
    ) -> Result<Permits, SemaphoreError> {
        let deadline = Instant::now() + wait.min(MAX_LEASE);
        let [mut pause, longest] = PAUSES;
        loop {
            let refusal = match self.ask(name, token, permits, milliseconds(self.grace)).await {
                Err(refusal) if refusal.may_pass() => refusal,
                result => return result,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // If this fails, the grace frees the place.
                let _freed = self.release(name, token, permits).await;
                return Err(refusal);
            }
            sleep(with_jitter(pause).min(left)).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Begins the lease again. [`SemaphoreError::Lost`] says that it has ended: stop. One round trip.
    pub async fn renew(&self, permits: &mut Permits) -> Result<(), SemaphoreError> {
        let [holders, ..] = self.keys(&permits.name)?;
        let asked = Instant::now();
        let call = RENEW.call(&[holders]).arg(permits.token.as_str()).arg(permits.count);
        let reply: Reply = call.arg(milliseconds(self.lease)).run(&self.connection).await?;
        if !reply.either("RENEWED", "LOST")? {
            return Err(SemaphoreError::Lost);
        }
        permits.lease = Lease::asked_at(asked, self.lease);
        Ok(())
    }

    /// Gives permits back, and gives up the place in line. Pass the number with which they were taken. False if the token holds
    /// none: they were given back before, or the lease has ended. So after an error, call it again. One round trip.
    pub async fn release(&self, name: &str, token: &Token, permits: u32) -> Result<bool, SemaphoreError> {
        self.check(permits)?;
        let call = RELEASE.call(&self.keys(name)?).arg(token.as_str()).arg(permits);
        Ok(call.run::<Reply>(&self.connection).await?.either("RELEASED", "NOT_HELD")?)
    }

    /// Removes permits whose lease has ended and waiters who no longer ask, and says what is left. Nobody has to call it:
    /// [`try_acquire`](Self::try_acquire) does the same before it counts. One round trip.
    pub async fn sweep(&self, name: &str) -> Result<Usage, SemaphoreError> {
        let mut reply: Reply = SWEEP.call(&self.keys(name)?).run(&self.connection).await?;
        reply.must_be("SWEPT")?;
        Ok(Usage { held: reply.next()?, waiting: reply.next()?, removed: reply.next()? })
    }

    /// The keys of a semaphore: holders, waiters, last asks.
    pub fn keys(&self, name: &str) -> Result<[String; 3], StoreError> {
        let key = Key::new(&self.prefix, "semaphore", &[name])?;
        Ok([key.as_str().to_owned(), key.companion("waiters"), key.companion("last_asks")])
    }

    async fn ask(
        &self,
        name: &str,
        token: &Token,
        permits: u32,
        grace_ms: u64,
    ) -> Result<Permits, SemaphoreError> {
        self.check(permits)?;
        let asked = Instant::now();
        let call = ACQUIRE.call(&self.keys(name)?).arg(token.as_str()).arg(permits).arg(self.capacity);
        let call = call.arg(milliseconds(self.lease)).arg(grace_ms).arg(MAX_WAITERS);
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "ACQUIRED" => Ok(Permits {
                name: name.to_owned(),
                token: token.clone(),
                count: permits,
                lease: Lease::asked_at(asked, self.lease),
            }),
            "FULL" => Err(SemaphoreError::Full { free: reply.next()?, ahead: reply.next()? }),
            _ => Err(reply.unexpected().into()),
        }
    }

    fn check(&self, permits: u32) -> Result<(), SemaphoreError> {
        if (1..=self.capacity).contains(&permits) {
            Ok(())
        } else {
            Err(SemaphoreError::Permits { permits, capacity: self.capacity })
        }
    }
}

/// Why there are no permits.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SemaphoreError {
    /// Too few are free, or others wait for them.
    #[error("{free} permits are free, and {ahead} others wait")]
    Full {
        /// Permits that nobody holds.
        free: u32,
        /// Waiters ahead.
        ahead: u32,
    },
    /// The lease has ended, or the permits were given back.
    #[error("the permits are lost: others may hold them")]
    Lost,
    /// None, or more than there are.
    #[error("you can take 1 to {capacity} permits, not {permits}")]
    Permits {
        /// What was given.
        permits: u32,
        /// The capacity.
        capacity: u32,
    },
    /// Redis, or the data in it. After a connection error, it is unknown whether the permits are yours: call again with the same
    /// token, or give them back with it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SemaphoreError {
    /// Whether waiting may help.
    fn may_pass(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Store(error) => may_pass(error),
            _ => false,
        }
    }
}
