//! Lock: one holder at a time, with a token, a TTL, renewal, and a fencing number.
//!
//! The naive ways fail one by one. SETNX and then EXPIRE leaves a lock that never ends, if the client dies in between. DEL on
//! release deletes the lock of the next holder, if yours has expired. And a holder that stops for longer than its TTL does not
//! know that another one works now. Here the TTL is set in the same step, only the holder's token releases, and each holder
//! gets a number that is higher than all before it. The `fence` pattern shows how a record refuses a write with an older number.
//! **Without that, no lock keeps late writes out.** Use a lock alone only where two holders at once cost time, not data.
//!
//! You pick the token of an attempt ([`Token::random`]) before you ask. After a lost reply, ask again with the same token: if
//! the lock is yours, you get it. After a canceled call, release with the token.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `lock:report` | String | `token:number:owner` of the holder, with the TTL |
//! | `lock:{lock:report}:number` | String | the highest number so far; gone a week after the last holder took the lock |
//!
//! - **Promise**: while a lease lasts, nobody else gets the lock, and nobody else releases it. Each holder's number is higher
//!   than that of all before it. A [`Guard`] renews until it is released or dropped, and stops its work by the local monotonic
//!   clock before the lease ends. Nothing renews after a release.
//! - **Cost**: one round trip for each call: five commands to take the lock and two to release it. A waiter asks again after 2 ms,
//!   then after twice as long, up to 100 ms, and at the moment at which the holder's TTL ends. So it gets the lock at most 0.1 s
//!   after its release if nobody else does, and costs 10 to 20 commands a second. Waiters have no order. A guard renews three times per TTL.
//! - **Memory**: about 160 bytes for each lock.
//! - **Faults**: if the lock's key is lost, another client gets the lock, with a higher number; the former holder's next renewal
//!   says that it lost it. A lost number begins again at the server's clock in microseconds, so it does not go back, unless that
//!   clock went back by more than the time since then. A failover may lose the last locks that were taken: two clients then
//!   hold one lock, and the later one has the higher number if the clocks of both servers agree. If the server's clock jumps
//!   forward, locks may expire early. If it is set back, numbers still grow. A crashed holder's lock is free after its TTL.
//!
//! ```
//! use std::time::Duration;
//! use patterns::lock::{LockError, Locks, Token};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let locks = Locks::new(connection.clone(), "", "worker-1").with_ttl(Duration::from_secs(5));
//! let guard = locks.guard("report", &Token::random()?, Duration::from_secs(1)).await?;
//!
//! let others = Locks::new(connection, "", "worker-2");
//! let refused = others.try_acquire("report", &Token::random()?).await;
//! assert!(matches!(refused, Err(LockError::Held { owner, .. }) if owner == "worker-1"));
//!
//! // Send this number with every write that the lock protects.
//! let number = guard.number();
//! let result = guard.run(async { format!("written with {number}") }).await?;
//! assert!(guard.release().await?);
//!
//! let next = others.try_acquire("report", &Token::random()?).await?;
//! assert!(next.number() > number);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::future::Future;
use std::time::Duration;

use redis::aio::ConnectionLike;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::key::{Key, check_id};
use crate::lease::{Lease, MAX_LEASE, may_pass, read_holder, with_jitter};
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds};

pub use crate::lease::Token;

/// How long a waiter pauses: the first time, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(100)];
/// How long the highest number is kept after the last holder took the lock.
const NUMBER_TTL: Duration = Duration::from_hours(7 * 24);

const FILE: &str = include_str!("lock.lua");

/// Takes the lock if it is free, and numbers the holder.
pub static ACQUIRE: Script = Script::new("lock.lua: acquire", FILE, &["holder", "acquire"]);
/// Begins the TTL again, for the holder only.
pub static RENEW: Script = Script::new("lock.lua: renew", FILE, &["holder", "renew"]);
/// Frees the lock, for the holder only.
pub static RELEASE: Script = Script::new("lock.lua: release", FILE, &["holder", "release"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&ACQUIRE, &RENEW, &RELEASE])
}

/// A lock that was taken. Dropping it releases nothing: see [`Locks::release`], or use a [`Guard`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    name: String,
    token: Token,
    number: u64,
    lease: Lease,
}

impl Held {
    /// The name of the lock.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The token with which it was taken.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The fencing number: higher than that of every holder before. Send it with every write.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The lease by this process's own clock. Work only while it [is held](Lease::is_held).
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lease
    }
}

/// Who holds a lock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// The owner, as given to [`Locks::new`].
    pub owner: String,
    /// The fencing number.
    pub number: u64,
    /// How long until the lock is free, unless it is renewed or released.
    pub expires_in: Duration,
}

/// The locks under a prefix, for one owner.
#[derive(Clone, Debug)]
pub struct Locks<C> {
    connection: C,
    prefix: String,
    owner: String,
    ttl: Duration,
}

impl<C: ConnectionLike + Clone> Locks<C> {
    /// Locks with a TTL of ten seconds. The owner is any text that names this process or task, such as `worker-7:4711`: others
    /// see it when they are refused, and one owner cannot take one lock twice.
    pub fn new(connection: C, prefix: &str, owner: &str) -> Self {
        let (prefix, owner) = (prefix.to_owned(), owner.to_owned());
        Self { connection, prefix, owner, ttl: Duration::from_secs(10) }
    }

    /// How long a lock lasts without being renewed: a millisecond to a year. Longer than any pause that you expect of a healthy
    /// holder, and as short as you can wait after a crash.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl: ttl.clamp(Duration::from_millis(1), MAX_LEASE), ..self }
    }

    /// Takes the lock if it is free, or says who holds it. With the token of the holder, the holder gets it again, with the same
    /// number and the whole TTL. One round trip.
    pub async fn try_acquire(&self, name: &str, token: &Token) -> Result<Held, LockError> {
        check_id(&self.owner).map_err(StoreError::from)?;
        let [lock, number] = self.keys(name)?;
        let asked = Instant::now();
        let call = ACQUIRE.call(&[&lock, &number]).arg(token.as_str()).arg(&self.owner);
        let call = call.arg(milliseconds(self.ttl)).arg(milliseconds(NUMBER_TTL));
        let mut reply: Reply = call.run(&self.connection).await?;
        // Another program's key may have no TTL.
        let expires_in = |left: i64| u64::try_from(left).map_or(self.ttl, Duration::from_millis);
        match reply.outcome.as_str() {
            "ACQUIRED" => Ok(Held {
                name: name.to_owned(),
                token: token.clone(),
                number: reply.next()?,
                lease: Lease::asked_at(asked, self.ttl),
            }),
            "HELD" => Err(LockError::Held { expires_in: expires_in(reply.next()?), owner: reply.next()? }),
            "YOURS" => Err(LockError::Reentrant { expires_in: expires_in(reply.next()?) }),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Takes the lock, and waits for it up to `wait`: a lost connection and another holder are tried again. Then it returns the
    /// last refusal. The same owner's own lock is refused at once, because waiting for oneself never ends.
    ///
    /// If the future is dropped, the lock may have been taken: release it with the token, or it ends with its TTL.
    pub async fn acquire(&self, name: &str, token: &Token, wait: Duration) -> Result<Held, LockError> {
        let deadline = Instant::now() + wait.min(MAX_LEASE);
        let [mut pause, longest] = PAUSES;
        loop {
            let refusal = match self.try_acquire(name, token).await {
                Err(refusal) if refusal.may_pass() => refusal,
                result => return result,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(refusal);
            }
            let mut next = with_jitter(pause).min(left);
            if let LockError::Held { expires_in, .. } = refusal {
                next = next.min(expires_in + Duration::from_millis(1));
            }
            sleep(next).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Begins the TTL again. [`LockError::Lost`] says that it ended or was released: stop. One round trip.
    pub async fn renew(&self, held: &mut Held) -> Result<(), LockError> {
        let [lock, _] = self.keys(&held.name)?;
        let asked = Instant::now();
        let call = RENEW.call(&[lock]).arg(held.token.as_str()).arg(milliseconds(self.ttl));
        let reply: Reply = call.run(&self.connection).await?;
        if !reply.either("RENEWED", "LOST")? {
            return Err(LockError::Lost);
        }
        held.lease = Lease::asked_at(asked, self.ttl);
        Ok(())
    }

    /// Frees the lock if this token holds it. False if it does not: it was released before, expired, or is another's now. So
    /// after an error, call it again. One round trip.
    pub async fn release(&self, name: &str, token: &Token) -> Result<bool, LockError> {
        let [lock, _] = self.keys(name)?;
        let reply: Reply = RELEASE.call(&[lock]).arg(token.as_str()).run(&self.connection).await?;
        Ok(reply.either("RELEASED", "NOT_HELD")?)
    }

    /// Who holds the lock; `None` if it is free. One round trip of plain commands.
    pub async fn holder(&self, name: &str) -> Result<Option<Holder>, StoreError> {
        let [lock, _] = self.keys(name)?;
        let holder = read_holder(&self.connection, &lock).await?;
        Ok(holder.map(|(number, owner, expires_in)| Holder { owner, number, expires_in }))
    }

    /// The keys of a lock: the lock, and its highest number.
    pub fn keys(&self, name: &str) -> Result<[String; 2], StoreError> {
        let key = Key::new(&self.prefix, "lock", &[name])?;
        Ok([key.as_str().to_owned(), key.companion("number")])
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Locks<C> {
    /// [`Locks::acquire`], and then a task of tokio's renews the lock until the guard is released or dropped.
    pub async fn guard(&self, name: &str, token: &Token, wait: Duration) -> Result<Guard<C>, LockError> {
        // Nothing is awaited after this, so a dropped future leaves no task behind.
        let held = self.acquire(name, token, wait).await?;
        let (report, lease) = watch::channel(Some(held.lease));
        let renewal = tokio::spawn(keep_renewing(self.clone(), held.clone(), report));
        Ok(Guard { locks: self.clone(), held, lease, renewal })
    }
}

/// A lock that is renewed in the background.
///
/// Call [`release`](Self::release) when the work is done. A guard that is dropped stops renewing, and the lock is free after its
/// TTL.
#[derive(Debug)]
pub struct Guard<C> {
    locks: Locks<C>,
    held: Held,
    /// `None` when the lock is lost.
    lease: watch::Receiver<Option<Lease>>,
    renewal: JoinHandle<()>,
}

impl<C> Guard<C> {
    /// The fencing number: send it with every write.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.held.number
    }

    /// Whether the lock is certain to be held now, by the local clock. The next statement may already be too late, so it replaces
    /// no fencing number.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.lease.borrow().is_some_and(|lease| lease.is_held())
    }

    /// Waits until the lock is lost, or may be.
    pub async fn lost(&self) {
        let mut watched = self.lease.clone();
        loop {
            let lease = *watched.borrow_and_update();
            let Some(lease) = lease.filter(Lease::is_held) else { return };
            tokio::select! {
                () = lease.ended() => {}
                changed = watched.changed() => if changed.is_err() {
                    return lease.ended().await;
                }
            }
        }
    }

    /// Runs `work` and drops it when the lock is lost. Work that does not await goes on to its next await.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, LockError> {
        tokio::select! {
            biased;
            () = self.lost() => Err(LockError::Lost),
            output = work => Ok(output),
        }
    }
}

impl<C: ConnectionLike + Clone> Guard<C> {
    /// Stops renewing, and then frees the lock; false if it was lost before. After an error, the lock ends with its TTL, or
    /// sooner with [`Locks::release`].
    pub async fn release(mut self) -> Result<bool, LockError> {
        self.renewal.abort();
        let _stopped = (&mut self.renewal).await;
        self.locks.release(&self.held.name, &self.held.token).await
    }
}

impl<C> Drop for Guard<C> {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Renews three times per TTL, more often after an error, until the lease ends. The last report is `None`.
async fn keep_renewing<C: ConnectionLike + Clone>(
    locks: Locks<C>,
    mut held: Held,
    report: watch::Sender<Option<Lease>>,
) {
    let pause = locks.ttl / 3;
    let mut next = pause;
    loop {
        sleep(next.min(held.lease.left())).await;
        if !held.lease.is_held() {
            break;
        }
        next = match timeout_at(held.lease.ends(), locks.renew(&mut held)).await {
            Err(_) | Ok(Err(LockError::Lost)) => break,
            Ok(Err(_)) => pause / 8,
            Ok(Ok(())) => {
                report.send_replace(Some(held.lease));
                pause
            }
        };
    }
    report.send_replace(None);
}

/// Why the lock is not yours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another owner holds it.
    #[error("{owner:?} holds the lock, for {expires_in:?} unless it is renewed")]
    Held {
        /// How long until it is free, unless it is renewed or released.
        expires_in: Duration,
        /// Who.
        owner: String,
    },
    /// This owner holds it, with another token. A lock cannot be taken twice: pass the first [`Held`] on, or use two owners.
    #[error("you hold this lock already, for {expires_in:?} unless it is renewed")]
    Reentrant {
        /// How long until it is free, unless it is renewed or released.
        expires_in: Duration,
    },
    /// The lease has ended or was released.
    #[error("the lock is lost: another client may hold it")]
    Lost,
    /// Redis, or the data in it. After a connection error, it is unknown whether the lock is yours: call again with the same
    /// token, or release it with that.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LockError {
    /// Whether waiting may help.
    fn may_pass(&self) -> bool {
        match self {
            Self::Held { .. } => true,
            Self::Store(error) => may_pass(error),
            _ => false,
        }
    }
}
