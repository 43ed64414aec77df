//! Sends commands that read, at a pace that leaves the server 99% of its time.

use std::time::{Duration, Instant};

use lab_connection::transcript::for_terminal;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Pipeline, RedisError, Value};

use super::facts::{Missing, Reply};

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
    /// Whether to wait at all.
    paced: bool,
    /// Why the connection gives no more replies, once it does not.
    broken: Option<String>,
}

impl Asker {
    pub(crate) fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, start: Instant::now(), cost: 0.0, sent: 0, paced: true, broken: None }
    }

    /// Seconds since the first command.
    pub(crate) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Stops waiting: for a group that is known to be idle, as in tests.
    pub(crate) fn unpaced(mut self) -> Self {
        self.paced = false;
        self
    }

    /// Goes on where another asker of the same connection has stopped.
    pub(crate) fn after(mut self, broken: Option<String>) -> Self {
        self.broken = broken;
        self
    }

    /// Why the connection gives no more replies, if it does not. Every later command fails at once, so that a server that hangs costs
    /// one timeout and not one for each command.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn note(&mut self, error: &RedisError) {
        if error.is_timeout() || error.is_io_error() || error.is_unrecoverable_error() {
            self.broken.get_or_insert_with(|| for_terminal(&error.to_string()).into_owned());
        }
    }

    fn still_connected(&self) -> Result<(), Missing> {
        self.broken.as_ref().map_or(Ok(()), |why| Err(Missing::Failed(why.clone())))
    }

    /// Whether it leaves the server its time.
    pub(crate) fn is_paced(&self) -> bool {
        self.paced
    }

    /// One command; `micros` is a generous estimate of what it costs the server.
    pub(crate) async fn ask(&mut self, words: &[&str], micros: f64) -> Reply<Value> {
        let mut command = redis::cmd(words.first().copied().unwrap_or_default());
        command.arg(words.get(1..).unwrap_or_default());
        self.still_connected()?;
        self.wait(micros, 1).await;
        let reply = self.connection.req_packed_command(&command).await;
        reply
            .inspect_err(|error| self.note(error))
            .and_then(Value::extract_error)
            .map_err(|error| missing(&error, words))
    }

    /// The same, as text. A reply that is not text counts as a failure.
    pub(crate) async fn text(&mut self, words: &[&str], micros: f64) -> Reply<String> {
        let value = self.ask(words, micros).await?;
        redis::from_redis_value(value).map_err(|error| Missing::Failed(error.to_string()))
    }

    /// Commands in one round trip, with a reply for each.
    pub(crate) async fn ask_all(&mut self, commands: &[Vec<&[u8]>], micros: f64) -> Vec<Reply<Value>> {
        if commands.is_empty() {
            return Vec::new();
        }
        if let Err(missing) = self.still_connected() {
            return vec![Err(missing); commands.len()];
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for words in commands {
            let mut command = redis::Cmd::new();
            for word in words {
                command.arg(*word);
            }
            pipeline.add_command(command);
        }
        self.wait(micros * commands.len() as f64, commands.len()).await;
        let words = |at: usize| -> Vec<String> {
            let words = commands.get(at).map(Vec::as_slice).unwrap_or_default();
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
        };
        let refused = |error: &RedisError, at: usize| {
            let words = words(at);
            missing(error, &words.iter().map(String::as_str).collect::<Vec<_>>())
        };
        match self.connection.req_packed_commands(&pipeline, 0, commands.len()).await {
            Ok(replies) => replies
                .into_iter()
                .enumerate()
                .map(|(at, reply)| reply.extract_error().map_err(|error| refused(&error, at)))
                .collect(),
            Err(error) => {
                self.note(&error);
                (0..commands.len()).map(|at| Err(refused(&error, at))).collect()
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

/// Commands of which a rule can permit one subcommand.
const CONTAINERS: [&str; 12] = [
    "ACL",
    "CLIENT",
    "CLUSTER",
    "COMMANDLOG",
    "CONFIG",
    "LATENCY",
    "MEMORY",
    "OBJECT",
    "SENTINEL",
    "SLOWLOG",
    "XINFO",
    "COMMAND",
];

/// Why there is no reply.
fn missing(error: &RedisError, words: &[&str]) -> Missing {
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
fn rule(words: &[&str]) -> String {
    let first = words.first().copied().unwrap_or_default().to_lowercase();
    match words.get(1) {
        Some(second) if CONTAINERS.iter().any(|name| name.eq_ignore_ascii_case(&first)) => {
            format!("+{first}|{}", second.to_lowercase())
        }
        _ => format!("+{first}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_the_subcommand_of_a_container() {
        assert_eq!(rule(&["INFO", "all"]), "+info");
        assert_eq!(rule(&["CONFIG", "GET", "save"]), "+config|get");
        assert_eq!(rule(&["XPENDING", "jobs", "workers"]), "+xpending");
    }
}
