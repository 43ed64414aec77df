//! Pauses that grow with failed logins.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;
use redis::aio::ConnectionLike;

use crate::script;
use crate::store::{Reply, StoreError};
use crate::{CustomerId, Keys};

static ATTEMPT: LazyLock<Script> = LazyLock::new(|| script(include_str!("scripts/attempt.lua")));
static SUCCEEDED: LazyLock<Script> = LazyLock::new(|| script(include_str!("scripts/succeeded.lua")));

fn script(body: &str) -> Script {
    Script::new(&[include_str!("scripts/text_at.lua"), body].concat())
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

    /// For accounts: the 10th failure, and at most a minute. Anybody can fail in somebody else's name, so what a botnet can do
    /// to an owner is kept short; it still has to be content with some 1,500 passwords a day.
    pub const OF_ACCOUNTS: Self = Self {
        attempts: NonZeroU32::new(10).unwrap(),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_mins(1),
        remembered: Duration::from_hours(24),
    };

    /// Rules: attempts before the first pause; the first pause, from a millisecond; the longest, not shorter than that; and how
    /// long attempts are remembered, which is longer than any pause and at most a year. Parts of a millisecond are cut off.
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

/// Why there are no such rules.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A pause of nothing, or a longest one that is shorter than the first.
    #[error(
        "the first pause, {first_pause:?}, must be some time, and the longest, {longest_pause:?}, no less"
    )]
    Pauses {
        /// What was given.
        first_pause: Duration,
        /// What was given.
        longest_pause: Duration,
    },
    /// Failures would be forgotten before their pause is over, or never.
    #[error(
        "failures must be remembered for longer than any pause and at most a year, not for {remembered:?}"
    )]
    Remembered {
        /// What was given.
        remembered: Duration,
    },
}

/// What becomes of a login attempt.
#[must_use = "a blocked attempt has to be turned away, before the password is looked at"]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attempt {
    /// The password may be looked at. If it is right, say so with [`LoginGuard::succeeded`]; if not, nothing is left to do.
    Allowed {
        /// How many more attempts may fail before a pause; of address and account, the lower number.
        left: u32,
        /// The pause that began with this attempt, zero if none did; of address and account, the longer.
        pause: Duration,
    },
    /// The password must not be looked at, and the answer must not depend on it.
    Blocked {
        /// How long the pause still lasts, to the millisecond; `None` if it has no end.
        retry_after: Option<Duration>,
    },
}

/// Stops those who guess passwords: after some failures from one address, each further one is followed by a longer pause.
///
/// # An attempt counts before it fails
///
/// Asking "is he blocked?" first and counting the failure afterwards lets in all who ask at the same time. So
/// [`LoginGuard::attempt`] does both in one step, before the password is looked at, and a success takes it back. The attempt
/// that uses up the last one begins the pause at once: of any number at a time, exactly as many as the rules allow get
/// through. A client that dies in between has used an attempt.
///
/// # Addresses and accounts
///
/// By address alone, a botnet tries one account from thousands of addresses; and whoever has an account of his own resets his
/// address by logging in to it between two guesses. By account alone, anybody locks out anybody, and one address tries one
/// password on thousands of accounts. Name the account too, and both are counted, the account by milder rules.
///
/// A person can block for good: `SET blocked_ip:203.0.113.7 by_hand`. A key without a TTL stays, whoever logs in.
///
/// ```
/// use storefront::limits::{Attempt, LoginGuard};
/// use storefront::{Keys, Layout};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let server = lab_server::Server::start()?;
/// let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
/// let guard = LoginGuard::new(connection, Keys::new("", Layout::Standalone));
/// let address = "203.0.113.7".parse()?;
///
/// for _ in 0..5 {
///     assert!(matches!(guard.attempt(address, None).await?, Attempt::Allowed { .. }));
///     // The password is wrong.
/// }
/// assert!(matches!(guard.attempt(address, None).await?, Attempt::Blocked { retry_after: Some(_) }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LoginGuard<C> {
    connection: C,
    keys: Keys,
    of_addresses: LoginRules,
    of_accounts: LoginRules,
}

impl<C: ConnectionLike + Clone> LoginGuard<C> {
    /// A guard with [`LoginRules::OF_ADDRESSES`] and [`LoginRules::OF_ACCOUNTS`].
    pub fn new(connection: C, keys: Keys) -> Self {
        let (of_addresses, of_accounts) = (LoginRules::OF_ADDRESSES, LoginRules::OF_ACCOUNTS);
        Self { connection, keys, of_addresses, of_accounts }
    }

    /// Other rules.
    #[must_use]
    pub fn with_rules(mut self, of_addresses: LoginRules, of_accounts: LoginRules) -> Self {
        (self.of_addresses, self.of_accounts) = (of_addresses, of_accounts);
        self
    }

    /// Takes an attempt, or not: to be asked before the password is looked at. An attempt while blocked counts nowhere and
    /// makes no pause longer.
    ///
    /// One round trip; with an account a second one, if the address is not blocked. If then the account is, the attempt still
    /// counts for the address.
    pub async fn attempt(
        &self,
        address: IpAddr,
        account: Option<&CustomerId>,
    ) -> Result<Attempt, StoreError> {
        let of_address = self.take(&self.keys_of_address(address), self.of_addresses).await?;
        let (Attempt::Allowed { left, pause }, Some(account)) = (of_address, account) else {
            return Ok(of_address);
        };
        Ok(match self.take(&self.keys_of_account(account), self.of_accounts).await? {
            Attempt::Allowed { left: also_left, pause: also_pause } => {
                Attempt::Allowed { left: left.min(also_left), pause: pause.max(also_pause) }
            }
            blocked @ Attempt::Blocked { .. } => blocked,
        })
    }

    /// The password was right: forgets the attempts of this address and account. One round trip, and with an account a second
    /// one.
    pub async fn succeeded(&self, address: IpAddr, account: Option<&CustomerId>) -> Result<(), StoreError> {
        self.forget(&self.keys_of_address(address)).await?;
        match account {
            Some(account) => self.forget(&self.keys_of_account(account)).await,
            None => Ok(()),
        }
    }

    async fn take(&self, keys: &[String; 2], rules: LoginRules) -> Result<Attempt, StoreError> {
        let mut call = ATTEMPT.key(keys);
        call.arg(rules.attempts.get());
        for time in [rules.first_pause, rules.longest_pause, rules.remembered] {
            // The rules allow no more than a year.
            call.arg(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        }
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "ALLOWED" => {
                let left = reply.next()?;
                Ok(Attempt::Allowed { left, pause: Duration::from_millis(reply.next()?) })
            }
            "BLOCKED" => {
                let left = reply.next::<i64>()?;
                Ok(Attempt::Blocked { retry_after: u64::try_from(left).ok().map(Duration::from_millis) })
            }
            _ => Err(reply.into_error()),
        }
    }

    async fn forget(&self, keys: &[String; 2]) -> Result<(), StoreError> {
        let reply: Reply = script::run(&SUCCEEDED.key(keys), &self.connection).await?;
        if reply.outcome == "FORGOTTEN" { Ok(()) } else { Err(reply.into_error()) }
    }

    fn keys_of_address(&self, address: IpAddr) -> [String; 2] {
        [self.keys.failed_login(address), self.keys.blocked_ip(address)]
    }

    fn keys_of_account(&self, account: &CustomerId) -> [String; 2] {
        [self.keys.failed_login_of_account(account), self.keys.blocked_account(account)]
    }
}
