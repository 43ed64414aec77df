//! Lua scripts on the screen: printed once, then named, with labels for the arguments and the reply of each call.

use std::ops::Deref;
use std::sync::LazyLock;

use lab_connection::transcript::Exchange;
use redis::Script;
use serde::Serialize;

use crate::source::Source;

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

/// A script with a file of its own. Make it with [`lua!`](crate::lua!).
pub struct ScriptFile {
    /// The file.
    pub source: Source,
    /// The script, whose hash is computed at its first use.
    pub script: LazyLock<Script>,
}

/// The script in the file at this path inside the crate that calls the macro, such as `lua!("src/lists/give_back.lua")`.
#[macro_export]
macro_rules! lua {
    ($path:literal) => {
        $crate::lua::ScriptFile {
            source: $crate::source!($path),
            script: std::sync::LazyLock::new(|| redis::Script::new($crate::source!($path).text)),
        }
    };
}

impl ScriptFile {
    /// The whole file, as a lesson shows it.
    #[must_use]
    pub fn shown(&self) -> LuaScript<'_> {
        let Source { path, text } = self.source;
        let name = path.rsplit('/').next().unwrap_or(path);
        LuaScript { name, path, line: 1, text, source: text, hash: self.script.get_hash() }
    }
}

/// Calls go to the script: `SCRIPT.key("a").arg(1)`.
impl Deref for ScriptFile {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.script
    }
}

/// A script of a file that holds several, as those of a pattern do. A lesson shows all of it, or the part that carries the idea.
#[derive(Clone, Copy, Debug)]
pub struct ScriptInFile<'a> {
    /// The file's folder from the root of the workspace.
    pub folder: &'static str,
    /// The text of the file.
    pub file: &'a str,
    /// The file's name and the script's: `cart.lua: add`.
    pub name: &'a str,
    /// The script without the functions that all files share.
    pub shown: &'a str,
    /// All that the server runs.
    pub source: &'a str,
    /// The SHA-1 of `source`: 40 hexadecimal digits.
    pub hash: &'a str,
}

impl<'a> ScriptInFile<'a> {
    /// The whole script, without the functions that all files share.
    #[must_use]
    pub fn whole(self) -> LuaScript<'a> {
        self.part(self.shown)
    }

    /// Of a script with several sections, only its own, as it is in the file.
    #[must_use]
    pub fn section(self) -> LuaScript<'a> {
        let operation = self.name.split(": ").nth(1).unwrap_or_default();
        let heading = format!("---- {operation}\n");
        let own = self.file.split_once(&heading).map_or(self.shown, |(_, from)| from);
        self.part(own.split("\n---- ").next().unwrap_or(own))
    }

    /// From the line that begins with `first` to before the one that begins with `end`: the lines that carry the idea of a long
    /// script.
    #[must_use]
    pub fn lines(self, first: &str, end: &str) -> LuaScript<'a> {
        let line = |begin: &str| self.shown.find(&format!("\n{begin}")).map(|at| at + 1);
        self.part(&self.shown[line(first).unwrap_or(0)..line(end).unwrap_or(self.shown.len())])
    }

    /// Only the comment that says what the script does, gets, and replies. For scripts that are called but do not carry the idea.
    #[must_use]
    pub fn contract(self) -> LuaScript<'a> {
        let keys = self.shown.find("-- KEYS:").unwrap_or(0);
        let above = self.shown[..keys].split_inclusive('\n').rev().take_while(|line| line.starts_with("-- "));
        let text = &self.shown[keys - above.map(str::len).sum::<usize>()..];
        let end = text.split_inclusive('\n').take_while(|line| line.starts_with("--")).map(str::len).sum();
        self.part(&text[..end])
    }

    /// The name of the file, such as `cart.lua`.
    #[must_use]
    pub fn file_name(self) -> &'a str {
        self.name.split(": ").next().unwrap_or_default()
    }

    fn part(self, text: &'a str) -> LuaScript<'a> {
        // Sections that follow each other in a script need not do so in the file.
        let paragraph = text.split("\n\n").next().unwrap_or(text);
        let start = self.file.find(paragraph).unwrap_or(0);
        LuaScript {
            name: self.name,
            // Leaked, because a lesson prints a script once.
            path: format!("{}/{}", self.folder, self.file_name()).leak(),
            line: self.file[..start].matches('\n').count() + 1,
            text,
            source: self.source,
            hash: self.hash,
        }
    }
}

/// What one call of a script says in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The script's name and its labeled arguments; empty for a command that calls no script.
    pub call: String,
    /// The labeled parts of the reply.
    pub reply: String,
}

/// The scripts that a lesson has printed or loaded.
#[derive(Debug, Default)]
pub(crate) struct Scripts(Vec<Known>);

#[derive(Debug)]
struct Known {
    hash: String,
    name: String,
    arguments: Labels,
    /// For each outcome: its words, and the labels of what follows.
    replies: Vec<(Vec<String>, Labels)>,
    /// Whether the lesson has printed it.
    printed: bool,
}

/// What values are called, one after the other.
#[derive(Debug, Default)]
struct Labels {
    fixed: Vec<String>,
    /// Labels that repeat: `then for each line: SKU, units`.
    groups: Vec<Vec<String>>,
}

impl Scripts {
    /// Names the calls of a script that is to be printed. Whether it was not printed before.
    pub(crate) fn add(&mut self, script: &LuaScript<'_>) -> bool {
        self.name(script);
        let known = self.0.iter_mut().find(|known| known.hash == script.hash);
        known.is_some_and(|known| !std::mem::replace(&mut known.printed, true))
    }

    /// Names the calls of a script.
    pub(crate) fn name(&mut self, script: &LuaScript<'_>) {
        if self.0.iter().all(|known| known.hash != script.hash) {
            // Where only a part of a script is shown, its comment may be in another part.
            let labels = |heading| comment(script.text, heading).or_else(|| comment(script.source, heading));
            self.0.push(Known {
                hash: script.hash.to_owned(),
                name: script.name.to_owned(),
                arguments: Labels::parse(&labels("ARGV:").unwrap_or_default()),
                replies: labels("Replies:")
                    .unwrap_or_default()
                    .split(';')
                    .map(|reply| outcome(reply.trim()))
                    .collect(),
                printed: false,
            });
        }
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
            let labeled = script.arguments.label(arguments);
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
    /// The labels of a reply such as `1) "ADMITTED"` and so on, one part on each line. The lines of a list inside it are indented
    /// further than the numbers of the parts, which are aligned at their right.
    fn label(&self, reply: &str) -> String {
        let Some(numbers) = reply.find(") ") else { return String::new() };
        let part = |line| str::split_once(line, ") ").filter(|(number, _)| number.len() == numbers);
        let parts: Vec<&str> = reply.lines().filter_map(part).map(|(_, part)| part).collect();
        let Some((outcome, values)) = parts.split_first() else { return String::new() };
        let outcome = outcome.trim_matches('"');
        let labels = self.replies.iter().find(|(words, _)| words.iter().any(|word| word == outcome));
        labels.map(|(_, labels)| labels.label(values).join(", ")).unwrap_or_default()
    }
}

impl Labels {
    fn parse(text: &str) -> Self {
        let mut labels = Self::default();
        for label in text.split(',').map(str::trim).filter(|label| !label.is_empty()) {
            let group = label.trim_start_matches("then ").strip_prefix("for each ");
            if let Some((_, first)) = group.and_then(|group| group.split_once(": ")) {
                labels.groups.push(vec![first.to_owned()]);
            } else if let Some(group) = labels.groups.last_mut() {
                group.push(label.to_owned());
            } else {
                labels.fixed.push(label.to_owned());
            }
        }
        labels
    }

    /// A group repeats to the end. If another one follows, it repeats as often as the last `number of ...` says.
    fn label(&self, values: &[&str]) -> Vec<String> {
        let mut labels: Vec<&str> = self.fixed.iter().map(String::as_str).collect();
        let counted = labels.iter().zip(values).rfind(|(label, _)| label.starts_with("number of "));
        let count = counted.and_then(|(_, value)| number(value).parse().ok()).unwrap_or(values.len());
        for (index, group) in self.groups.iter().enumerate() {
            let times = if index + 1 < self.groups.len() { count } else { values.len() };
            let repeated = (0..times).flat_map(|_| group.iter().map(String::as_str));
            labels.extend(repeated.take(values.len()));
        }
        // The transcript cuts a long command: `… 2 more arguments`.
        let values = values.iter().take_while(|value| **value != "…");
        labels.iter().zip(values).map(|(label, value)| labeled(label, value)).collect()
    }
}

/// `ADMITTED or REFUSED, count`: the words, and the labels of what follows.
fn outcome(reply: &str) -> (Vec<String>, Labels) {
    let (words, labels) = reply.trim_start_matches("or ").split_once(',').unwrap_or((reply, ""));
    let words = words.trim_start_matches("or ").split(" or ").map(|word| word.trim().to_owned()).collect();
    (words, Labels::parse(labels))
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
    // The reply itself shows a list.
    if value.trim_start().starts_with("1) ") {
        return label.to_owned();
    }
    let number = number(value);
    let seconds_each = if label.contains("(ms)") {
        Some(1e-3)
    } else if label.contains("(µs)") || label.contains("(us)") {
        Some(1e-6)
    } else {
        None
    };
    match (seconds_each, number.parse::<f64>()) {
        // Below 0 it is a sign, such as that nothing is to come.
        (Some(each), Ok(count)) if count >= 0.0 => format!("{label} = {number} ({})", time(count * each)),
        _ => format!("{label} = {}", short(number)),
    }
}

fn number(value: &str) -> &str {
    let value = value.trim_start_matches("(integer) ");
    let value = value.split_once(CUT).map_or(value, |(beginning, _)| beginning);
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// A text of at most 32 characters: the line above has all of it.
fn short(value: &str) -> String {
    const LONGEST: usize = 32;
    let value = value.replace("\\\"", "\"");
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None if value.is_empty() => "''".to_owned(),
        None => value,
    }
}

/// A time in seconds as people read it: `59.999 s`, `15 min`, `24 h`, `14 days`.
fn time(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    let whole = |unit: f64| seconds >= 2.0 * unit && (seconds / unit).fract() == 0.0;
    match seconds {
        // No TTL is as long as these. The first one is the largest whole number of a Lua script, 2^53, in milliseconds.
        s if s >= 9_007_199_254_740.0 => "no limit".into(),
        s if s > 10_000.0 * DAY => "Unix time".into(),
        s if s >= 2.0 * DAY => format!("{} days", trimmed(s / DAY)),
        s if whole(HOUR) => format!("{} h", trimmed(s / HOUR)),
        s if whole(MINUTE) => format!("{} min", trimmed(s / MINUTE)),
        s => format!("{} s", trimmed(s)),
    }
}

fn trimmed(number: f64) -> String {
    format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The words of a command as `redis-cli` reads them; quotes stay. Where the transcript cut a word, it says how long that is.
fn words(command: &str) -> Vec<&str> {
    let (mut words, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in command.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted && !is_note_on_a_cut(&command[start..], at - start) => {
                words.push(&command[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&command[start..]);
    words
}

/// What stands behind the beginning of a value that the transcript cut: `"a long"… (120 bytes)`.
const CUT: &str = "… (";

/// Whether the space at `at` belongs to such a note.
fn is_note_on_a_cut(word: &str, at: usize) -> bool {
    let begins = word[..at].ends_with('…') && at > '…'.len_utf8() && word[at..].starts_with(" (");
    begins || word[..at].contains(CUT) && word[at..].starts_with(" byte")
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
    fn labels_of_a_group_repeat() {
        let labels = Labels::parse(
            "TTL (ms), number of fields, then for each field: name, value, then for each day: day",
        );
        let labeled = labels.label(&["1500", "1", "color", "red", "mon", "tue"]);
        assert_eq!(
            labeled.join(", "),
            "TTL (ms) = 1500 (1.5 s), number of fields = 1, name = color, value = red, day = mon, day = tue"
        );
        let (words, labels) = outcome("or ADMITTED or REFUSED, then for each limit: count, time left (ms)");
        assert_eq!(words, ["ADMITTED", "REFUSED"]);
        assert_eq!(
            labels.label(&["(integer) 3", "(integer) 59999"]).join(", "),
            "count = 3, time left (ms) = 59999 (59.999 s)"
        );
    }

    #[test]
    fn long_values_are_cut_and_those_that_the_transcript_left_out_have_no_label() {
        let labels = Labels::parse("message, deadline or '', then for each line: SKU, units");
        let values =
            [r#""{\"event\":\"added\",\"owner\":\"guest:abc123\"""#, "\"\"", "sku123", "…", "1", "more"];
        let labeled = labels.label(&values).join(", ");
        let message = r#"message = {"event":"added","owner":"guest:…"#;
        assert_eq!(labeled, format!("{message}, deadline or '' = '', SKU = sku123"));
    }

    #[test]
    fn a_long_reply_is_labeled_although_its_numbers_are_aligned() {
        let mut parts: Vec<String> = (3..=10).map(|number| format!("{number:>2}) \"x\"")).collect();
        parts.insert(0, " 1) \"ADMITTED\"\n 2) (integer) 5000".into());
        let command = format!("EVALSHA {HASH} 1 bucket 1 take 900000");
        let (_, notes) = called(&command, &parts.join("\n"));
        assert!(notes[0].call.ends_with("window (ms) = 900000 (15 min)"), "{notes:?}");
        assert_eq!(notes[0].reply, "full in (µs) = 5000 (0.005 s)");
    }

    #[test]
    fn what_the_transcript_says_about_a_long_value_is_no_value() {
        let command = format!("EVALSHA {HASH} 1 bucket \"1 2 3\"… (99 bytes) take 60000");
        assert_eq!(words(&command)[4..], ["\"1 2 3\"… (99 bytes)", "take", "60000"]);
        let (_, notes) = called(&command, "1) \"REFUSED\"\n2) (integer) -1");
        assert!(notes[0].call.starts_with("bucket.lua: take: cost = 1 2 3, 'take'"), "{notes:?}");
        assert_eq!(notes[0].reply, "retry after (ms) = -1");
    }

    #[test]
    fn other_commands_have_no_note() {
        assert_eq!(called("GET x", "(nil)"), ("GET x".to_owned(), Vec::new()));
    }
}
