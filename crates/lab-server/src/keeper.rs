//! The shell between an owner and its server. It ends the server however the owner ends.
//!
//! One mechanism covers drop, panic, Ctrl-C, and SIGKILL: see `keeper.sh`. The shell and the server have a process group of their own,
//! so a Ctrl-C in the terminal reaches the owner only.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::Error;

/// The keeper of a server's directory, and of the server once it [runs](Self::run). Dropping it kills the server,
/// removes the directory and waits until both are gone.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    owner: Option<ChildStdin>,
    idle: bool,
    /// Carries what the server wrote before it ended. In a mutex only so that a `Server` can be shared.
    ended: Mutex<Receiver<String>>,
}

/// How much of a server's output is kept to explain its end.
const MAX_OUTPUT_BYTES: u64 = 64 * 1024;

/// Some systems make pipes close-on-exec in two steps. One spawn at a time, so no server inherits another's pipe.
static SPAWN: Mutex<()> = Mutex::new(());

impl Keeper {
    /// A keeper for a server of this program, and the directory. `directory` is that directory, or a template for `mktemp`. Then the
    /// keeper makes it, in case the owner is killed right after it is made. `flag` is one more argument of the program, or empty.
    pub(crate) fn spawn(program: &Path, directory: &Path, flag: &str) -> io::Result<(Self, PathBuf)> {
        let one_at_a_time = SPAWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut shell = Command::new("/bin/sh")
            .args(["-c", include_str!("keeper.sh"), "lab-server"])
            .args([program, directory])
            .arg(flag)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("/bin/sh does not run: {error}")))?;
        drop(one_at_a_time);
        let owner = shell.stdin.take();
        let mut output = shell.stdout.take().map(BufReader::new);
        let mut reply = Vec::new();
        let read = output.as_mut().map_or(Ok(0), |output| output.read_until(0, &mut reply));
        let (sender, ended) = mpsc::channel();
        if let Some(output) = output {
            thread::spawn(move || sender.send(read_to_end(output)));
        }
        let keeper = Self { shell, owner, idle: true, ended: Mutex::new(ended) };
        if read? == 0 {
            return Err(io::Error::other("its keeper has ended"));
        }
        reply.pop();
        let made = PathBuf::from(OsString::from_vec(reply));
        if made.is_dir() {
            Ok((keeper, made))
        } else if made == directory {
            Err(io::ErrorKind::NotFound.into())
        } else {
            Err(io::Error::other(made.display().to_string()))
        }
    }

    /// Starts the server with the configuration that is in the directory now, and with these variables: `NAME=VALUE` without white
    /// space.
    pub(crate) fn run(&mut self, environment: &[String]) -> Result<(), Error> {
        self.idle = false;
        self.send(&format!("run {}", environment.join(" "))).map_err(Error::io("start the server"))
    }

    /// Whether it has not started a server yet.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle
    }

    /// Waits for the server to end, at most for `timeout`. If it ends, returns what it wrote.
    pub(crate) fn ended_within(&self, timeout: Duration) -> Option<String> {
        let ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match ended.recv_timeout(timeout) {
            Ok(output) => Some(output),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(String::new()),
        }
    }

    /// Kills the server with SIGKILL, keeps its directory, and returns when the process is gone.
    pub(crate) fn kill(mut self) {
        debug_assert!(!self.idle, "the first line starts the server");
        let _ = self.send("keep");
    }

    fn send(&mut self, line: &str) -> io::Result<()> {
        self.owner.as_mut().map_or(Ok(()), |owner| writeln!(owner, "{line}"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.owner.take());
        let _ = self.shell.wait();
    }
}

fn read_to_end(mut output: BufReader<ChildStdout>) -> String {
    let mut bytes = Vec::new();
    let _ = output.by_ref().take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes);
    // A server that logs here for hours must not block, and must not fill the memory.
    let _ = io::copy(&mut output, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}
