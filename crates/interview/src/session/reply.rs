//! A reply as `redis-cli` prints it on a terminal.

use lab_connection::transcript::{for_terminal, whole_reply_text};
use redis::Value;

use crate::block::Command;

/// The lines of a reply; `command` is what it answers, if anything.
pub(super) fn lines(command: Option<&Command>, reply: &Value) -> Vec<String> {
    let raw = match reply {
        Value::BulkString(bytes) if command.is_some_and(prints_raw) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.into(),
        reply => return whole_reply_text(reply).lines().map(str::to_owned).collect(),
    };
    raw.trim_end().lines().map(|line| for_terminal(line).into_owned()).collect()
}

/// The commands whose text redis-cli prints as it is, without quotes.
fn prints_raw(command: &Command) -> bool {
    let is =
        |name: &str, subcommands: &[&str]| command.has_word(0, &[name]) && command.has_word(1, subcommands);
    command.has_word(0, &["INFO", "LOLWUT"])
        || is("DEBUG", &["HTSTATS", "HTSTATS-KEY"])
        || is("MEMORY", &["MALLOC-STATS", "DOCTOR"])
        || is("CLUSTER", &["NODES", "INFO"])
        || is("CLIENT", &["LIST", "INFO"])
        || is("LATENCY", &["GRAPH", "DOCTOR"])
}

/// How many replies a command gets: SUBSCRIBE and the like get one for each channel.
pub(super) fn count(command: &Command) -> usize {
    if subscribes(command) { (command.words.len() - 1).max(1) } else { 1 }
}

/// Whether the command's replies are push messages in RESP3.
pub(super) fn subscribes(command: &Command) -> bool {
    let names = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"];
    command.has_word(0, &names)
}

/// Where MOVED or ASK redirects a client.
pub(super) struct Redirection {
    /// Whether it is ASK.
    pub(super) asks: bool,
    pub(super) port: u16,
    slot: String,
    address: String,
}

impl Redirection {
    pub(super) fn of(reply: &Value) -> Option<Self> {
        let Value::ServerError(error) = reply else { return None };
        let asks = match error.code() {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (slot, address) = error.details()?.split_once(' ')?;
        let port = address.rsplit_once(':')?.1.parse().ok()?;
        Some(Self { asks, slot: slot.to_owned(), address: address.to_owned(), port })
    }

    /// What redis-cli prints about it.
    pub(super) fn line(&self) -> String {
        format!("-> Redirected to slot [{}] located at {}", self.slot, self.address)
    }
}
