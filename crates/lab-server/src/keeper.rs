//! The shell that stands between an owner and its server, so that the server ends however the owner ends.
//!
//! One mechanism covers drop, panic, Ctrl-C and SIGKILL: see `keeper.sh`. The shell and the server live in a process
//! group of their own, so that a Ctrl-C in the terminal reaches the owner only.

use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::Error;

/// A running server and its keeper. Dropping it kills the server, removes its directory and waits until both are gone.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    owner: Option<ChildStdin>,
    /// Carries what the server wrote before it ended. In a mutex only so that a `Server` can be shared.
    ended: Mutex<Receiver<String>>,
}

/// How much of a server's own output is kept to explain its end, in bytes.
const MOST_KEPT: u64 = 64 * 1024;

/// Pipes are made close-on-exec in two steps on some systems; one at a time, no server inherits another's pipe.
static SPAWN: Mutex<()> = Mutex::new(());

impl Keeper {
    pub(crate) fn spawn(program: &Path, directory: &Path) -> Result<Self, Error> {
        let one_at_a_time = SPAWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut shell = Command::new("/bin/sh")
            .args(["-c", include_str!("keeper.sh"), "lab-server"])
            .args([program, directory])
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io("run /bin/sh"))?;
        drop(one_at_a_time);
        let owner = shell.stdin.take();
        let (tell, ended) = mpsc::channel();
        if let Some(output) = shell.stdout.take() {
            thread::spawn(move || tell.send(read_to_end(output)));
        }
        Ok(Self { shell, owner, ended: Mutex::new(ended) })
    }

    /// Waits at most `patience` for the server to end by itself; what it wrote, if it did.
    pub(crate) fn ended_within(&self, patience: Duration) -> Option<String> {
        let ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match ended.recv_timeout(patience) {
            Ok(output) => Some(output),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(String::new()),
        }
    }

    /// Kills the server with SIGKILL and keeps its directory; returns when the process is gone.
    pub(crate) fn kill(mut self) {
        if let Some(owner) = &mut self.owner {
            let _ = owner.write_all(b"keep\n");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.owner.take());
        let _ = self.shell.wait();
    }
}

fn read_to_end(mut output: ChildStdout) -> String {
    let mut bytes = Vec::new();
    let _ = output.by_ref().take(MOST_KEPT).read_to_end(&mut bytes);
    // A server that logs here for hours must neither block nor fill the memory.
    let _ = io::copy(&mut output, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}
