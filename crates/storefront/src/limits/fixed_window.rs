//! A counter whose key ends with its window.

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{RedisError, Value};

use super::recorded_time::Scripts;
use super::{Admission, Limit};
use crate::Layout;
use crate::store::StoreError;

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| {
    Scripts::new(
        include_str!("scripts/fixed_window_live.lua"),
        include_str!("scripts/fixed_window_recorded.lua"),
        include_str!("scripts/fixed_window.lua"),
    )
});

/// How a fixed window counts. Both ways give the same answers.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Counting {
    /// By a script. Works everywhere.
    #[default]
    Script,
    /// By `INCREX key BYINT cost UBOUND most PX length ENX`, which counts up to a bound and gives a TTL to a key that has
    /// none: Redis 8.8, Valkey 9.2 and newer. On one server a `PTTL` is sent along with it, in the same round trip; on a
    /// cluster it follows a refusal. A refusal that finds somebody else's counter without a TTL takes one more round trip,
    /// to give it one.
    Increx,
}

impl Counting {
    /// The best way this server has, asked with `COMMAND INFO`. One round trip.
    pub async fn of_server(connection: &mut impl ConnectionLike) -> Result<Self, RedisError> {
        let known: Vec<Value> =
            redis::cmd("COMMAND").arg("INFO").arg("INCREX").query_async(connection).await?;
        let known = known.first().is_some_and(|info| !matches!(info, Value::Nil));
        Ok(if known { Self::Increx } else { Self::Script })
    }
}

/// One request by INCREX. A result in a result, as [`Limiter`](super::Limiter) tells a key of another type from the rest.
pub(super) async fn by_increx<C: ConnectionLike + Clone>(
    connection: &C,
    layout: Layout,
    key: &str,
    cost: NonZeroU32,
    limit: &Limit,
) -> Result<Result<Admission, StoreError>, RedisError> {
    let mut connection = connection.clone();
    let (most, length) = (limit.most(), limit.window().milliseconds());
    let mut count_up = redis::cmd("INCREX");
    count_up.arg(key).arg("BYINT").arg(cost.get());
    count_up.arg("UBOUND").arg(most).arg("PX").arg(length).arg("ENX");
    let mut ask = redis::cmd("PTTL");
    ask.arg(key);
    let ((count, added), left): ((i64, i64), i64) = match layout {
        Layout::Standalone => {
            redis::pipe().add_command(count_up).add_command(ask).query_async(&mut connection).await?
        }
        // A cluster's client that meets ASK in the middle of a pipeline sends all of it again: it would count again.
        Layout::Cluster => {
            let (count, added): (i64, i64) = count_up.query_async(&mut connection).await?;
            if added > 0 {
                ((count, added), 0)
            } else {
                ((count, added), ask.query_async(&mut connection).await?)
            }
        }
    };

    // Somebody else may have written any number there.
    let remaining = i64::from(most).saturating_sub(count).max(0);
    let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
    if added > 0 {
        return Ok(Ok(Admission::admitted(remaining)));
    }
    if left == -1 {
        redis::cmd("PEXPIRE").arg(key).arg(length).arg("NX").exec_async(&mut connection).await?;
    }
    let wait = u64::try_from(left).unwrap_or(if left == -1 { length } else { 0 });
    Ok(Ok(Admission::refused(remaining, Duration::from_millis(wait))))
}
