//! Ways to stop those who guess passwords, and how many guesses get through.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::try_join_all;
use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use patterns::login_guard::{Attempt, Guarded, LoginGuard, LoginRules};
use redis::AsyncTypedCommands;
use tokio::sync::Barrier;

use super::failed;

/// The failures after which an address is blocked.
pub(super) const FREE: NonZeroU32 = NonZeroU32::new(5).unwrap();

/// When a failure is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardLogin {
    /// EXISTS of the block, then the password, then INCR of the failures, and SET of the block if they are too many; all have
    /// looked at the block before the first has failed.
    CountAfterwards,
    /// The guard's script, before the password.
    CountBefore,
}

impl GuardLogin {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::CountAfterwards, Self::CountBefore];

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::CountAfterwards => "counted when they fail",
            Self::CountBefore => "counted when they begin",
        }
    }

    /// The address that guesses.
    #[must_use]
    pub fn address(self) -> IpAddr {
        match self {
            Self::CountAfterwards => IpAddr::from([203, 0, 113, 8]),
            Self::CountBefore => IpAddr::from([203, 0, 113, 9]),
        }
    }

    /// Lets so many guesses arrive together, and returns how many passwords were looked at.
    pub async fn crowd(self, target: &Target, guesses: usize) -> Result<usize, LessonError> {
        let together = Barrier::new(guesses);
        let connection = target.connection();
        // A pause that outlasts the crowd: a first one of a second might be over before the last guess arrives.
        let pause = Duration::from_mins(15);
        let rules = LoginRules::new(FREE, pause, pause, Duration::from_hours(24))
            .map_err(|error| LessonError::Check(error.to_string()))?;
        let guard =
            LoginGuard::new(connection.clone(), target.prefix()).with_rules(rules, LoginRules::OF_ACCOUNTS);
        let all = (0..guesses).map(|_| self.guess(connection.clone(), &guard, &together));
        let looked_at = try_join_all(all.collect::<Vec<_>>()).await?;
        Ok(looked_at.into_iter().filter(|looked_at| *looked_at).count())
    }

    /// Whether the password was looked at. It is wrong.
    async fn guess(
        self,
        redis: Connection,
        guard: &LoginGuard<Connection>,
        together: &Barrier,
    ) -> Result<bool, LessonError> {
        match self {
            Self::CountAfterwards => self.count_afterwards(redis, guard, together).await,
            Self::CountBefore => {
                let attempt = guard.attempt(self.address(), None).await.map_err(failed)?;
                Ok(matches!(attempt, Attempt::Allowed { .. }))
            }
        }
    }

    async fn count_afterwards(
        self,
        mut redis: Connection,
        guard: &LoginGuard<Connection>,
        together: &Barrier,
    ) -> Result<bool, LessonError> {
        let keys = guard.keys(Guarded::Address(self.address())).map_err(failed)?;
        let (failures, block) = (keys.attempts, keys.published);
        let blocked = redis.exists(&block).await?;
        together.wait().await;
        if blocked {
            return Ok(false);
        }
        // The password is looked at here, and is wrong.
        let count: u32 = redis::cmd("INCR").arg(&failures).query_async(&mut redis).await?;
        if count >= FREE.get() {
            redis.set_ex(&block, "1", 60).await?;
        }
        Ok(true)
    }
}
