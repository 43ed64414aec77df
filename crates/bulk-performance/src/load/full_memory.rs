//! What a server with a memory limit does to a load: it refuses records, or it evicts them.

use std::collections::BTreeSet;

use lab_connection::failure::Class;
use lab_connection::{Failure, Target};
use redis::{RedisResult, Value, cmd};

use super::plan::{Kind, LoadPlan};
use crate::keys::Keys;

/// How many keys one pipeline asks for.
const KEYS_PER_PIPELINE: u64 = 1_000;
/// The most records that the loader has on their way at once.
const MAX_IN_FLIGHT: u64 = 65_536;

/// What the nodes say about eviction.
#[derive(Debug, Default)]
pub(crate) struct Evictions {
    keys: u64,
    policies: BTreeSet<String>,
}

impl Evictions {
    /// Asks every node. A user who may not run INFO gets zeros.
    pub(crate) async fn count(target: &Target) -> Self {
        let mut evictions = Self::default();
        for section in ["stats", "memory"] {
            let reply: RedisResult<Value> =
                cmd("INFO").arg(section).query_async(&mut target.connection()).await;
            if let Ok(reply) = reply {
                evictions.read(reply);
            }
        }
        evictions
    }

    fn read(&mut self, reply: Value) {
        match reply {
            Value::Map(nodes) => nodes.into_iter().for_each(|(_, info)| self.read(info)),
            Value::Array(parts) => parts.into_iter().for_each(|info| self.read(info)),
            info => {
                let info: String = redis::from_redis_value(info).unwrap_or_default();
                for (field, value) in info.lines().filter_map(|line| line.trim_end().split_once(':')) {
                    match field {
                        "evicted_keys" => self.keys += value.parse::<u64>().unwrap_or(0),
                        "maxmemory_policy" => {
                            self.policies.insert(value.to_owned());
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// The failure of a load during which the server evicted keys; none if it evicted none.
    pub(crate) fn failure_since(&self, before: &Self, plan: &LoadPlan) -> Option<Failure> {
        let evicted = self.keys.checked_sub(before.keys).filter(|evicted| *evicted > 0)?;
        let policies = self.policies.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let failure = Failure::new(
            Class::OutOfMemory,
            format!("The server evicted {evicted} keys during the load, so records are missing."),
            format!(
                "Its memory is full (maxmemory), and its policy is {policies} (evicted_keys: {}).",
                self.keys
            ),
        )
        .try_next(
            "raise maxmemory, or set maxmemory-policy noeviction: then a full server refuses records instead",
        )
        .try_next(format!("cargo bulk load --kind {} with fewer --records", plan.kind.name()));
        Some(failure)
    }
}

/// How many records of this load the server has without a gap, if it can be asked.
pub(crate) async fn records_kept(target: &Target, plan: &LoadPlan) -> Option<u64> {
    let keys = Keys::new(target.prefix());
    let mut connection = target.connection();
    if plan.kind == Kind::List {
        return cmd("LLEN").arg(keys.biglist()).query_async(&mut connection).await.ok();
    }
    let exist = async |numbers: &[u64]| -> Option<Vec<bool>> {
        let mut pipeline = redis::pipe();
        for number in numbers {
            let key = match plan.kind {
                Kind::Strings => keys.user_text(*number),
                Kind::Users | Kind::List => keys.user(*number),
            };
            pipeline.cmd("EXISTS").arg(key);
        }
        pipeline.query_async(&mut connection.clone()).await.ok()
    };
    // Records are written in order, so where they end is found by halves. The server may have refused one record and taken a later
    // one that was on its way at the same time, so the first gap is looked for in as many as can be on their way.
    let (mut present, mut missing) = (0, plan.records + 1);
    while missing - present > 1 {
        let middle = present + (missing - present) / 2;
        if exist(&[middle]).await?[0] { present = middle } else { missing = middle }
    }
    let mut first = present.saturating_sub(MAX_IN_FLIGHT) + 1;
    while first < missing {
        let numbers: Vec<u64> = (first..missing.min(first + KEYS_PER_PIPELINE)).collect();
        let found = exist(&numbers).await?;
        if let Some(gap) = found.iter().position(|there| !there) {
            return Some(numbers[gap] - 1);
        }
        first += KEYS_PER_PIPELINE;
    }
    Some(missing - 1)
}
