//! The keys of a lesson, kept while a console is open, and put back afterward.

use std::collections::{BTreeMap, BTreeSet};

use lab_connection::server_info::server_time;
use lab_connection::{Connection, Target, own_keys};
use redis::{RedisResult, Value};

/// With more keys than this, none is kept.
const MOST_KEYS: usize = 2_000;
/// With more data than this, none is kept. In bytes of the server's memory.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// Keys that one pipeline asks for.
const BATCH: usize = 100;
/// The lock of the run renews itself.
const RUN_LOCK: &str = "redis-lab:run-lock";

/// Every key behind the prefix of a server, as it was when a console was opened.
pub struct KeptKeys {
    keys: BTreeMap<Vec<u8>, State>,
}

/// The value of a key in the server's own format, and the time at which it expires: in milliseconds since 1970, or -1 for never.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    dump: Vec<u8>,
    expires: i64,
}

/// What was put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutBack {
    /// Keys that had changed or were gone.
    pub restored: Vec<Vec<u8>>,
    /// Keys that had been added.
    pub removed: Vec<Vec<u8>>,
}

impl KeptKeys {
    /// Reads all keys behind the prefix. If they are too many or too big, or the server is too old, an error says why none is kept.
    pub async fn take(target: &Target) -> Result<Self, String> {
        if !target.can("PEXPIRETIME").await {
            return Err("this server has no PEXPIRETIME, which came with Redis 7.0".into());
        }
        Self::read_all(target).await.map_err(|error| target.explain(&error).what().to_owned())?
    }

    /// How many keys are kept.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    async fn read_all(target: &Target) -> RedisResult<Result<Self, String>> {
        let mut connection = target.connection();
        let names = names(target, &mut connection, MOST_KEYS + 2).await?;
        if names.len() > MOST_KEYS {
            return Ok(Err(format!("there are more than {MOST_KEYS} keys")));
        }
        let names: Vec<Vec<u8>> = names.into_iter().collect();
        let mut bytes = 0;
        for batch in names.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for name in batch {
                pipeline.cmd("MEMORY").arg("USAGE").arg(name);
            }
            let sizes: Vec<Option<u64>> = pipeline.query_async(&mut connection).await?;
            bytes += sizes.into_iter().flatten().sum::<u64>();
            if bytes > MOST_BYTES {
                return Ok(Err(format!("they take more than {} MB", MOST_BYTES >> 20)));
            }
        }
        Ok(Ok(Self { keys: states(&mut connection, &names).await? }))
    }

    /// Puts back what has changed since, and removes what was added. A key that has expired meanwhile stays away.
    pub async fn put_back(&self, target: &Target) -> RedisResult<PutBack> {
        let mut connection = target.connection();
        let now_there = names(target, &mut connection, usize::MAX).await?;
        let removed: Vec<Vec<u8>> =
            now_there.into_iter().filter(|name| !self.keys.contains_key(name)).collect();
        own_keys::unlink(&mut connection, &removed).await?;
        let kept: Vec<Vec<u8>> = self.keys.keys().cloned().collect();
        let states = states(&mut connection, &kept).await?;
        let now = server_time(&mut connection).await?;
        let mut restored = Vec::new();
        for (name, before) in &self.keys {
            let has_expired = before.expires >= 0 && before.expires <= now;
            let after = states.get(name);
            if after == Some(before) || has_expired && after.is_none() {
                continue;
            }
            restore(&mut connection, name, before, has_expired).await?;
            restored.push(name.clone());
        }
        Ok(PutBack { restored, removed })
    }
}

/// The names of the keys behind the prefix, without the lock of the run.
async fn names(target: &Target, connection: &mut Connection, limit: usize) -> RedisResult<BTreeSet<Vec<u8>>> {
    let lock = format!("{}{RUN_LOCK}", target.prefix()).into_bytes();
    let found = own_keys::matching(connection, &format!("{}*", target.prefix()), limit).await?;
    Ok(found.into_iter().filter(|name| *name != lock).collect())
}

async fn states(connection: &mut Connection, names: &[Vec<u8>]) -> RedisResult<BTreeMap<Vec<u8>, State>> {
    let mut found = BTreeMap::new();
    for batch in names.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for name in batch {
            pipeline.cmd("DUMP").arg(name).cmd("PEXPIRETIME").arg(name);
        }
        let replies: Vec<Value> = pipeline.query_async(connection).await?;
        for (name, reply) in batch.iter().zip(replies.chunks_exact(2)) {
            if let [Value::BulkString(dump), Value::Int(expires)] = reply {
                found.insert(name.clone(), State { dump: dump.clone(), expires: *expires });
            }
        }
    }
    Ok(found)
}

async fn restore(
    connection: &mut Connection,
    name: &[u8],
    state: &State,
    has_expired: bool,
) -> RedisResult<()> {
    if has_expired {
        own_keys::unlink(connection, &[name]).await?;
        return Ok(());
    }
    let mut command = redis::cmd("RESTORE");
    command.arg(name).arg(state.expires.max(0)).arg(&state.dump).arg("REPLACE");
    if state.expires >= 0 {
        command.arg("ABSTTL");
    }
    command.exec_async(connection).await
}
