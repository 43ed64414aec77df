//! The one place that writes to the terminal.

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdin, stdout};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice};

use textwrap::core::display_width;

use crate::activity;
use crate::wrapping::wrap;

/// Text is wrapped here at most, however wide the terminal: longer lines are hard to read.
const WIDEST_TEXT: usize = 100;
/// Narrower terminals are treated as this wide.
const NARROWEST: usize = 60;
/// Where the output goes to a file, or the width is unknown.
const USUAL: usize = 80;

/// A space at which [`Terminal::paragraph`] does not wrap.
pub(crate) const NO_BREAK: char = '\u{a0}';

/// Whether the run has printed its document.
static DOCUMENT_PRINTED: AtomicBool = AtomicBool::new(false);
/// Rows of the screen that were filled since somebody last pressed a key.
static FILLED_ROWS: AtomicUsize = AtomicUsize::new(0);

/// Standard output and standard error: color only where it is wanted (a terminal, no `NO_COLOR`, no `TERM=dumb`),
/// and no panic when the reader has gone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal;

impl Terminal {
    /// Columns for text: 60 to 100.
    #[must_use]
    pub fn text_width(self) -> usize {
        self.width().min(WIDEST_TEXT)
    }

    /// Columns for tables: 60 or more.
    #[must_use]
    pub fn width(self) -> usize {
        let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        columns().or(asked).unwrap_or(USUAL).max(NARROWEST)
    }

    /// Lines of the screen, at least 10.
    #[must_use]
    pub fn height(self) -> usize {
        let height = terminal_size::terminal_size_of(stdout()).map(|(_, height)| usize::from(height.0));
        height.unwrap_or(24).max(10)
    }

    /// Whether a person is there to be asked: input and output are both a terminal.
    #[must_use]
    pub fn interactive(self) -> bool {
        stdin().is_terminal() && stdout().is_terminal()
    }

    /// Whether results are shown in color: where they are not, marks in the text have to do.
    #[must_use]
    pub fn colored(self) -> bool {
        choice(&stdout()) != ColorChoice::Never
    }

    /// A line of results, on standard output.
    pub fn line(self, text: &str) {
        activity::interrupt();
        FILLED_ROWS.fetch_add(rows_of(text), Ordering::Relaxed);
        deliver(text, "\n");
    }

    /// The one JSON document of a run that was asked for JSON; a second one would spoil it, and is dropped.
    pub fn document(self, document: &serde_json::Value) {
        if !DOCUMENT_PRINTED.swap(true, Ordering::Relaxed) {
            self.line(&document.to_string());
        }
    }

    /// A paragraph of results, wrapped at spaces. `NO_BREAK` is a space that stays in its line.
    pub fn paragraph(self, text: &str) {
        self.line(&wrap(text, self.text_width(), "", "").replace(NO_BREAK, " "));
    }

    /// The beginning of a line, without its end: a question.
    pub fn prompt(self, text: &str) {
        deliver(text, "");
    }

    /// A line of narration, on standard error: what was started, what went wrong.
    pub fn note(self, text: &str) {
        activity::interrupt();
        let text = if stderr().is_terminal() {
            let wrapped: Vec<String> = text.lines().map(|line| wrapped(line, self.text_width())).collect();
            let text = wrapped.join("\n");
            FILLED_ROWS.fetch_add(rows_of(&text), Ordering::Relaxed);
            text
        } else {
            // A program may read it, line by line.
            text.to_owned()
        };
        // If standard error is closed, the exit code still says what happened.
        let _ = put(AutoStream::new(stderr().lock(), choice(&stderr())), &text, "\n");
    }
}

/// A line that is wrapped at spaces if it is too long. It goes on further in.
fn wrapped(line: &str, width: usize) -> String {
    if display_width(line) <= width {
        return line.to_owned();
    }
    let rest = if line.starts_with("  try: ") { "       " } else { "  " };
    wrap(line, width, "", rest)
}

/// How many rows of the screen a text fills: more than one a line where a line is too wide.
pub(crate) fn rows_of(text: &str) -> usize {
    let columns = columns().unwrap_or(USUAL).max(1);
    text.split('\n').map(|line| display_width(line).div_ceil(columns).max(1)).sum()
}

/// Of the terminal, if the output goes to one.
fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(stdout()).map(|(width, _)| usize::from(width.0))
}

/// How many rows of the screen were filled since [`forget_rows`].
pub(crate) fn filled_rows() -> usize {
    FILLED_ROWS.load(Ordering::Relaxed)
}

/// The person has pressed a key, and so has seen all rows.
pub(crate) fn forget_rows() {
    FILLED_ROWS.store(0, Ordering::Relaxed);
}

/// anstream reads `NO_COLOR`, `CLICOLOR`, `TERM` and whether this is a terminal.
fn choice(stream: &impl RawStream) -> ColorChoice {
    AutoStream::choice(stream)
}

/// If the results cannot be written, the run ends. Its private server ends with it.
fn deliver(text: &str, end: &str) {
    match put(AutoStream::new(stdout().lock(), choice(&stdout())), text, end) {
        Ok(()) => {}
        // The reader has seen enough (`| head`).
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            Terminal.note(&format!("error: the output cannot be written: {error}"));
            std::process::exit(1);
        }
    }
}

fn put(mut stream: AutoStream<impl RawStream + AsLockedWrite>, text: &str, end: &str) -> std::io::Result<()> {
    write!(stream, "{text}{end}").and_then(|()| stream.flush())
}
