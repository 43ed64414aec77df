//! Login guard: pauses that grow with failed logins, for addresses and accounts.
//!
//! The naive way asks "is this address blocked?", checks the password, and then counts the failure. All attempts that arrive at
//! the same time pass. Here an attempt counts before the password is checked, in the same step that reads the block, and a
//! success takes it back. The last allowed attempt begins the pause at once. So of any number of attempts at once, exactly as
//! many as the rules allow pass. A client that crashes in between has used an attempt.
//!
//! If you limit only addresses, a botnet tries one account from thousands of addresses, and an attacker with an account resets
//! their address by logging in between two guesses. If you limit only accounts, an attacker locks out any user, and one address
//! tries one password on thousands of accounts. So pass the account too: both are counted, the account by milder rules.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `failed_login:203.0.113.7` | String | the number of attempts; expires a day after the last one |
//! | `failed_login:{failed_login:203.0.113.7}:block` | String | the pause in ms; expires with it. The guard uses this key to
//! decide |
//! | `blocked_ip:203.0.113.7` | String | the same for others to read, such as a firewall; the guard never reads it |
//! | `failed_login:account:user123`, its `:block`, `blocked_account:user123` | String | the same for an account |
//!
//! All addresses of one IPv6 network (/64) count as one address, `2001:db8:1:2::/64`.
//!
//! - **Promise**: the rules hold for any number of attempts at once. An attempt while blocked does not count and does not
//!   extend the pause.
//! - **Cost**: one round trip for an address, one more for an account, and two more when a pause begins.
//! - **Memory**: two or three short keys for each address and account with a failure in the last day.
//! - **Faults**: if `failed_login` is evicted or a failover loses the last writes, those attempts are forgotten. If only the
//!   block is lost, the pause ends early, and the next failure begins a longer one. If a client crashes when a pause begins,
//!   the next attempt writes `blocked_ip`. If the clock is set back, a pause starts over at the next attempt; if it is set
//!   forward, pauses and memories end early. An attempt that is sent twice counts twice. If Redis cannot be reached, every call
//!   is an error: refuse the login then, or guesses are free.
//!
//! ```
//! use patterns::login_guard::{Attempt, LoginGuard};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let guard = LoginGuard::new(connection, "");
//! let address = "203.0.113.7".parse()?;
//!
//! for _ in 0..5 {
//!     // The password is wrong each time.
//!     assert!(matches!(guard.attempt(address, Some("ann@example.com")).await?, Attempt::Allowed { .. }));
//! }
//! assert!(matches!(guard.attempt(address, None).await?, Attempt::Blocked { retry_after: Some(_) }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::Key;
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds, send};

const FILE: &str = include_str!("login_guard.lua");

/// Counts one attempt, before the password is checked.
pub static ATTEMPT: Script = Script::new("login_guard.lua: attempt", FILE, &["attempt"]);
/// Notes that the public key says the same now.
pub static PUBLISHED: Script = Script::new("login_guard.lua: published", FILE, &["published"]);
/// Forgets the attempts and ends their pause.
pub static FORGET: Script = Script::new("login_guard.lua: forget", FILE, &["forget"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&ATTEMPT, &PUBLISHED, &FORGET])
}

/// How many logins may fail, and what follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoginRules {
    attempts: NonZeroU32,
    first_pause: Duration,
    longest_pause: Duration,
    remembered: Duration,
}

impl LoginRules {
    /// For addresses: a pause of 1 s after the 5th failure, twice as long after each further one, at most 15 minutes. Failures
    /// are remembered for a day after the last attempt.
    pub const OF_ADDRESSES: Self = Self {
        attempts: NonZeroU32::new(5).unwrap(),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_mins(15),
        remembered: Duration::from_hours(24),
    };

    /// For accounts: a pause after the 10th failure, at most a minute. An attacker can fail with another user's name, so the
    /// pause is short for the owner's sake. A botnet still gets no more than about 1,500 guesses a day.
    pub const OF_ACCOUNTS: Self = Self {
        attempts: NonZeroU32::new(10).unwrap(),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_mins(1),
        remembered: Duration::from_hours(24),
    };

    /// Rules: the attempts before the first pause; the first pause, at least a millisecond; the longest pause, not shorter than
    /// the first; and how long attempts are remembered, which is longer than any pause and at most a year. Fractions of a
    /// millisecond are dropped.
    pub fn new(
        attempts: NonZeroU32,
        first_pause: Duration,
        longest_pause: Duration,
        remembered: Duration,
    ) -> Result<Self, RulesError> {
        let a_year = Duration::from_hours(365 * 24);
        if first_pause.as_millis() == 0 || longest_pause < first_pause {
            return Err(RulesError::Pauses { first_pause, longest_pause });
        }
        if remembered.as_millis() <= longest_pause.as_millis() || remembered > a_year {
            return Err(RulesError::Remembered { remembered });
        }
        Ok(Self { attempts, first_pause, longest_pause, remembered })
    }
}

/// What becomes of a login attempt.
#[must_use = "a blocked attempt has to be turned away, before the password is looked at"]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attempt {
    /// Check the password. If it is right, call [`LoginGuard::succeeded`]. If not, there is nothing more to do.
    Allowed {
        /// How many more attempts may fail before a pause: the lower number of address and account.
        left: u32,
        /// The pause that began with this attempt, or zero: the longer one of address and account.
        pause: Duration,
    },
    /// Do not check the password. The response must not depend on it.
    Blocked {
        /// How long the pause still lasts; `None` if it has no end.
        retry_after: Option<Duration>,
    },
}

/// Who is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Guarded<'a> {
    /// An address, or an IPv6 network.
    Address(IpAddr),
    /// An account, by any ID.
    Account(&'a str),
}

/// The names of the keys of an address or account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GuardKeys {
    /// The number of attempts.
    pub attempts: String,
    /// The block by which the guard decides.
    pub block: String,
    /// The block for others to read.
    pub published: String,
}

/// Stops those who guess passwords.
#[derive(Clone, Debug)]
pub struct LoginGuard<C> {
    connection: C,
    prefix: String,
    of_addresses: LoginRules,
    of_accounts: LoginRules,
}

impl<C: ConnectionLike + Clone> LoginGuard<C> {
    /// A guard with [`LoginRules::OF_ADDRESSES`] and [`LoginRules::OF_ACCOUNTS`].
    pub fn new(connection: C, prefix: &str) -> Self {
        let (of_addresses, of_accounts) = (LoginRules::OF_ADDRESSES, LoginRules::OF_ACCOUNTS);
        Self { connection, prefix: prefix.to_owned(), of_addresses, of_accounts }
    }

    /// Other rules.
    #[must_use]
    pub fn with_rules(self, of_addresses: LoginRules, of_accounts: LoginRules) -> Self {
        Self { of_addresses, of_accounts, ..self }
    }

    /// Counts an attempt, or refuses it. Call it before you check the password.
    ///
    /// One round trip; with an account a second one, unless the address is blocked. If the account is blocked, the attempt
    /// still counts for the address. When a pause begins, two more round trips publish it.
    pub async fn attempt(&self, address: IpAddr, account: Option<&str>) -> Result<Attempt, StoreError> {
        let of_address = self.take(Guarded::Address(address), self.of_addresses).await?;
        let (Attempt::Allowed { left, pause }, Some(account)) = (of_address, account) else {
            return Ok(of_address);
        };
        Ok(match self.take(Guarded::Account(account), self.of_accounts).await? {
            Attempt::Allowed { left: also_left, pause: also_pause } => {
                Attempt::Allowed { left: left.min(also_left), pause: pause.max(also_pause) }
            }
            blocked @ Attempt::Blocked { .. } => blocked,
        })
    }

    /// The password was right: forgets the attempts of this address and account, and the pause that the last of them began. One
    /// round trip for each of the two, and one more for each that had a pause.
    pub async fn succeeded(&self, address: IpAddr, account: Option<&str>) -> Result<(), StoreError> {
        self.forget(Guarded::Address(address), "success").await?;
        match account {
            Some(account) => self.forget(Guarded::Account(account), "success").await,
            None => Ok(()),
        }
    }

    /// Blocks for this time, or with `None` until [`unblock`](Self::unblock). A success does not end it. Two round trips.
    pub async fn block(&self, who: Guarded<'_>, time: Option<Duration>) -> Result<(), StoreError> {
        let keys = self.keys(who)?;
        for key in [&keys.block, &keys.published] {
            let mut set = redis::cmd("SET");
            set.arg(key).arg("by_hand");
            if let Some(time) = time {
                set.arg("PX").arg(milliseconds(time));
            }
            send::<()>(&self.connection, &set).await?;
        }
        Ok(())
    }

    /// Ends any block and forgets all attempts. Two round trips.
    pub async fn unblock(&self, who: Guarded<'_>) -> Result<(), StoreError> {
        self.forget(who, "unblock").await
    }

    /// The keys of an address or account.
    pub fn keys(&self, who: Guarded<'_>) -> Result<GuardKeys, StoreError> {
        let (attempts, published) = match who {
            Guarded::Address(address) => {
                let network = network(address);
                let attempts = Key::new(&self.prefix, "failed_login", &[&network])?;
                (attempts, Key::new(&self.prefix, "blocked_ip", &[&network])?)
            }
            Guarded::Account(account) => {
                let attempts = Key::new(&self.prefix, "failed_login", &["account", account])?;
                (attempts, Key::new(&self.prefix, "blocked_account", &[account])?)
            }
        };
        Ok(GuardKeys {
            block: attempts.companion("block"),
            attempts: attempts.as_str().to_owned(),
            published: published.as_str().to_owned(),
        })
    }

    async fn take(&self, who: Guarded<'_>, rules: LoginRules) -> Result<Attempt, StoreError> {
        let keys = self.keys(who)?;
        let mut call = ATTEMPT.call(&[&keys.attempts, &keys.block]).arg(rules.attempts.get());
        for time in [rules.first_pause, rules.longest_pause, rules.remembered] {
            call = call.arg(milliseconds(time));
        }
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "ALLOWED" => {
                let (left, pause) = (reply.next()?, reply.next()?);
                if pause > 0 {
                    self.publish(&keys, pause).await?;
                }
                Ok(Attempt::Allowed { left, pause: Duration::from_millis(pause) })
            }
            "BLOCKED" => {
                let (left, is_new): (i64, bool) = (reply.next()?, reply.next()?);
                let left = u64::try_from(left).ok();
                if let (Some(left @ 1..), true) = (left, is_new) {
                    self.publish(&keys, left).await?;
                }
                Ok(Attempt::Blocked { retry_after: left.map(Duration::from_millis) })
            }
            _ => Err(reply.unexpected()),
        }
    }

    /// Writes the block to the public key, in another slot. If the client crashes before it has noted that, the next attempt
    /// repeats it.
    async fn publish(&self, keys: &GuardKeys, left: u64) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        send::<()>(&self.connection, set.arg(&keys.published).arg(left).arg("PX").arg(left)).await?;
        let call = PUBLISHED.call(&[&keys.attempts, &keys.block]);
        call.run::<Reply>(&self.connection).await?.must_be("PUBLISHED")
    }

    async fn forget(&self, who: Guarded<'_>, why: &str) -> Result<(), StoreError> {
        let keys = self.keys(who)?;
        let call = FORGET.call(&[&keys.attempts, &keys.block]).arg(why);
        let mut reply: Reply = call.run(&self.connection).await?;
        reply.must_be("FORGOTTEN")?;
        // An operator may have set only the public key.
        if reply.next()? || why == "unblock" {
            send::<()>(&self.connection, redis::cmd("UNLINK").arg(&keys.published)).await?;
        }
        Ok(())
    }
}

/// An IPv4 address, or the first 64 bits of an IPv6 address: a single customer has at least that many.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = std::net::Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("{network}/64")
        }
    }
}

/// Why there are no such rules.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The first pause is zero, or the longest pause is shorter than the first.
    #[error(
        "the first pause, {first_pause:?}, is at least a millisecond, and the longest, {longest_pause:?}, is not shorter"
    )]
    Pauses {
        /// What was given.
        first_pause: Duration,
        /// What was given.
        longest_pause: Duration,
    },
    /// Failures would be forgotten before their pause is over, or never.
    #[error("failures are remembered for longer than any pause and at most a year, not for {remembered:?}")]
    Remembered {
        /// What was given.
        remembered: Duration,
    },
}
