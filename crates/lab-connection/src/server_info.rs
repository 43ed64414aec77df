//! Who is answering: name, version and mode, from `INFO server`.

use redis::RedisResult;
use redis::aio::ConnectionLike;
use serde::Serialize;

use crate::transcript::for_terminal;

/// What a server says about itself.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServerInfo {
    /// "Redis" or "Valkey".
    pub name: String,
    /// Its own version, for example "9.1.2"; Valkey's, not the Redis version that Valkey claims for old clients.
    pub version: String,
    /// True when it runs as a node of a cluster.
    pub cluster: bool,
    /// The memory allocator, for example "jemalloc-5.3.0"; it decides what a key costs in bytes.
    pub allocator: String,
    /// "yes" or "no" to an append-only file, and the snapshot rule, as far as INFO tells.
    pub append_only: bool,
}

/// The version of a server that a user may not ask.
pub(crate) const UNKNOWN_VERSION: &str = "of unknown version";

impl ServerInfo {
    /// Asks the server. A user who may not run INFO gets an unknown server, which is still usable.
    pub async fn ask(connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Self> {
        let mut info = Self { name: "Redis".into(), version: UNKNOWN_VERSION.into(), ..Self::default() };
        for section in ["server", "memory", "persistence"] {
            let mut command = redis::cmd("INFO");
            match command.arg(section).query_async::<redis::Value>(connection).await {
                Ok(reply) => info.read(&first_text(reply)),
                Err(error) if error.code() == Some("NOPERM") => break,
                Err(error) => return Err(error),
            }
        }
        Ok(info)
    }

    fn read(&mut self, text: &str) {
        for (field, value) in text.lines().filter_map(|line| line.trim_end().split_once(':')) {
            match field {
                "server_name" if value == "valkey" => self.name = "Valkey".into(),
                "redis_version" if self.name == "Redis" => self.version = for_terminal(value).into(),
                "valkey_version" => {
                    self.name = "Valkey".into();
                    self.version = for_terminal(value).into();
                }
                "redis_mode" | "server_mode" => self.cluster |= value == "cluster",
                "mem_allocator" => self.allocator = for_terminal(value).into(),
                "aof_enabled" => self.append_only = value == "1",
                _ => {}
            }
        }
    }
}

/// A cluster connection answers with a map from node to text; any node will do.
fn first_text(reply: redis::Value) -> String {
    match reply {
        redis::Value::Map(nodes) => {
            nodes.into_iter().next().map(|(_, text)| first_text(text)).unwrap_or_default()
        }
        redis::Value::Array(parts) => parts.into_iter().next_back().map(first_text).unwrap_or_default(),
        other => redis::from_redis_value(other).unwrap_or_default(),
    }
}

/// The server's clock, in milliseconds since 1970. On a cluster it is that of one node.
pub async fn server_time(connection: &mut (impl ConnectionLike + Send)) -> RedisResult<i64> {
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
    Ok(seconds * 1_000 + micros / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_server_cannot_write_to_the_terminal_by_its_version() {
        let mut info = ServerInfo { name: "Redis".into(), ..ServerInfo::default() };
        info.read("redis_version:7\x1b[2J\r\nmem_allocator:\x1b]0;x\x07\r\n");
        assert_eq!((info.version.as_str(), info.allocator.as_str()), (r"7\x1b[2J", r"\x1b]0;x\x07"));
    }
}
