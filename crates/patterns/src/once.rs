//! Once: an idempotency key with a stored answer, so that a request that is sent again has one effect and one answer.
//!
//! The naive way reads whether the key exists, does the work, and writes the key. Two copies of a request read at the same
//! moment, and the customer pays twice. SETNX before the work lets only one through, but has no answer for the other, and if the
//! worker dies, the request is never done. Here the key is a record with a lease. The first caller starts. Others wait or get the
//! stored answer. If the caller dies, the next one may try after the lease, and learns that it is not the first.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `once:order-7` | Hash | SHA-1 and length of the request, who works on it and until when, the number of attempts, the answer |
//!
//! A key that was used for one request is refused for another one. So a client that reuses keys by mistake gets an error, and
//! not another request's answer.
//!
//! - **Promise**: while a lease lasts, one caller works on a key. After [`Once::finish`], every call with this key and request
//!   gets the same answer, and nobody starts again. A crashed caller's key is free after its lease.
//! - **Cost**: one round trip for each call, and at most four commands.
//! - **Memory**: the answer, at most 64 KiB, and about 160 bytes, for a day ([`Once::with_kept`]).
//! - **Faults**: use `noeviction`. If the record is lost, the request is new: it may run again. A failover may forget the last
//!   answers that were stored, with the same result. **The record cannot know whether a crashed caller had the effect**: an
//!   attempt above 1 says that somebody may have. Then look, or let the effect itself refuse a second one by the same key. If
//!   effect and record are in one slot, write both in one script, and nothing is left to ask. If the server's clock jumps
//!   forward, a lease ends early, and the second caller stores its answer, if it is first; if the clock is set back, a crashed
//!   caller's key is free later.
//!
//! ```
//! use patterns::once::{Begun, Once, Token};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let once = Once::new(connection, "");
//! let (request, mine) = (b"pay 25.00 EUR", Token::random()?);
//! let Begun::Started { attempt: 1 } = once.begin("order-7", &mine, request).await? else { panic!() };
//! // The same request comes again, while the first one runs.
//! let copy = once.begin("order-7", &Token::random()?, request).await?;
//! assert!(matches!(copy, Begun::InProgress { .. }));
//!
//! once.finish("order-7", &mine, request, b"charge 4711").await?;
//! let again = once.begin("order-7", &Token::random()?, request).await?;
//! assert_eq!(again, Begun::Done(b"charge 4711".to_vec()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::Key;
use crate::lease::MAX_LEASE;
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds};

pub use crate::lease::Token;

/// The most bytes of an answer.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The most bytes of a request. Pass what identifies a larger one, such as a hash of its body.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;

const FILE: &str = include_str!("once.lua");

/// Lets one caller work on the request, or says what came of it.
pub static BEGIN: Script = Script::new("once.lua: begin", FILE, &["record", "begin"]);
/// Stores the answer.
pub static FINISH: Script = Script::new("once.lua: finish", FILE, &["record", "finish"]);
/// Lets another caller try at once.
pub static GIVE_UP: Script = Script::new("once.lua: give_up", FILE, &["record", "give_up"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&BEGIN, &FINISH, &GIVE_UP])
}

/// What to do with a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Begun {
    /// Do it, and then [`Once::finish`].
    Started {
        /// 1, or more if an earlier caller started and did not finish. Then the effect may be there already.
        attempt: u64,
    },
    /// Another caller is doing it. Ask again, at the latest after this time.
    InProgress {
        /// How long that caller's lease lasts.
        retry_in: Duration,
    },
    /// It is done. This is the answer.
    Done(Vec<u8>),
}

/// The idempotency keys under a prefix.
#[derive(Clone, Debug)]
pub struct Once<C> {
    connection: C,
    prefix: String,
    lease: Duration,
    kept: Duration,
}

impl<C: ConnectionLike + Clone> Once<C> {
    /// Keys with leases of 30 seconds, kept for a day.
    pub fn new(connection: C, prefix: &str) -> Self {
        let (lease, kept) = (Duration::from_secs(30), Duration::from_hours(24));
        Self { connection, prefix: prefix.to_owned(), lease, kept }
    }

    /// How long a caller may work before another one may try: a millisecond to a year. Longer than the work can take.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease: lease.clamp(Duration::from_millis(1), MAX_LEASE), ..self }
    }

    /// How long the answer is kept: a millisecond to a year, and at least as long as the lease. Longer than any client retries.
    #[must_use]
    pub fn with_kept(self, kept: Duration) -> Self {
        Self { kept, ..self }
    }

    /// Starts the request under this key, or returns what came of it. The request is up to [`MAX_REQUEST_BYTES`] bytes that tell
    /// one request from another. After a lost reply, call again with the same token. One round trip.
    pub async fn begin(&self, key: &str, token: &Token, request: &[u8]) -> Result<Begun, OnceError> {
        let record = self.record(key, request)?;
        let call = BEGIN.call(&[record.as_str()]).arg(token.as_str()).arg(request);
        let call = call.arg(milliseconds(self.lease)).arg(milliseconds(self.kept.max(self.lease)));
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "STARTED" => Ok(Begun::Started { attempt: reply.next()? }),
            "IN_PROGRESS" => Ok(Begun::InProgress { retry_in: Duration::from_millis(reply.next()?) }),
            "DONE" => Ok(Begun::Done(reply.next()?)),
            _ => Err(refused(&reply)),
        }
    }

    /// Stores the answer, up to [`MAX_ANSWER_BYTES`] bytes, and returns what every caller gets from now on: this answer, or the
    /// one that was stored before. After a lost reply, call it again. One round trip.
    pub async fn finish(
        &self,
        key: &str,
        token: &Token,
        request: &[u8],
        answer: &[u8],
    ) -> Result<Vec<u8>, OnceError> {
        if answer.len() > MAX_ANSWER_BYTES {
            return Err(OnceError::AnswerTooLong { bytes: answer.len() });
        }
        let record = self.record(key, request)?;
        let call = FINISH.call(&[record.as_str()]).arg(token.as_str()).arg(request).arg(answer);
        let mut reply: Reply =
            call.arg(milliseconds(self.kept.max(self.lease))).run(&self.connection).await?;
        match reply.outcome.as_str() {
            "STORED" => Ok(answer.to_vec()),
            "DONE" => Ok(reply.next()?),
            _ => Err(refused(&reply)),
        }
    }

    /// Lets another caller try at once, because this one is certain that nothing was done. False if the token is not the
    /// caller's that works on it. One round trip.
    pub async fn give_up(&self, key: &str, token: &Token) -> Result<bool, OnceError> {
        let record = self.record(key, &[])?;
        let reply: Reply = GIVE_UP.call(&[record.as_str()]).arg(token.as_str()).run(&self.connection).await?;
        match reply.outcome.as_str() {
            "GIVEN_UP" => Ok(true),
            "LOST" => Ok(false),
            _ => Err(refused(&reply)),
        }
    }

    /// The key of a record.
    pub fn key(&self, key: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "once", &[key])?)
    }

    fn record(&self, key: &str, request: &[u8]) -> Result<Key, OnceError> {
        if request.len() > MAX_REQUEST_BYTES {
            return Err(OnceError::RequestTooLong { bytes: request.len() });
        }
        Ok(self.key(key)?)
    }
}

fn refused(reply: &Reply) -> OnceError {
    match reply.outcome.as_str() {
        "OTHER_REQUEST" => OnceError::OtherRequest,
        "LOST" => OnceError::Lost,
        _ => reply.unexpected().into(),
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnceError {
    /// The key was used for another request.
    #[error("this idempotency key was used for another request")]
    OtherRequest,
    /// The lease ended, and another caller works on the request now. Its answer counts.
    #[error("the lease has ended, and another caller works on this request")]
    Lost,
    /// More than [`MAX_ANSWER_BYTES`].
    #[error("an answer has at most {MAX_ANSWER_BYTES} bytes, not {bytes}")]
    AnswerTooLong {
        /// Its length.
        bytes: usize,
    },
    /// More than [`MAX_REQUEST_BYTES`].
    #[error("a request has at most {MAX_REQUEST_BYTES} bytes, not {bytes}; pass a hash of it")]
    RequestTooLong {
        /// Its length.
        bytes: usize,
    },
    /// Redis, or the data in it. After a connection error, call again with the same token.
    #[error(transparent)]
    Store(#[from] StoreError),
}
