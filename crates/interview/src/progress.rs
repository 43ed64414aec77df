//! What is due when: kept in Redis, on your server or in a file of your own.
//!
//! A question is named by the [slug](crate::guide::Question::slug) of its title, so that a new number changes nothing.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `interview:due` | `{interview}:due` | Sorted Set | question -> when it is due, milliseconds since 1970 |
//! | `interview:state` | `{interview}:state` | Hash | question -> JSON: interval, how often seen and missed, the last grade |
//!
//! The rule, by the server's clock:
//!
//! | grade | due in | and the next `good` is due in |
//! |---|---|---|
//! | again | a minute | a day |
//! | hard | a day | two days |
//! | good | a day the first time, then twice as long as the last time, half a year at most | twice that |

mod saved;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use lab_connection::server_info::server_time;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::Terminal;
use lab_server::Choice;
use redis::{AsyncCommands, RedisResult, Script};
use serde::Serialize;

use saved::Saved;

static GRADE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("progress/scripts/grade.lua")));

const AFTER_AGAIN_MS: u64 = 60_000;
const SHORTEST_MS: u64 = 24 * 3_600_000;
const LONGEST_MS: u64 = 180 * SHORTEST_MS;

/// How well you knew the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Not at all.
    Again,
    /// With effort.
    Hard,
    /// Well.
    Good,
}

impl Grade {
    /// As `grade.lua` takes it and the state keeps it: `again`, `hard`, or `good`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Hard => "hard",
            Self::Good => "good",
        }
    }
}

/// What is due when.
#[derive(Clone, Debug, Default)]
pub struct DueTimes {
    /// The server's clock, milliseconds since 1970.
    pub now: i64,
    /// When each question that was ever graded is due, by its slug; milliseconds since 1970.
    pub due: HashMap<String, i64>,
}

/// The progress of one person.
pub struct Progress {
    target: Target,
    due_key: String,
    state_key: String,
    // Last, so that the connections are closed before its server ends.
    saved: Option<Saved>,
}

impl Progress {
    /// Opens it: on the server that was named (by flags or by `REDIS_URL`), else from the file. `choice` is the program
    /// that reads the file.
    pub async fn open(args: &TargetArgs, choice: &Choice) -> Result<Self, Failure> {
        let (target, saved) = if args.names_a_server() {
            let target = args.open().await?;
            Terminal.note(&format!("Progress: {}", target.describe()));
            (target, None)
        } else {
            let (choice, args) = (choice.clone(), args.clone());
            let saved = crate::blocking(move || Saved::open(&choice)).await??;
            let here = TargetArgs { db: args.db, prefix: args.prefix, ..TargetArgs::at(saved.url()) };
            Terminal.note(&format!("Progress: {}", saved.describe()));
            (here.open().await?, Some(saved))
        };
        // One script touches both keys, so on a cluster they share a slot.
        let name = if target.is_cluster() { "{interview}" } else { "interview" };
        let key = |last: &str| format!("{}{name}:{last}", target.prefix());
        Ok(Self { due_key: key("due"), state_key: key("state"), target, saved })
    }

    /// What is due when.
    pub async fn due_times(&self) -> Result<DueTimes, Failure> {
        let mut redis = self.target.connection();
        let read = async {
            let now = server_time(&mut redis).await?;
            let due: Vec<(String, f64)> = redis.zrange_withscores(&self.due_key, 0, -1).await?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "milliseconds since 1970 are exact in a double"
            )]
            let due = due.into_iter().map(|(slug, due)| (slug, due as i64)).collect();
            RedisResult::Ok(DueTimes { now, due })
        };
        read.await.map_err(|error| self.target.explain(&error))
    }

    /// Notes a grade and returns after what time the question is due. It is kept when this returns.
    pub async fn grade(&self, slug: &str, grade: Grade) -> Result<Duration, Failure> {
        let mut redis = self.target.connection();
        let mut call = GRADE.key(&self.due_key);
        call.key(&self.state_key)
            .arg(slug)
            .arg(grade.name())
            .arg(AFTER_AGAIN_MS)
            .arg(SHORTEST_MS)
            .arg(LONGEST_MS);
        let write = async {
            let after: u64 = call.invoke_async(&mut redis).await?;
            if self.saved.is_some() {
                redis::cmd("SAVE").exec_async(&mut redis).await?;
            }
            RedisResult::Ok(Duration::from_millis(after))
        };
        write.await.map_err(|error| self.target.explain(&error))
    }
}
