//! A process of the run: it is started, stopped, and killed, and never left behind.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use lab_connection::Failure;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::torture::host::cannot;

/// A process, which is killed when this value is dropped. Should this program be killed, the process notices that its standard input
/// has ended.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: Option<ExitStatus>,
    complaints: PathBuf,
}

impl Process {
    /// Starts it. What it writes to standard error goes into a file beside its journal.
    pub fn start(command: Command, journal: &Path) -> Result<Self, Failure> {
        let complaints = journal.with_extension("complaints");
        let child = spawn(command, &complaints).map_err(|error| cannot("start a process", &error))?;
        Ok(Self { child, ended: None, complaints })
    }

    /// How it ended; none while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            // Until it is waited for, nobody else has its ID.
            let _ = kill_process_group(self.pid(), Signal::KILL);
            self.ended = self.child.wait().ok();
        }
    }

    /// Writes a line to its standard input. A process that has ended does not read it.
    pub fn tell(&mut self, line: &str) {
        if let Some(input) = &mut self.child.stdin {
            let _ = writeln!(input, "{line}");
        }
    }

    /// Lets a process go on that was stopped with SIGSTOP.
    pub fn resume(&mut self) {
        if self.ended().is_none() {
            let _ = kill_process(self.pid(), Signal::CONT);
        }
    }

    /// The last line that it wrote to standard error.
    pub fn last_words(&self) -> String {
        let text = fs::read(&self.complaints).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines()
            .rev()
            .find(|line| !line.trim().is_empty() && !line.starts_with("try: "))
            .unwrap_or("It said nothing.")
            .trim()
            .to_owned()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

fn spawn(mut command: Command, complaints: &Path) -> io::Result<Child> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(File::create(complaints)?);
    // A group of its own, so that its own children are killed with it.
    command.process_group(0).spawn()
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
