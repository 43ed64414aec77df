//! The shell that stands between an owner and its server, so that the server ends however the owner ends.
//!
//! One mechanism covers drop, panic, Ctrl-C and SIGKILL: see `keeper.sh`. The shell and the server live in a process
//! group of their own, so that a Ctrl-C in the terminal reaches the owner only.

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

/// How much of a server's own output is kept to explain its end, in bytes.
const MOST_KEPT: u64 = 64 * 1024;

/// Pipes are made close-on-exec in two steps on some systems; one at a time, no server inherits another's pipe.
static SPAWN: Mutex<()> = Mutex::new(());

impl Keeper {
    /// A keeper for a server of this program, and the directory. `place` is that directory, or a template as `mktemp`
    /// takes it, to make it from: then the keeper makes it, lest its owner be killed between making it and saying so.
    pub(crate) fn spawn(program: &Path, place: &Path) -> io::Result<(Self, PathBuf)> {
        let one_at_a_time = SPAWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut shell = Command::new("/bin/sh")
            .args(["-c", include_str!("keeper.sh"), "lab-server"])
            .args([program, place])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("/bin/sh does not run: {error}")))?;
        drop(one_at_a_time);
        let owner = shell.stdin.take();
        let mut output = shell.stdout.take().map(BufReader::new);
        let mut told = Vec::new();
        let heard = output.as_mut().map_or(Ok(0), |output| output.read_until(0, &mut told));
        let (tell, ended) = mpsc::channel();
        if let Some(output) = output {
            thread::spawn(move || tell.send(read_to_end(output)));
        }
        let keeper = Self { shell, owner, idle: true, ended: Mutex::new(ended) };
        if heard? == 0 {
            return Err(io::Error::other("its keeper has ended"));
        }
        told.pop();
        let directory = PathBuf::from(OsString::from_vec(told));
        if directory.is_dir() {
            Ok((keeper, directory))
        } else if directory == place {
            Err(io::ErrorKind::NotFound.into())
        } else {
            Err(io::Error::other(directory.display().to_string()))
        }
    }

    /// Starts the server with the configuration that is in the directory now, and these variables, `NAME=VALUE`, which have no
    /// white space.
    pub(crate) fn run(&mut self, environment: &[String]) -> Result<(), Error> {
        self.idle = false;
        self.tell(&format!("run {}", environment.join(" "))).map_err(Error::io("start the server"))
    }

    /// Whether it only keeps the directory so far.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle
    }

    /// Waits at most `retry` for the server to end by itself; what it wrote, if it did.
    pub(crate) fn ended_within(&self, retry: Duration) -> Option<String> {
        let ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match ended.recv_timeout(retry) {
            Ok(output) => Some(output),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(String::new()),
        }
    }

    /// Kills the server with SIGKILL and keeps its directory; returns when the process is gone.
    pub(crate) fn kill(mut self) {
        debug_assert!(!self.idle, "what an idle one is told starts the server");
        let _ = self.tell("keep");
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
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
    let _ = output.by_ref().take(MOST_KEPT).read_to_end(&mut bytes);
    // A server that logs here for hours must neither block nor fill the memory.
    let _ = io::copy(&mut output, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}
