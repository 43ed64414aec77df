//! However a run ends, no process and no file of it is left.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab_testing::TIMEOUT;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::torture;

/// A run that would go on for minutes, and the folder that is `TMPDIR` for it and for all of its processes.
fn begin(arguments: &str) -> (Child, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut command = torture(arguments);
    command.arg("--json").env("TMPDIR", directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
    (command.spawn().unwrap(), directory)
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "waited in vain until {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Processes that have the folder in their environment: all of the run, if they were started by it.
fn processes(directory: &Path) -> Vec<String> {
    let marker = format!("TMPDIR={}", directory.display());
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    all.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
        })
        .collect()
}

fn journals(directory: &Path) -> usize {
    let folders = fs::read_dir(directory).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let files = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("journal-") && !name.ends_with(".complaints"))
        .count()
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_run_leaves_no_process_and_no_file() {
    for arguments in ["--jobs 1000000 --workers 3", "locks --sections 1000000 --seed=1"] {
        let (mut run, directory) = begin(arguments);
        until("its processes work", || journals(directory.path()) >= 3);
        let pid = Pid::from_child(&run);
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(130));
        until("no process is left", || processes(directory.path()).is_empty());
        until("no file is left", || fs::read_dir(directory.path()).unwrap().count() == 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_run_leaves_no_process() {
    let (mut run, directory) = begin("--jobs 1000000 --workers 3");
    until("its processes work", || journals(directory.path()) >= 3);
    run.kill().unwrap();
    assert_eq!(run.wait().unwrap().signal(), Some(9));
    until("no process is left", || processes(directory.path()).is_empty());
}
