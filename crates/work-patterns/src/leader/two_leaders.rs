//! Elections in which two candidates come at the same moment.

use futures_util::future::try_join;
use lab_connection::{Connection, Target, own_keys};
use lab_runner::concurrent::try_join_all;
use lab_runner::{BoxError, labeled};
use patterns::leader::{Candidate, Elections, Standing};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

labeled! {
    /// How a candidate is elected.
    pub enum Way {
        /// GET, and SET if nobody leads.
        GetAndSet => "GET, then SET",
        /// [`Elections::campaign`].
        Campaign => "one script",
    }
}

/// Every key that this file writes.
pub(super) fn keys(target: &Target, elections: usize) -> Result<Vec<String>, BoxError> {
    let office = Elections::new(target.connection(), target.prefix());
    let keys = (0..elections).map(|election| office.keys(&format!("at-once-{election}")));
    Ok(keys.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Holds so many elections. Returns how many have two leaders.
pub async fn elections_with_two_leaders(
    way: Way,
    target: &Target,
    elections: usize,
) -> Result<usize, BoxError> {
    let office = Elections::new(target.connection(), target.prefix());
    let held = (0..elections).map(|election| {
        let office = &office;
        async move {
            let (election, barrier) = (format!("at-once-{election}"), Barrier::new(2));
            let stand = async |name: &str| -> Result<bool, BoxError> {
                match way {
                    Way::GetAndSet => {
                        let [key, _] = office.keys(&election)?;
                        Ok(by_get_and_set(target.connection(), &key, name, &barrier).await?)
                    }
                    Way::Campaign => {
                        barrier.wait().await;
                        let standing = office.campaign(&election, &Candidate::new(name)?).await?;
                        Ok(matches!(standing, Standing::Leads(_)))
                    }
                }
            };
            try_join(stand("worker-1"), stand("worker-2")).await
        }
    });
    let leaders = try_join_all(held.collect::<Vec<_>>()).await?;
    own_keys::unlink(&mut target.connection(), &keys(target, elections)?).await?;
    Ok(leaders.into_iter().filter(|leaders| *leaders == (true, true)).count())
}

/// Whether the candidate believes that it leads.
async fn by_get_and_set(
    mut redis: Connection,
    key: &str,
    name: &str,
    barrier: &Barrier,
) -> RedisResult<bool> {
    let leader = redis.get(key).await?;
    // Both have read when the barrier opens.
    barrier.wait().await;
    if leader.is_none() {
        redis.set(key, name).await?;
    }
    Ok(leader.is_none())
}
