//! The line editor: history, completion, hints, and words in quotes that go on over several lines.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;

use lab_connection::transcript::{holds_a_secret, words};
use rustyline::completion::{Candidate, Completer};
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Behavior, CompletionType, Context, Editor, Helper};

use crate::command_docs::CommandDocs;
use crate::completion::{self, Keys, without_repetition};
use crate::syntax;

const LONGEST_HISTORY: usize = 1_000;

/// What a person did at a prompt.
pub(crate) enum Entry {
    /// Typed this.
    Line(String),
    /// Pressed Ctrl-C.
    Interrupt,
    /// Pressed Ctrl-D, or closed the terminal.
    End,
}

/// The editor of one console.
pub(crate) struct LineEditor {
    editor: Editor<Assistant, FileHistory>,
    assistant: Rc<RefCell<Knowledge>>,
    history: Option<PathBuf>,
}

/// What completion and hints are made of.
pub(crate) struct Knowledge {
    pub(crate) docs: CommandDocs,
    pub(crate) keys: Keys,
    /// Whether commands are typed, and not the answer to a question.
    helps: bool,
}

impl LineEditor {
    pub(crate) fn new(docs: CommandDocs, keys: Keys) -> Result<Self, ReadlineError> {
        let config = Config::builder()
            .max_history_size(LONGEST_HISTORY)?
            .history_ignore_dups(true)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .completion_show_all_if_ambiguous(true)
            .behavior(Behavior::Stdio)
            .build();
        let mut editor = Editor::with_config(config)?;
        let assistant = Rc::new(RefCell::new(Knowledge { docs, keys, helps: true }));
        editor.set_helper(Some(Assistant(Rc::clone(&assistant))));
        let history = history_file();
        if let Some(file) = &history {
            // The first time, there is none.
            let _ = editor.load_history(file);
        }
        Ok(Self { editor, assistant, history })
    }

    pub(crate) fn knowledge(&self) -> &Rc<RefCell<Knowledge>> {
        &self.assistant
    }

    /// Reads one or more commands.
    pub(crate) fn read(&mut self, prompt: &str) -> Result<Entry, ReadlineError> {
        let entry = self.read_without_history(prompt)?;
        if let Entry::Line(line) = &entry
            && !line.trim().is_empty()
            && !words::split(line).is_some_and(|words| holds_a_secret(without_repetition(&words)))
        {
            self.editor.add_history_entry(line.as_str())?;
        }
        Ok(entry)
    }

    /// Asks a question, without completion and history.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Entry, ReadlineError> {
        self.assistant.borrow_mut().helps = false;
        let entry = self.read_without_history(question);
        self.assistant.borrow_mut().helps = true;
        entry
    }

    fn read_without_history(&mut self, prompt: &str) -> Result<Entry, ReadlineError> {
        match self.editor.readline(prompt) {
            Ok(line) => Ok(Entry::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Entry::Interrupt),
            Err(ReadlineError::Eof) => Ok(Entry::End),
            Err(ReadlineError::Signal(_)) => Ok(Entry::Line(String::new())),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn clear_screen(&mut self) {
        // A screen that cannot be cleared stays as it is.
        let _ = self.editor.clear_screen();
    }
}

/// The history outlives the console, as far as the file can be written.
impl Drop for LineEditor {
    fn drop(&mut self) {
        let Some(file) = &self.history else { return };
        if let Some(folder) = file.parent() {
            let _ = fs::create_dir_all(folder);
        }
        let _ = self.editor.append_history(file);
        // Commands can hold data that is nobody else's business.
        let _ = fs::set_permissions(file, fs::Permissions::from_mode(0o600));
    }
}

/// `redis-lab/console.txt` in `XDG_DATA_HOME`, or in the system's place for data of this user.
fn history_file() -> Option<PathBuf> {
    let chosen = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    chosen.or_else(dirs::data_local_dir).map(|folder| folder.join("redis-lab").join("console.txt"))
}

struct Assistant(Rc<RefCell<Knowledge>>);

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = Completion;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Completion>)> {
        let mut knowledge = self.0.borrow_mut();
        let Knowledge { docs, keys, helps } = &mut *knowledge;
        if !*helps {
            return Ok((pos, Vec::new()));
        }
        let (start, found) = completion::complete(&line[..pos], docs, keys);
        Ok((start, found.into_iter().map(Completion).collect()))
    }
}

/// What Tab inserts; it is listed without the space behind it.
struct Completion(String);

impl Candidate for Completion {
    fn display(&self) -> &str {
        self.0.trim_end()
    }

    fn replacement(&self) -> &str {
        &self.0
    }
}

impl Hinter for Assistant {
    type Hint = Syntax;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Syntax> {
        let knowledge = self.0.borrow();
        if pos < line.len() || line.contains('\n') || !knowledge.helps {
            return None;
        }
        let words = words::split(line)?;
        let words = without_repetition(&words);
        let (of_name, command) = knowledge.docs.find(words)?;
        let arguments: Vec<String> =
            words[of_name..].iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let left = syntax::remaining(&command.arguments, &arguments)?;
        let space = if line.ends_with(char::is_whitespace) { "" } else { " " };
        (!left.is_empty()).then(|| Syntax(format!("{space}{}", fitting(&left, line))))
    }
}

/// As much of a hint as leaves the line on one row, or a little of it.
fn fitting(hint: &str, line: &str) -> String {
    let columns =
        rustix::termios::tcgetwinsize(std::io::stdout()).map_or(80, |size| usize::from(size.ws_col));
    // The prompt is about as long as an address.
    let room = columns.saturating_sub(line.chars().count() + 26).max(12);
    if hint.chars().count() <= room {
        return hint.to_owned();
    }
    hint.chars().take(room - 1).chain(['…']).collect()
}

/// A hint, which the right arrow does not insert: it names words and is none.
struct Syntax(String);

impl Hint for Syntax {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> std::borrow::Cow<'h, str> {
        format!("\x1b[2m{hint}\x1b[0m").into()
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let open = self.0.borrow().helps && words::quote_stays_open(context.input());
        Ok(if open { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}
