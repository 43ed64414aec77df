//! The `lab-server` program: what it prints, and that nothing is left however it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long a test waits for what must happen: long, because a virtual machine can stand still for a minute.
const TIMEOUT: Duration = Duration::from_mins(3);

/// A running `lab-server`, in a temporary directory of its own so that its leftovers are its own too.
struct Owner {
    process: Child,
    temporary: tempfile::TempDir,
    lines: Vec<String>,
}

impl Owner {
    fn start(arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self::start_in(temporary, arguments)
    }

    fn start_in(temporary: tempfile::TempDir, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lab-server"))
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            lines.push(line.unwrap());
            if lines.last().unwrap().contains("Ctrl-C") {
                break;
            }
        }
        Self { process, temporary, lines }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn url(&self) -> &str {
        self.lines.iter().find_map(|line| line.strip_prefix("export REDIS_URL=")).unwrap()
    }

    fn port(&self) -> &str {
        self.url().trim_end_matches('/').rsplit(':').next().unwrap()
    }

    fn directories(&self) -> Vec<PathBuf> {
        fs::read_dir(self.temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn servers(&self) -> Vec<String> {
        let pid = |dir: PathBuf| fs::read_to_string(dir.join("server.pid")).unwrap().trim().to_owned();
        self.directories().into_iter().map(pid).collect()
    }
}

fn alive(pids: &[String]) -> bool {
    pids.iter().any(|pid| Path::new("/proc").join(pid).exists())
}

fn soon(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < TIMEOUT, "{what}: it takes too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_printed_url_works() {
    let mut owner = Owner::start(&[]);
    let mut connection = redis::Client::open(owner.url()).unwrap().get_connection().unwrap();
    redis::cmd("PING").exec(&mut connection).unwrap();
    owner.signal(Signal::TERM);
    assert_eq!(owner.process.wait().unwrap().code(), Some(0));
}

#[test]
fn ctrl_c_ends_it_well_and_leaves_nothing() {
    let mut owner = Owner::start(&["--replicas", "1"]);
    let pids = owner.servers();
    assert_eq!(pids.len(), 2);
    owner.signal(Signal::INT);
    assert_eq!(owner.process.wait().unwrap().code(), Some(0));
    assert!(!alive(&pids));
    assert_eq!(owner.directories(), [] as [PathBuf; 0]);
}

#[test]
fn it_ends_when_its_server_does() {
    let mut owner = Owner::start(&[]);
    let pid = Pid::from_raw(owner.servers()[0].parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(owner.process.wait().unwrap().code(), Some(1));
    assert_eq!(owner.directories(), [] as [PathBuf; 0]);
}

#[test]
fn a_killed_owner_of_a_group_leaves_nothing() {
    for (argument, servers, sentinels) in [("--cluster=3", 3, 0), ("--sentinel", 5, 3)] {
        let mut owner = Owner::start(&[argument]);
        let pids = owner.servers();
        let named = owner.lines.iter().filter(|line| line.starts_with("# Sentinel: ")).count();
        assert_eq!((pids.len(), named), (servers, sentinels), "{argument}: {:?}", owner.lines);
        owner.signal(Signal::KILL);
        owner.process.wait().unwrap();
        soon("a server is still running", || !alive(&pids));
        soon("a directory is still there", || owner.directories().is_empty());
    }
}

#[test]
fn an_owner_who_is_killed_as_soon_as_there_is_a_directory_leaves_nothing() {
    for signal in [Signal::KILL, Signal::INT].repeat(15) {
        let temporary = tempfile::tempdir().unwrap();
        let left = || fs::read_dir(temporary.path()).unwrap().count();
        let mut process = Command::new(env!("CARGO_BIN_EXE_lab-server"))
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Without a pause: the time in which nobody kept the directory was shorter than a millisecond.
        let start = Instant::now();
        while left() == 0 {
            assert!(process.try_wait().unwrap().is_none() && start.elapsed() < TIMEOUT);
        }
        rustix::process::kill_process(Pid::from_child(&process), signal).unwrap();
        process.wait().unwrap();
        soon("a directory is still there", || left() == 0);
    }
}

#[test]
fn what_a_killed_owner_and_its_keeper_left_is_swept_by_the_next() {
    let mut first = Owner::start(&[]);
    let pids = first.servers();
    let left = first.directories();
    // The keeper would clean up; without it the server goes on alone.
    let keeper = parent_of(&pids[0]);
    rustix::process::kill_process(keeper, Signal::KILL).unwrap();
    first.signal(Signal::KILL);
    first.process.wait().unwrap();
    assert!(alive(&pids) && left[0].exists());

    let mut second = Owner::start_in(first.temporary, &[]);
    soon("the orphan is still running", || !alive(&pids));
    assert!(!left[0].exists());
    second.signal(Signal::INT);
    assert_eq!(second.process.wait().unwrap().code(), Some(0));
    assert_eq!(second.directories(), [] as [PathBuf; 0]);
}

fn parent_of(pid: &str) -> Pid {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    Pid::from_raw(parent.trim().parse().unwrap()).unwrap()
}

#[test]
fn the_sweep_spares_what_lives_and_what_is_not_ours() {
    let temporary = tempfile::tempdir().unwrap();
    let stranger = temporary.path().join("redis-lab-notes");
    fs::create_dir(&stranger).unwrap();
    fs::write(stranger.join("server.pid"), std::process::id().to_string()).unwrap();
    let mut first = Owner::start_in(temporary, &[]);
    let pids = first.servers();
    let path = first.temporary.path().to_owned();
    let second = Command::new(env!("CARGO_BIN_EXE_lab-server"))
        .args(["--port", first.port()])
        .env("TMPDIR", &path)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&second.stderr).contains("is in use on 127.0.0.1"), "{second:?}");
    assert!(stranger.join("server.pid").exists());
    assert_eq!(pids.len(), 2);
    let mut connection = redis::Client::open(first.url()).unwrap().get_connection().unwrap();
    redis::cmd("PING").exec(&mut connection).unwrap();
    first.signal(Signal::INT);
    first.process.wait().unwrap();
}

#[test]
fn replicas_of_a_cluster_need_a_cluster() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_lab-server")).args(["--replicas-each", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
