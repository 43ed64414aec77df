//! A small disk that can be full: a tmpfs that nobody else sees.
//!
//! A process of its own, the holder, mounts it in a mount namespace of its own, which needs no root where the kernel lets users make
//! namespaces. A server reaches it as `/proc/HOLDER/cwd`. The kernel removes it with the last process that uses it. The holder ends when
//! its owner does, even by SIGKILL, so there is nothing to unmount.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::Error;

/// Run by the holder. It covers /tmp, because that exists everywhere; outside of its namespace, nothing changes.
const HOLD: &str = "mount -t tmpfs -o size=\"$1\"k,mode=700 lab-server-disk /tmp && cd /tmp && echo ready && exec cat >/dev/null";
/// The ways to a mount namespace: as any user, and as root where users may not make namespaces.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
/// What takes the space.
const BALLAST: &str = "ballast";

/// A disk of a few megabytes, to be named as a server's `dir`. Dropping it removes it as soon as the server has ended.
#[derive(Debug)]
pub struct Disk {
    holder: Child,
    /// The holder ends when this pipe closes.
    owner: Option<ChildStdin>,
}

impl Disk {
    /// A disk of so many kilobytes. If that is not possible here, the error is [`Error::NoPrivateDisk`].
    pub fn start(kilobytes: u32) -> Result<Self, Error> {
        let mut reason = "it needs Linux".to_owned();
        if cfg!(target_os = "linux") {
            for way in WAYS {
                match Self::hold(way, kilobytes) {
                    Ok(disk) => return Ok(disk),
                    Err(error) => reason = error.to_string(),
                }
            }
        }
        Err(Error::NoPrivateDisk { reason })
    }

    fn hold(way: &[&str], kilobytes: u32) -> io::Result<Self> {
        let mut holder = Command::new("unshare")
            .args(way)
            .args(["sh", "-c", HOLD, "lab-server-disk", &kilobytes.to_string()])
            // A Ctrl-C in the terminal is for the owner.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("unshare: {error}")))?;
        let (output, errors) = (holder.stdout.take(), holder.stderr.take());
        let mut disk = Self { owner: holder.stdin.take(), holder };
        let mut line = String::new();
        output.map_or(Ok(0), |output| BufReader::new(output).read_line(&mut line))?;
        if line == "ready\n" {
            return Ok(disk);
        }
        disk.end();
        let mut why = String::new();
        errors.map_or(Ok(0), |mut errors| errors.read_to_string(&mut why))?;
        Err(io::Error::other(why.lines().last().unwrap_or("unshare said nothing").to_owned()))
    }

    /// Its directory, for the server and for this process.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/cwd", self.holder.id()))
    }

    /// Takes all the space that is free.
    pub fn fill(&self) -> Result<(), Error> {
        let fill = || {
            let mut ballast = File::create(self.path().join(BALLAST))?;
            loop {
                match ballast.write(&[0; 4_096]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        };
        fill().map_err(Error::io("fill the private disk"))
    }

    /// Gives back what [`fill`](Self::fill) took.
    pub fn free(&self) -> Result<(), Error> {
        match std::fs::remove_file(self.path().join(BALLAST)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("free the private disk")(error))
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self) {
        drop(self.owner.take());
        let _ = self.holder.wait();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.end();
    }
}
