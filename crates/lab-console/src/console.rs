//! Reads commands, sends them, and prints the replies, until the person leaves.

use lab_connection::raw_client::{RawAddress, has_word};
use lab_connection::transcript::{command_line, words};

use crate::care::{Care, care, changes_the_server, runs_a_script};
use crate::command_docs::{CommandDocs, upper};
use crate::completion::{Keys, without_repetition};
use crate::editor::{Entry, LineEditor};
use crate::modes;
use crate::print::print;
use crate::session::{Session, cannot_connect};
use crate::syntax;

/// A number before a command repeats it at most so often.
const MOST_REPETITIONS: u32 = 1_000;
/// What `help` says; each line fits the narrowest terminal.
const HELP: [&str; 8] = [
    "Type a command of Redis, and Enter sends it.",
    "Tab completes commands, their options, and keys.",
    "The arrows and Ctrl-R find earlier commands.",
    "A quote may go on over several lines.",
    "help COMMAND says what a command does.",
    "3 INCR n sends INCR n three times.",
    "Ctrl-C ends a wait, SUBSCRIBE, and MONITOR.",
    "clear clears the screen.",
];
/// Commands that a visit remembers.
const MOST_REMEMBERED: usize = 100;

/// A console on one server.
pub struct Console {
    /// Where it connects to.
    pub address: RawAddress,
    /// Whether it goes where MOVED and ASK send it.
    pub cluster: bool,
    /// Whether the server was started by this program, for nobody else.
    pub private: bool,
    /// What the lesson's keys begin with.
    pub prefix: String,
    /// Which server it is, in one or two lines.
    pub welcome: Vec<String>,
    /// What leaving does, such as "return to the lesson".
    pub leaving: &'static str,
    /// Whether the keys behind the prefix are put back afterward.
    pub keys_are_kept: bool,
}

/// What a person did in a console that nobody takes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Commands that were sent and may have changed something for good, as they were typed, without passwords.
    pub lasting: Vec<String>,
}

impl Console {
    /// Opens the console on this thread's terminal, and returns when the person leaves.
    #[must_use]
    pub fn run(&self) -> Visit {
        // Restored when this function ends; between two lines, too, Ctrl-C is a key and no signal.
        let _quiet = modes::quiet();
        let mut visit = Visit::default();
        self.welcome.iter().for_each(|line| print(line));
        let mut session = Session::new(self.address.clone(), self.cluster);
        if let Err(error) = session.connect() {
            print(&cannot_connect(&error, &self.address));
        }
        // A connection of its own, because the answer may come late.
        let docs = self.address.connect().map(|mut client| CommandDocs::ask(&mut client)).unwrap_or_default();
        let keys = Keys::new(self.address.clone(), self.cluster, self.prefix.clone());
        let mut editor = match LineEditor::new(docs, keys) {
            Ok(editor) => editor,
            Err(error) => {
                print(&format!("This terminal cannot be read: {error}"));
                return visit;
            }
        };
        loop {
            match editor.read(&session.prompt()) {
                Ok(Entry::Line(entry)) => {
                    for command in commands(&entry) {
                        if self.handle(command, &mut session, &mut editor, &mut visit) == Next::Leave {
                            return visit;
                        }
                    }
                }
                Ok(Entry::Interrupt) => print(&format!("(back, exit, or Ctrl-D: {})", self.leaving)),
                Ok(Entry::End) => return visit,
                Err(error) => {
                    print(&format!("This terminal cannot be read: {error}"));
                    return visit;
                }
            }
        }
    }

    fn handle(&self, line: &str, session: &mut Session, editor: &mut LineEditor, visit: &mut Visit) -> Next {
        let Some(typed) = words::split(line) else {
            print("Invalid argument(s)");
            return Next::Read;
        };
        let words = without_repetition(&typed);
        let Some(name) = words.first() else { return Next::Read };
        match name.to_ascii_lowercase().as_slice() {
            b"back" | b"exit" | b"quit" => return Next::Leave,
            b"clear" => editor.clear_screen(),
            b"help" | b"?" => self.help(&words[1..], editor),
            _ => {
                if !allowed(care(words, self.private), editor) {
                    return Next::Read;
                }
                if words.len() < typed.len() {
                    let times = std::str::from_utf8(&typed[0]).ok().and_then(|times| times.parse().ok());
                    let times = times.unwrap_or(MOST_REPETITIONS).min(MOST_REPETITIONS);
                    let _all_came = (0..times).all(|_| session.run(words));
                } else {
                    session.run(words);
                }
                self.remember(words, session.db(), editor, visit);
                editor.knowledge().borrow_mut().keys.db = session.db();
            }
        }
        Next::Read
    }

    /// Remembers what putting the keys back does not undo.
    fn remember(&self, words: &[Vec<u8>], db: i64, editor: &LineEditor, visit: &mut Visit) {
        let knowledge = editor.knowledge().borrow();
        let docs = &knowledge.docs;
        let outside = |key: &[u8]| !key.starts_with(self.prefix.as_bytes());
        let lasts = changes_the_server(words)
            || docs.writes(words)
                && (!self.keys_are_kept
                    || db != self.address.db()
                    || docs.written_keys(words).into_iter().any(outside)
                    || !self.prefix.is_empty() && is_script_without_keys(words)
                    || !self.prefix.is_empty() && has_word(words, 0, &["FLUSHDB"]));
        if lasts && visit.lasting.len() < MOST_REMEMBERED {
            visit.lasting.push(command_line(redis::Cmd::new().arg(words)));
        }
    }

    fn help(&self, words: &[Vec<u8>], editor: &LineEditor) {
        let knowledge = editor.knowledge().borrow();
        if words.is_empty() {
            for line in HELP {
                print(line);
            }
            print(&format!("back, exit, quit, or Ctrl-D: {}.", self.leaving));
            return;
        }
        match knowledge.docs.find(words) {
            Some((of_name, command)) => {
                let name = words[..of_name].iter().map(|word| upper(word)).collect::<Vec<_>>().join(" ");
                print(format!("  {name} {}", syntax::syntax(&command.arguments)).trim_end());
                if !command.summary.is_empty() {
                    print(&format!("  {}", command.summary));
                }
                let subcommands: Vec<&str> = knowledge.docs.subcommands(&name).collect();
                if !subcommands.is_empty() {
                    print(&format!("  subcommands: {}", subcommands.join(", ")));
                }
            }
            None => print("This server says nothing about such a command."),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    Read,
    Leave,
}

fn allowed(care: Care, editor: &mut LineEditor) -> bool {
    match care {
        Care::Send => true,
        Care::Refuse(why) => {
            print(why);
            false
        }
        Care::Ask(why) => {
            print(why);
            let answer = editor.ask("Send it? Type yes: ");
            let agreed =
                matches!(answer, Ok(Entry::Line(answer)) if answer.trim().eq_ignore_ascii_case("yes"));
            if !agreed {
                print("It was not sent.");
            }
            agreed
        }
    }
}

/// Nobody knows which keys such a script writes.
fn is_script_without_keys(words: &[Vec<u8>]) -> bool {
    runs_a_script(words) && has_word(words, 2, &["0"])
}

/// The commands of an entry: one for each line, except that a quote may go on over several lines.
fn commands(entry: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let mut rest = entry;
    while !rest.is_empty() {
        let ends =
            rest.match_indices('\n').map(|(at, _)| at).find(|&at| !words::quote_stays_open(&rest[..at]));
        let (command, after) = match ends {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, ""),
        };
        commands.push(command);
        rest = after;
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_of_several_lines_is_several_commands() {
        assert_eq!(commands("SET a 1\nGET a\n"), ["SET a 1", "GET a"]);
        assert_eq!(commands("EVAL \"return\n1\" 0\nPING"), ["EVAL \"return\n1\" 0", "PING"]);
        assert_eq!(commands("SET a \"b"), ["SET a \"b"]);
        assert_eq!(commands(""), [] as [&str; 0]);
    }
}
