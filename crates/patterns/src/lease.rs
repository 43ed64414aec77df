//! What locks, leaders, semaphores, and idempotency keys share: the token that names a holder, and a lease that ends by the
//! holder's own clock.
//!
//! A server frees a lease by its own clock. The holder cannot see that clock, so it has to stop before the server does:
//!
//! - It counts from the moment *before* it asked for the lease. The server begins later.
//! - It stops a twentieth early, because two clocks never run at exactly the same speed.
//! - It uses a monotonic clock, which nobody sets back. A process that was stopped sees at once that its lease is over. (A
//!   suspended machine may stop that clock, too. That is one more reason for fencing numbers: see `fence`.)

use std::fmt;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, FromRedisValue, Pipeline, Value};
use tokio::time::{Instant, sleep_until};

use crate::script::{StoreError, first_refusal, quote, send_all};

/// The longest lease. Longer ones are cut to this.
pub const MAX_LEASE: Duration = Duration::from_hours(365 * 24);

/// How many characters a token has.
const TOKEN_LENGTH: usize = 22;
const CHARACTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Names one attempt to hold something: 130 random bits in 22 letters and digits. After a lost reply, ask again with the same
/// token.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Token(String);

impl Token {
    /// A new one, from the operating system's generator.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut token = String::with_capacity(TOKEN_LENGTH);
        while token.len() < TOKEN_LENGTH {
            let mut bytes = [0; TOKEN_LENGTH];
            getrandom::fill(&mut bytes)?;
            // Skip bytes that would make some characters more likely than others.
            let even = bytes.into_iter().map(usize::from).filter(|byte| *byte < 4 * CHARACTERS.len());
            let missing = TOKEN_LENGTH - token.len();
            token.extend(even.map(|byte| char::from(CHARACTERS[byte % CHARACTERS.len()])).take(missing));
        }
        Ok(Self(token))
    }

    /// A token that was kept as text, such as in another process; `None` if it is not 1 to 64 letters and digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A lease by the holder's own clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    ends: Instant,
}

impl Lease {
    /// A lease of `ttl`, requested at `asked`: the moment before the request was sent.
    #[must_use]
    pub fn asked_at(asked: Instant, ttl: Duration) -> Self {
        let ttl = ttl.min(MAX_LEASE);
        Self { ends: asked + ttl.saturating_sub(ttl / 20) }
    }

    /// Whether the holder may still work.
    #[must_use]
    pub fn is_held(&self) -> bool {
        Instant::now() < self.ends
    }

    /// How long it may still work.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// The moment at which it must have stopped.
    #[must_use]
    pub fn ends(&self) -> Instant {
        self.ends
    }

    /// Waits until that moment.
    pub async fn ended(&self) {
        sleep_until(self.ends).await;
    }
}

/// Reads the key of a lock or a leader, which holds `token:number:name`: the number, the name, and how long the lease lasts. `None`
/// if nobody holds it. One round trip of plain commands.
pub async fn read_holder(
    connection: &(impl ConnectionLike + Clone),
    key: &str,
) -> Result<Option<(u64, String, Duration)>, StoreError> {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("GET").arg(key).cmd("PTTL").arg(key);
    let replies: (Value, i64) = match send_all(connection, &pipeline).await {
        Err(StoreError::Redis(error)) => return Err(first_refusal(error, key)),
        replies => replies?,
    };
    let Some(value) = Option::<String>::from_redis_value(replies.0)? else { return Ok(None) };
    let mut parts = value.splitn(3, ':').skip(1);
    let number = parts.next().and_then(|number| number.parse().ok());
    let (Some(number), Some(name)) = (number, parts.next()) else {
        return Err(StoreError::Malformed(quote(&format!("{key} value"))));
    };
    Ok(Some((number, name.to_owned(), Duration::from_millis(u64::try_from(replies.1).unwrap_or(0)))))
}

/// Whether the request may have arrived, and may succeed if it is sent again: the connection was lost, the reply is late, or the
/// server is loading, failing over, or not reachable.
#[must_use]
pub fn may_pass(error: &StoreError) -> bool {
    const CODES: [&str; 6] = ["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED"];
    let StoreError::Redis(error) = error else { return false };
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.kind() == ErrorKind::ClusterConnectionNotFound
        || error.code().is_some_and(|code| CODES.contains(&code))
}

/// Between half of the pause and all of it, so that many waiters do not ask at the same moment.
#[must_use]
pub fn with_jitter(pause: Duration) -> Duration {
    let mut random = [0];
    // Without random bits, the whole pause.
    let share = getrandom::fill(&mut random).map_or(256, |()| 128 + u32::from(random[0]) / 2);
    pause * share / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_letters_and_digits_and_differ() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(Token::parse(one.as_str()), Some(one));
        for text in ["", "a:b", "é", "a b", &"a".repeat(65)] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_lease_ends_a_twentieth_early_and_never_overflows() {
        let asked = Instant::now();
        let lease = Lease::asked_at(asked, Duration::from_secs(20));
        assert_eq!(lease.ends() - asked, Duration::from_secs(19));
        assert!(Lease::asked_at(asked, Duration::MAX).is_held());
        assert!(!Lease::asked_at(asked, Duration::ZERO).is_held());
    }

    #[test]
    fn jitter_takes_at_most_half_of_a_pause() {
        for _ in 0..100 {
            let pause = with_jitter(Duration::from_millis(100));
            assert!((50..=100).contains(&pause.as_millis()), "{pause:?}");
        }
    }
}
