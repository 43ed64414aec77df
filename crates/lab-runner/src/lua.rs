//! Lua scripts on the screen: printed once, then named, with labels for the arguments and the reply of each call.

use lab_connection::transcript::Exchange;
use serde::Serialize;

/// A script as a lesson shows it. Its comments hold the labels: `-- ARGV: cost, capacity (µs)` and
/// `-- Replies: ADMITTED, time until full (µs); or REFUSED, retry after (µs)`.
#[derive(Clone, Copy, Debug)]
pub struct LuaScript<'a> {
    /// Its name, such as `cart.lua: add`.
    pub name: &'a str,
    /// The file's path from the root of the workspace.
    pub path: &'a str,
    /// The number of the first line that is shown, from 1.
    pub line: usize,
    /// The lines to show, with their comments.
    pub text: &'a str,
    /// All that the server runs.
    pub source: &'a str,
    /// The SHA-1 of `source`: 40 hexadecimal digits.
    pub hash: &'a str,
}

/// What one call of a script says in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The script's name and its labeled arguments; empty for a command that calls no script.
    pub call: String,
    /// The labeled parts of the reply.
    pub reply: String,
}

/// The scripts that a lesson has printed.
#[derive(Debug, Default)]
pub(crate) struct Scripts(Vec<Known>);

#[derive(Debug)]
struct Known {
    hash: String,
    name: String,
    arguments: Vec<String>,
    /// For each outcome: its word, and the labels of what follows.
    replies: Vec<Vec<String>>,
}

impl Scripts {
    /// Whether it is new.
    pub(crate) fn add(&mut self, script: &LuaScript<'_>) -> bool {
        let new = self.0.iter().all(|known| known.hash != script.hash);
        if new {
            let list = |text: &str| text.split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>();
            self.0.push(Known {
                hash: script.hash.to_owned(),
                name: script.name.to_owned(),
                arguments: comment(script.text, "ARGV:").map(|text| list(&text)).unwrap_or_default(),
                replies: comment(script.text, "Replies:")
                    .map(|text| {
                        text.split(';').map(|one| list(one.trim().trim_start_matches("or "))).collect()
                    })
                    .unwrap_or_default(),
            });
        }
        new
    }

    /// Cuts the hashes of known scripts in the commands, and says what the calls mean.
    pub(crate) fn annotate(&self, exchange: &mut Exchange) -> Vec<Note> {
        let mut notes = vec![Note::default(); exchange.commands.len()];
        let replies = exchange.replies.iter().map(String::as_str).chain(std::iter::repeat(""));
        for ((note, command), reply) in notes.iter_mut().zip(&mut exchange.commands).zip(replies) {
            let words = words(command);
            let ["EVALSHA", hash, keys, rest @ ..] = &words[..] else { continue };
            let Some(script) = self.0.iter().find(|known| known.hash == *hash) else { continue };
            let arguments = rest.get(keys.parse().unwrap_or(0)..).unwrap_or_default();
            let labeled: Vec<String> =
                script.arguments.iter().zip(arguments).map(|(label, value)| labeled(label, value)).collect();
            note.call = if labeled.is_empty() {
                script.name.clone()
            } else {
                format!("{}: {}", script.name, labeled.join(", "))
            };
            note.reply = script.label(reply);
            *command = command.replacen(*hash, &format!("{}…", &hash[..8]), 1);
        }
        if notes.iter().all(|note| note.call.is_empty()) {
            notes.clear();
        }
        notes
    }
}

impl Known {
    /// The labels of a reply such as `1) "ADMITTED"` and so on, one part on each line.
    fn label(&self, reply: &str) -> String {
        let parts: Vec<&str> =
            reply.lines().filter_map(|line| line.split_once(") ").map(|(_, part)| part)).collect();
        let Some((outcome, values)) = parts.split_first() else { return String::new() };
        let outcome = outcome.trim_matches('"');
        let Some(labels) =
            self.replies.iter().find(|labels| labels.first().is_some_and(|first| first == outcome))
        else {
            return String::new();
        };
        let labeled: Vec<String> =
            labels[1..].iter().zip(values).map(|(label, value)| labeled(label, value)).collect();
        labeled.join(", ")
    }
}

/// What follows `-- ARGV:` in the comments, to the end of the sentence: on this line and on those that continue it.
fn comment(script: &str, heading: &str) -> Option<String> {
    let mut lines = script.lines().skip_while(|line| !line.trim_start_matches("-- ").starts_with(heading));
    let mut text = lines.next()?.trim_start_matches("-- ").strip_prefix(heading)?.trim().to_owned();
    for line in lines {
        let Some(more) = line.strip_prefix("-- ") else { break };
        if more.split(' ').next().is_some_and(|word| word.ends_with(':')) {
            break;
        }
        text.push(' ');
        text.push_str(more.trim());
    }
    Some(text)
}

/// `name = value`; the value of a time also as people read it.
fn labeled(label: &str, value: &str) -> String {
    let number = value.trim_start_matches("(integer) ").trim_matches('"');
    let seconds_each = if label.contains("(ms)") {
        Some(1e-3)
    } else if label.contains("(µs)") || label.contains("(us)") {
        Some(1e-6)
    } else {
        None
    };
    match (seconds_each, number.parse::<f64>()) {
        (Some(each), Ok(count)) => format!("{label} = {number} ({})", time(count * each)),
        _ => format!("{label} = {number}"),
    }
}

/// A time in seconds as people read it: `59.999 s`, `14 days`.
fn time(seconds: f64) -> String {
    const DAY: f64 = 86_400.0;
    match seconds {
        // No TTL is as long as this; it is a moment, counted from 1970.
        s if s > 10_000.0 * DAY => "since 1970".into(),
        s if s >= 2.0 * DAY => format!("{} days", trimmed(s / DAY)),
        s => format!("{} s", trimmed(s)),
    }
}

fn trimmed(number: f64) -> String {
    format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The words of a command as `redis-cli` reads them; quotes stay.
fn words(command: &str) -> Vec<&str> {
    let (mut words, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in command.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                words.push(&command[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&command[start..]);
    words
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lab_connection::transcript::Shape;

    use super::*;

    const SCRIPT: &str = "-- Takes tokens.\n-- KEYS: bucket\n-- ARGV: cost, 'take' or 'peek',\n-- window (ms)\n-- Replies: \
                          ADMITTED, full in (µs); or REFUSED, retry after (ms)\nreturn 1\n";
    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    fn called(command: &str, reply: &str) -> (String, Vec<Note>) {
        let script = LuaScript {
            name: "bucket.lua: take",
            path: "",
            line: 1,
            text: SCRIPT,
            source: SCRIPT,
            hash: HASH,
        };
        let mut scripts = Scripts::default();
        assert!(scripts.add(&script));
        assert!(!scripts.add(&script), "it is printed once");
        let mut exchange = Exchange {
            shape: Shape::Command,
            commands: vec![command.to_owned()],
            replies: vec![reply.to_owned()],
            command_count: 1,
            elapsed: Duration::ZERO,
            bytes_sent: 0,
            bytes_received: 0,
            round_trips: 1,
        };
        let notes = scripts.annotate(&mut exchange);
        (exchange.commands.remove(0), notes)
    }

    #[test]
    fn a_call_has_the_scripts_name_and_labels() {
        let command = format!("EVALSHA {HASH} 1 \"my bucket\" 1 take 60000");
        let (line, notes) = called(&command, "1) \"ADMITTED\"\n2) (integer) 59999000");
        assert_eq!(line, "EVALSHA 01234567… 1 \"my bucket\" 1 take 60000");
        assert_eq!(
            notes[0].call,
            "bucket.lua: take: cost = 1, 'take' or 'peek' = take, window (ms) = 60000 (60 s)"
        );
        assert_eq!(notes[0].reply, "full in (µs) = 59999000 (59.999 s)");
    }

    #[test]
    fn other_commands_have_no_note() {
        assert_eq!(called("GET x", "(nil)"), ("GET x".to_owned(), Vec::new()));
    }
}
