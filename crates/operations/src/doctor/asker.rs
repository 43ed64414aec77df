//! Sends commands that read, at a pace that leaves the server 99% of its time.

use std::time::{Duration, Instant};

use lab_connection::transcript::for_terminal;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, Value};

use super::facts::{Info, Missing, Reply};

/// The doctor takes at most this share of the server's time.
const SHARE: f64 = 0.01;

/// Every command that the doctor can send. All of them read. (A connection begins with HELLO or AUTH, SELECT, and CLIENT SETINFO.)
pub const COMMANDS: [&str; 31] = [
    "ACL DRYRUN",
    "ACL LIST",
    "CLIENT ID",
    "CLIENT LIST",
    "CLUSTER INFO",
    "CLUSTER NODES",
    "CLUSTER SLOT-STATS",
    "COMMANDLOG GET",
    "CONFIG GET",
    "HLEN",
    "INFO",
    "LATENCY LATEST",
    "LLEN",
    "MEMORY USAGE",
    "OBJECT FREQ",
    "PTTL",
    "SCARD",
    "SCAN",
    "SELECT",
    "SENTINEL CKQUORUM",
    "SENTINEL MASTERS",
    "SENTINEL REPLICAS",
    "SENTINEL SENTINELS",
    "SENTINEL SLAVES",
    "SLOWLOG GET",
    "TYPE",
    "XINFO CONSUMERS",
    "XINFO GROUPS",
    "XLEN",
    "XPENDING",
    "ZCARD",
];

/// One server, asked slowly.
pub(crate) struct Asker {
    connection: MultiplexedConnection,
    start: Instant,
    /// What the commands so far are estimated to have cost the server, in microseconds.
    cost: f64,
    /// How many commands were sent.
    pub(crate) sent: u64,
    /// Whether to leave the server its time. A group that is known to be idle, as in tests, needs no waiting.
    pub(crate) paced: bool,
    /// Why the connection gives no more replies, once it does not. Every later command fails at once, so that a server that hangs costs
    /// one timeout and not one for each command.
    pub(crate) broken: Option<String>,
}

impl Asker {
    pub(crate) fn new(connection: MultiplexedConnection, paced: bool) -> Self {
        Self { connection, start: Instant::now(), cost: 0.0, sent: 0, paced, broken: None }
    }

    /// Seconds since the first command.
    pub(crate) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn note(&mut self, error: &RedisError) {
        if error.is_timeout() || error.is_io_error() || error.is_unrecoverable_error() {
            self.broken.get_or_insert_with(|| for_terminal(&error.to_string()).into_owned());
        }
    }

    /// One command; `micros` is a generous estimate of what it costs the server.
    pub(crate) async fn ask<T: FromRedisValue>(&mut self, words: &[&str], micros: f64) -> Reply<T> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.ask_bytes(words, micros).await
    }

    /// The same with words that may be no text. A reply of another type counts as a failure.
    pub(crate) async fn ask_bytes<T: FromRedisValue>(&mut self, words: Vec<&[u8]>, micros: f64) -> Reply<T> {
        let reply = self.ask_all(&[words], micros).await.pop().unwrap_or(Err(Missing::Unsupported))?;
        redis::from_redis_value(reply).map_err(|error| Missing::Failed(error.to_string()))
    }

    /// A reply of lines `field:value`.
    pub(crate) async fn info(&mut self, words: &[&str], micros: f64) -> Reply<Info> {
        Ok(Info::parse(&self.ask::<String>(words, micros).await?))
    }

    /// Commands in one round trip, with a reply for each.
    pub(crate) async fn ask_all(&mut self, commands: &[Vec<&[u8]>], micros: f64) -> Vec<Reply<Value>> {
        if commands.is_empty() {
            return Vec::new();
        }
        if let Some(why) = &self.broken {
            return vec![Err(Missing::Failed(why.clone())); commands.len()];
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for words in commands {
            pipeline.add_command(Cmd::new().arg(words).to_owned());
        }
        self.wait(micros * commands.len() as f64, commands.len()).await;
        match self.connection.req_packed_commands(&pipeline, 0, commands.len()).await {
            Ok(replies) => {
                let asked = replies.into_iter().zip(commands);
                asked
                    .map(|(reply, words)| reply.extract_error().map_err(|error| missing(&error, words)))
                    .collect()
            }
            Err(error) => {
                self.note(&error);
                commands.iter().map(|words| Err(missing(&error, words))).collect()
            }
        }
    }

    /// Waits until the estimated cost is no more than its share of the time since the start.
    async fn wait(&mut self, micros: f64, commands: usize) {
        self.sent += commands as u64;
        let due = Duration::from_secs_f64(self.cost / 1e6 / SHARE);
        self.cost += micros;
        if self.paced {
            tokio::time::sleep_until((self.start + due).into()).await;
        }
    }

    /// Waits until all that was sent is within its share.
    pub(crate) async fn settle(&mut self) {
        self.wait(0.0, 0).await;
    }
}

/// Why there is no reply.
fn missing(error: &RedisError, words: &[&[u8]]) -> Missing {
    let said = error.to_string();
    let text = said.to_lowercase();
    if error.code() == Some("NOPERM") || text.contains("noperm") {
        let about_keys = text.contains("access a key") || text.contains("access one of the keys");
        return Missing::NotPermitted { grant: if about_keys { "~*".to_owned() } else { rule(words) } };
    }
    if text.contains("unknown command")
        || text.contains("unknown subcommand")
        || text.contains("cluster support disabled")
    {
        return Missing::Unsupported;
    }
    Missing::Failed(for_terminal(&said).into_owned())
}

/// The ACL rule that permits a command: `+info`, `+config|get`.
fn rule(words: &[&[u8]]) -> String {
    let mut words = words.iter().map(|word| String::from_utf8_lossy(word).to_uppercase());
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let both = format!("{first} {second}");
    let command = if COMMANDS.contains(&both.as_str()) { both.replace(' ', "|") } else { first };
    format!("+{}", command.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_the_subcommand_of_a_container() {
        assert_eq!(rule(&[b"INFO", b"all"]), "+info");
        assert_eq!(rule(&[b"CONFIG", b"GET", b"save"]), "+config|get");
        assert_eq!(rule(&[b"XPENDING", b"jobs", b"workers"]), "+xpending");
    }
}
