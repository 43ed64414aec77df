//! A line that says what is going on while nothing else is shown, on a terminal only.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Silence that needs no explanation.
const QUIET: Duration = Duration::from_secs(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// The line fits the narrowest terminal.
const WIDTH: usize = 58;

static STATE: Mutex<State> =
    Mutex::new(State { what: String::new(), since: None, drawn: false, started: false });

struct State {
    what: String,
    /// When something was shown last; `None` while nobody waits for anything.
    since: Option<Instant>,
    drawn: bool,
    started: bool,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Work goes on from here to [`pause`]. If it is silent for a second, a line says so.
pub fn resume() {
    let draws = stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let mut state = state();
    state.since = draws.then(Instant::now);
    if draws && !state.started {
        state.started = true;
        thread::spawn(draw_from_time_to_time);
    }
}

/// Nothing goes on: a person reads, or a progress bar says more.
pub fn pause() {
    let mut state = state();
    state.erase();
    state.since = None;
}

/// What goes on, in a few words; the line shows them.
pub fn set(what: impl Into<String>) {
    state().what = what.into();
}

/// Something else is about to be shown.
pub(crate) fn interrupt() {
    let mut state = state();
    state.erase();
    state.since = state.since.map(|_| Instant::now());
}

impl State {
    fn erase(&mut self) {
        if std::mem::take(&mut self.drawn) {
            put(&format!("\r{:WIDTH$}\r", ""));
        }
    }
}

fn draw_from_time_to_time() {
    loop {
        thread::sleep(BETWEEN_LOOKS);
        let mut state = state();
        let Some(since) = state.since else { continue };
        if since.elapsed() >= QUIET {
            let what = if state.what.is_empty() { "working" } else { &state.what };
            let line: String =
                format!("… {what}, {} s", since.elapsed().as_secs()).chars().take(WIDTH).collect();
            put(&format!("\r{line:WIDTH$}\r"));
            state.drawn = true;
        }
    }
}

fn put(text: &str) {
    let mut stderr = stderr().lock();
    // If standard error has gone, nobody misses the line.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
