//! `watch`, running beside the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::output::assert_presentable;
use super::{Shop, TIMEOUT};

/// A running `watch`.
pub struct Watcher {
    child: Child,
    /// Standard output: the cart and its changes.
    changes: Lines,
    /// Standard error: the connection.
    notes: Lines,
}

impl Watcher {
    /// Starts it, and waits until it is subscribed.
    pub fn start<'a>(shop: &Shop, owner: &'a str, flags: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = shop.command(["watch", owner].into_iter().chain(flags));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let changes = Lines::of(child.stdout.take().unwrap());
        let notes = Lines::of(child.stderr.take().unwrap());
        let mut watcher = Self { child, changes, notes };
        watcher.notes("Watching the cart of");
        watcher
    }

    /// The next line with this in it.
    pub fn prints(&mut self, part: &str) -> String {
        self.changes.expect(part)
    }

    /// Whether such a line comes within this time.
    pub fn prints_within(&mut self, time: Duration, part: &str) -> bool {
        self.changes.expect_within(time, part).is_some()
    }

    /// The next note with this in it.
    pub fn notes(&mut self, part: &str) -> String {
        self.notes.expect(part)
    }

    /// Every line so far.
    pub fn printed(&self) -> &[String] {
        &self.changes.seen
    }

    /// Every note so far.
    pub fn noted(&self) -> &[String] {
        &self.notes.seen
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ctrl-C, and the exit code that follows.
    pub fn interrupt(mut self) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of one output.
struct Lines {
    coming: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let (sender, coming) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { coming, seen: Vec::new() }
    }

    fn expect(&mut self, part: &str) -> String {
        self.expect_within(TIMEOUT, part)
            .unwrap_or_else(|| panic!("no {part:?} within a minute: {:#?}", self.seen))
    }

    fn expect_within(&mut self, time: Duration, part: &str) -> Option<String> {
        let until = Instant::now() + time;
        while let Ok(line) = self.coming.recv_timeout(until.saturating_duration_since(Instant::now())) {
            assert_presentable(&line);
            self.seen.push(line.clone());
            if line.contains(part) {
                return Some(line);
            }
        }
        None
    }
}
