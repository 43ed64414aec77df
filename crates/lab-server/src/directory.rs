//! The private directory of one server. Its keeper makes it with mode 0700, its owner locks it, and the next start removes it if its
//! owner died.
//!
//! The lock is the kernel's (`flock`), so it is released however the owner ends. If the lock is free, the directory has no owner.

use std::env;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal};

use crate::Error;
use crate::keeper::Keeper;
use crate::readiness::{POLL_INTERVAL, READY_TIMEOUT};

const PREFIX: &str = "redis-lab-";
const LOCK: &str = "owner.lock";
pub(crate) const CONFIG_FILE: &str = "server.conf";
/// The server writes it, so it is right even if the program is a wrapper script.
pub(crate) const PID_FILE: &str = "server.pid";
/// The path of a unix socket has at most 104 bytes on macOS and 108 on Linux. The rest is for the socket's name.
const MAX_PATH_BYTES: usize = 80;

/// The directory of one server. Dropping it removes it with everything in it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// A new directory, and the keeper that will run this program in it.
    pub(crate) fn create(program: &Path, flag: &str) -> Result<(Self, Keeper), Error> {
        let parent = parent();
        let (keeper, path) = Keeper::spawn(program, &parent.join(format!("{PREFIX}XXXXXX")), flag)
            .map_err(Error::io(format!("create a directory in {}", parent.display())))?;
        // The lock file gets its name after it is locked. A sweep that finds an unlocked one would take the directory for stale.
        let unnamed = path.join("owner.lock.new");
        let lock = File::create_new(&unnamed)
            .and_then(|file| file.lock().map(|()| file))
            .and_then(|file| fs::rename(&unnamed, path.join(LOCK)).map(|()| file))
            .map_err(Error::io(format!("lock {}", path.display())))?;
        Ok((Self { path, _lock: lock }, keeper))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// For a server whose next keeper could not be started. Otherwise a keeper has removed the directory by now.
impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what killed owners left behind: the server, if it still runs, and its directory. Leaves directories of other users and of
/// living owners alone, and what cannot be removed.
pub(crate) fn sweep() {
    let mut parents = vec![temporary()];
    if parents[0] != parent() {
        parents.push(parent());
    }
    for parent in parents {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        for entry in
            entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()))
        {
            sweep_one(&entry.path());
        }
    }
}

fn sweep_one(directory: &Path) {
    let ours = fs::symlink_metadata(directory)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw());
    if !ours {
        return;
    }
    let Ok(lock) = File::open(directory.join(LOCK)) else {
        return;
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return,
    }
    end_server_of(directory);
    remove(directory);
}

/// Another sweep or the server's keeper may be removing it too, so missing files are no error. The lock goes last, because a directory
/// without it is not recognized as stale.
fn remove(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(&path),
            Ok(_) if entry.file_name() != LOCK => fs::remove_file(&path),
            Ok(_) | Err(_) => Ok(()),
        };
    }
    let _ = fs::remove_dir_all(directory);
}

/// Kills the server that the directory's pid file names, if that process is the server, and waits until it is gone.
fn end_server_of(directory: &Path) {
    let Some(pid) = recorded_pid(directory) else {
        return;
    };
    let start = Instant::now();
    while lives_in(pid, directory) && start.elapsed() < READY_TIMEOUT {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        thread::sleep(POLL_INTERVAL);
    }
}

pub(crate) fn recorded_pid(directory: &Path) -> Option<Pid> {
    let text = fs::read_to_string(directory.join(PID_FILE)).ok()?;
    Pid::from_raw(text.trim().parse().ok().filter(|pid| *pid > 1)?)
}

/// Kills what a killed server left behind: a child that writes a snapshot or a new append-only file, and waits until it is gone.
/// Linux only.
pub(crate) fn end_children_in(directory: &Path) {
    let start = Instant::now();
    loop {
        let names = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let pids = names.filter_map(|name| Pid::from_raw(name.parse().ok()?));
        let left: Vec<Pid> = pids.filter(|pid| lives_in(*pid, directory)).collect();
        if left.is_empty() || start.elapsed() > READY_TIMEOUT {
            return;
        }
        for pid in left {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Pids are reused, so the file alone proves nothing. The server is the process whose working directory is this one, or whose command
/// line names the configuration file, if its data is elsewhere.
fn lives_in(pid: Pid, directory: &Path) -> bool {
    let pid = pid.as_raw_nonzero();
    if cfg!(target_os = "linux") {
        let config = directory.join(CONFIG_FILE);
        let config = config.as_os_str().as_encoded_bytes();
        let names_config = |line: Vec<u8>| line.windows(config.len()).any(|part| part == config);
        return fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == directory)
            || fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(names_config);
    }
    // On macOS, the command line names the configuration file.
    let output = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).contains(&directory.to_string_lossy().into_owned())
    })
}

/// The temporary directory, or /tmp if the path of a unix socket in it would be too long.
fn parent() -> PathBuf {
    let directory = temporary();
    if directory.as_os_str().len() <= MAX_PATH_BYTES { directory } else { PathBuf::from("/tmp") }
}

/// Its real path, because the kernel reports a server's working directory that way.
fn temporary() -> PathBuf {
    let directory = env::temp_dir();
    directory.canonicalize().unwrap_or(directory)
}
