//! What the server can do, asked by `COMMAND INFO` and remembered.
//!
//! Never by version: Valkey 9.1 calls itself `redis_version:7.2.4`, a module adds commands to any version, and an
//! operator may have renamed some away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use redis::aio::ConnectionLike;
use redis::{RedisResult, Value};

/// The commands asked about so far. Clones share what they learned.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    known: Arc<Mutex<HashMap<String, bool>>>,
}

impl Capabilities {
    /// Those of `commands` that the server lacks, in the order given. One round trip at most.
    pub async fn missing<'a>(
        &self,
        commands: &[&'a str],
        connection: &mut (impl ConnectionLike + Send),
    ) -> RedisResult<Vec<&'a str>> {
        let unknown: Vec<&str> =
            commands.iter().copied().filter(|name| self.look_up(name).is_none()).collect();
        if !unknown.is_empty() {
            let replies: Vec<Value> =
                redis::cmd("COMMAND").arg("INFO").arg(&unknown).query_async(connection).await?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, reply) in unknown.iter().zip(replies) {
                known.insert((*name).to_owned(), describes_a_command(&reply));
            }
        }
        Ok(commands.iter().copied().filter(|name| self.look_up(name) != Some(true)).collect())
    }

    fn look_up(&self, command: &str) -> Option<bool> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(command).copied()
    }
}

fn describes_a_command(reply: &Value) -> bool {
    matches!(reply, Value::Array(fields) if !fields.is_empty())
}
