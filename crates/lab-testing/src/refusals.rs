//! A script that the ACL refuses must change nothing. This compares its keys before and after.

use std::sync::{Arc, Mutex, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{Arg, Cmd, RedisError, RedisResult, Value};

/// Watches the scripts of a connection.
#[derive(Clone)]
pub(crate) struct RefusalWatch {
    /// May read every key.
    admin: MultiplexedConnection,
    changes: Arc<Mutex<Vec<String>>>,
}

/// The keys of a script, with the value of each and the time at which it expires.
pub(crate) type Snapshot = Vec<(Vec<u8>, State)>;
type State = (Option<Vec<u8>>, i64);

/// Reads a key. Time stands still in a script, so a key does not expire between two of these commands.
const STATE: &str = "
local kind = redis.call('TYPE', KEYS[1]).ok
local read = ({hash = 'HGETALL', set = 'SMEMBERS'})[kind]
local parts = read and redis.call(read, KEYS[1]) or {}
return {kind, redis.call('DUMP', KEYS[1]), redis.call('PEXPIRETIME', KEYS[1]), parts}
";

impl RefusalWatch {
    pub(crate) fn new(admin: MultiplexedConnection) -> Self {
        Self { admin, changes: Arc::default() }
    }

    /// What refused scripts changed so far, in words.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys of a script, before it runs. Empty for other commands.
    pub(crate) async fn before(&self, cmd: &Cmd) -> Snapshot {
        let mut snapshot = Vec::new();
        for key in keys_of_script(cmd) {
            let state = self.state(&key).await;
            snapshot.push((key, state));
        }
        snapshot
    }

    /// Compares them, if the error is a refusal.
    pub(crate) async fn after(&self, before: Snapshot, error: Option<RedisError>) {
        let Some(error) = error.filter(is_refusal) else { return };
        for (key, state) in before {
            let now = self.state(&key).await;
            let may_have_expired = now.0.is_none() && state.1 > 0;
            if now != state && !may_have_expired {
                let key = String::from_utf8_lossy(&key);
                let change = format!("{key} was changed by a script that was then refused: {error}");
                self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
            }
        }
    }

    async fn state(&self, key: &[u8]) -> State {
        let mut admin = self.admin.clone();
        let read = redis::cmd("EVAL").arg(STATE).arg(1).arg(key).to_owned();
        let (kind, dump, expires, parts): (String, Option<Vec<u8>>, i64, Vec<Vec<u8>>) =
            read.query_async(&mut admin).await.unwrap();
        // DUMP has the fields of a Hash and the members of a Set in an order that reading alone may change.
        let width = match kind.as_str() {
            "hash" => 2,
            "set" => 1,
            _ => return (dump, expires),
        };
        let mut parts: Vec<Vec<u8>> = parts.chunks(width).map(|part| part.join(&0)).collect();
        parts.sort();
        (Some(parts.join(&0)), expires)
    }
}

/// Whether it says that the user may not do something.
pub(crate) fn is_refusal(error: &RedisError) -> bool {
    // Inside a script, a refusal has no code: the text of Valkey and Redis 8, and that of Redis 7.0.
    const TEXTS: [&str; 2] = ["ACL failure in script", "The user executing the script can't"];
    error.code() == Some("NOPERM") || {
        let text = error.to_string();
        TEXTS.iter().any(|refusal| text.contains(refusal))
    }
}

/// The keys of EVALSHA and EVAL.
fn keys_of_script(cmd: &Cmd) -> Vec<Vec<u8>> {
    let mut words = cmd.args_iter().map(|arg| match arg {
        Arg::Simple(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    });
    if !words.next().is_some_and(|name| matches!(name.as_slice(), b"EVALSHA" | b"EVAL")) {
        return Vec::new();
    }
    let number = words.nth(1).and_then(|number| String::from_utf8(number).ok()?.parse().ok()).unwrap_or(0);
    words.take(number).collect()
}

/// The error in a reply. A connection returns a server's error as a value; redis-rs turns it into an error later.
pub(crate) fn error_in(reply: &RedisResult<Value>) -> Option<RedisError> {
    match reply {
        Err(error) => Some(error.clone()),
        Ok(Value::ServerError(error)) => Some(error.clone().into()),
        Ok(_) => None,
    }
}
