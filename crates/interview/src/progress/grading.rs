//! Grades, and how they are noted: one script.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use lab_connection::Connection;
use redis::{RedisResult, Script};

use super::Standing;
use super::keys::Keys;

static GRADE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/grade.lua")));

const AFTER_AGAIN: Duration = Duration::from_mins(1);
const SHORTEST: Duration = Duration::from_hours(24);
const LONGEST: Duration = Duration::from_hours(180 * 24);

/// How well one knew the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grade {
    /// Not at all.
    Again,
    /// With effort.
    Hard,
    /// Well.
    Good,
}

impl Grade {
    /// As it is kept and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Hard => "hard",
            Self::Good => "good",
        }
    }
}

pub(super) async fn standing(connection: &mut Connection, keys: &Keys) -> RedisResult<Standing> {
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
    let due: Vec<(String, f64)> =
        redis::cmd("ZRANGE").arg(&keys.due).arg(0).arg(-1).arg("WITHSCORES").query_async(connection).await?;
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are exact in a double")]
    let due: HashMap<String, i64> = due.into_iter().map(|(slug, due)| (slug, due as i64)).collect();
    Ok(Standing { now: seconds * 1000 + micros / 1000, due })
}

pub(super) async fn grade(
    connection: &mut Connection,
    keys: &Keys,
    slug: &str,
    grade: Grade,
) -> RedisResult<Duration> {
    let mut call = GRADE.key(&keys.due);
    call.key(&keys.state).arg(slug).arg(grade.name());
    for time in [AFTER_AGAIN, SHORTEST, LONGEST] {
        call.arg(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
    let after: u64 = call.invoke_async(connection).await?;
    Ok(Duration::from_millis(after))
}
