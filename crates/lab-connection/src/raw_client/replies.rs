//! Replies as `redis-cli` prints them on a terminal, with the commands that it treats in their own way.

use std::borrow::Cow;

use redis::Value;

use crate::transcript::{for_terminal, long_reply_text, whole_reply_text, without_secrets};

/// Whether the word at `index` is one of these, in any case.
#[must_use]
pub fn has_word(words: &[Vec<u8>], index: usize, any_of: &[&str]) -> bool {
    let word = words.get(index);
    word.is_some_and(|word| any_of.iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes())))
}

/// All lines of a reply; `words` is the command that it answers, or nothing.
#[must_use]
pub fn reply_lines(words: &[Vec<u8>], reply: &Value) -> Vec<String> {
    lines(words, reply, whole_reply_text)
}

/// The same for showing them: replies that fill many screens are cut and say how much is missing, and passwords are replaced.
#[must_use]
pub fn shown_reply_lines(words: &[Vec<u8>], reply: &Value) -> Vec<String> {
    let arguments: Vec<Cow<'_, [u8]>> = words.iter().map(|word| Cow::Borrowed(word.as_slice())).collect();
    lines(words, &without_secrets(&arguments, reply), long_reply_text)
}

fn lines(words: &[Vec<u8>], reply: &Value, text: fn(&Value) -> String) -> Vec<String> {
    let raw = match reply {
        Value::BulkString(bytes) if prints_raw(words) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.into(),
        reply => return text(reply).lines().map(str::to_owned).collect(),
    };
    raw.trim_end().lines().map(|line| for_terminal(line).into_owned()).collect()
}

/// The commands whose text redis-cli prints as it is, without quotes.
fn prints_raw(words: &[Vec<u8>]) -> bool {
    let is =
        |name: &str, subcommands: &[&str]| has_word(words, 0, &[name]) && has_word(words, 1, subcommands);
    has_word(words, 0, &["INFO", "LOLWUT"])
        || is("DEBUG", &["HTSTATS", "HTSTATS-KEY", "CLIENT-EVICTION"])
        || is("MEMORY", &["MALLOC-STATS", "DOCTOR"])
        || is("CLUSTER", &["NODES", "INFO"])
        || is("CLIENT", &["LIST", "INFO"])
        || is("LATENCY", &["GRAPH", "DOCTOR"])
}

/// How many replies a command gets: SUBSCRIBE and the like get one for each channel that they name. (UNSUBSCRIBE without a name gets one for
/// each channel that is left; here it counts as one.)
#[must_use]
pub fn reply_count(words: &[Vec<u8>]) -> usize {
    if changes_subscriptions(words) { words.len().saturating_sub(1).max(1) } else { 1 }
}

/// Whether the command subscribes or unsubscribes. Its replies are push messages in RESP3.
#[must_use]
pub fn changes_subscriptions(words: &[Vec<u8>]) -> bool {
    let names = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"];
    has_word(words, 0, &names)
}

/// Where MOVED or ASK redirects a client.
pub struct Redirection {
    /// Whether it is ASK.
    pub asks: bool,
    /// The host of the other node; empty for the host of this one.
    pub host: String,
    /// The port of the other node.
    pub port: u16,
    slot: String,
    address: String,
}

impl Redirection {
    /// The redirection in a reply, if it is one.
    #[must_use]
    pub fn of(reply: &Value) -> Option<Self> {
        let Value::ServerError(error) = reply else { return None };
        let asks = match error.code() {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (slot, address) = error.details()?.split_once(' ')?;
        let (host, port) = address.rsplit_once(':')?;
        let (host, port) = (host.to_owned(), port.parse().ok()?);
        Some(Self { asks, slot: slot.to_owned(), address: address.to_owned(), host, port })
    }

    /// What redis-cli prints about it.
    #[must_use]
    pub fn line(&self) -> String {
        for_terminal(&format!("-> Redirected to slot [{}] located at {}", self.slot, self.address))
            .into_owned()
    }
}
