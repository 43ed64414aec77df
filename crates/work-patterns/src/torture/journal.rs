//! What happened in a process, as lines of a file. What a process has written, the kernel has, so a SIGKILL takes nothing of it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lab_connection::Failure;

use crate::torture::host::cannot;

/// Something that happened to a job, at this time in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// The job's number.
    pub job: u64,
    /// Which attempt, from 1, as the queue counts them; 0 where it does not say.
    pub attempt: u64,
    /// When.
    pub at: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The server acknowledged the job. The time is that before it was sent.
    Enqueued,
    /// A worker began with it.
    Started,
    /// The worker did the part of the work that is not in the queue's slot: this line.
    Effect,
    /// The work is done, and the queue completes the job next, or has done so.
    Worked,
    /// The attempt failed.
    Failed,
    /// The worker found out that the job is no longer its own.
    Taken,
    /// The job was given up, where the queue keeps no list of those.
    GivenUp,
    /// The process stops itself in a critical section.
    Stopping,
    /// The process kills itself in a critical section.
    Dying,
    /// The process takes its time in a critical section.
    Slow,
}

const LETTERS: [(What, &str); 10] = [
    (What::Enqueued, "E"),
    (What::Started, "S"),
    (What::Effect, "X"),
    (What::Worked, "C"),
    (What::Failed, "F"),
    (What::Taken, "T"),
    (What::GivenUp, "D"),
    (What::Stopping, "P"),
    (What::Dying, "K"),
    (What::Slow, "L"),
];

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = LETTERS.iter().find(|(what, _)| *what == self.what).map_or("?", |(_, letter)| letter);
        write!(f, "{letter} {} {} {}", self.job, self.attempt, self.at)
    }
}

impl Event {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let letter = words.next()?;
        let what = LETTERS.iter().find(|(_, one)| *one == letter)?.0;
        let mut number = || words.next()?.parse().ok();
        Some(Self { what, job: number()?, attempt: number()?, at: number()? })
    }
}

/// Microseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// The end that a process writes.
#[derive(Debug)]
pub struct Journal {
    file: Mutex<File>,
}

impl Journal {
    /// Creates the file, or goes on with it.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self { file: Mutex::new(file.map_err(|error| cannot("write a journal", &error))?) })
    }

    /// Writes a line with the time of now. It is in the kernel when this returns.
    pub fn write(&self, what: What, job: u64, attempt: u64) -> Result<(), Failure> {
        self.write_at(what, job, attempt, now())
    }

    /// Writes a line with a time of its own.
    pub fn write_at(&self, what: What, job: u64, attempt: u64, at: u64) -> Result<(), Failure> {
        let line = format!("{}\n", Event { what, job, attempt, at });
        let written = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        written.map_err(|error| cannot("write a journal", &error))
    }
}

/// The end that is read while the process still writes.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    offset: u64,
}

impl Tail {
    /// From the beginning of a file, which may not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, offset: 0 }
    }

    /// The events since the last call. A line without its end waits for the next call.
    pub fn read(&mut self) -> Result<Vec<Event>, Failure> {
        self.read_lines().map_err(|error| cannot("read a journal", &error))
    }

    fn read_lines(&mut self) -> io::Result<Vec<Event>> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.offset += whole as u64;
        Ok(text[..whole].lines().filter_map(Event::read).collect())
    }
}
