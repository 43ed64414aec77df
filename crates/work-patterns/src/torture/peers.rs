//! Other queues under the same workload. `cargo work torture --peers`
//!
//! Each peer is a small program in `peers/`, set up as its own documentation recommends. It reads the same role, runs the same jobs, and
//! writes the same lines into its journal as this project's processes. What a peer needs is fetched once, by its own package manager, into
//! the folder `torture-peers` beside the build.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lab_connection::own_keys;
use lab_runner::render::wrap;
use lab_runner::{Terminal, labeled};
use redis::RedisResult;
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::torture::accounts::Found;
use crate::torture::host::Host;
use crate::torture::queue::counted;
use crate::torture::role::{Part, Role};
use crate::torture::workload::number_of;

/// The Hash in which peers count the effects of each job.
const EFFECTS: &str = "torture:effects";

const BULLMQ: &str = include_str!("peers/bullmq.mjs");
const CELERY: &str = include_str!("peers/celery_peer.py");
const APALIS: &str = include_str!("peers/apalis.rs.txt");
const APALIS_MANIFEST: &str = include_str!("peers/apalis.toml");

labeled! {
    /// Which queue.
    pub enum Kind {
        /// BullMQ, on Node.js
        BullMq => "BullMQ",
        /// apalis-redis, in Rust
        Apalis => "apalis-redis",
        /// Celery, in Python
        Celery => "Celery",
    }
}

/// A peer that can run.
#[derive(Clone, Debug)]
pub struct Peer {
    pub kind: Kind,
    /// Its name and version.
    pub name: String,
    /// How long a run waits for the jobs of killed workers.
    pub idle_timeout: Duration,
    directory: PathBuf,
    program: PathBuf,
}

/// Prepares all peers: those that can run, and for the others, why not.
pub async fn prepare(idle_timeout: Duration) -> (Vec<Peer>, Vec<String>) {
    let (mut peers, mut missing) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        let prepared = spawn_blocking(move || prepare_one(kind)).await;
        match prepared.unwrap_or_else(|error| Err(error.to_string())) {
            Ok((name, directory, program)) => {
                peers.push(Peer { kind, name, idle_timeout, directory, program });
            }
            Err(why) => missing.push(format!("{}: {why}", kind.label())),
        }
    }
    (peers, missing)
}

impl Peer {
    /// The program for a role.
    pub fn command(&self, host: &Host, role: &Role) -> Command {
        let mut command = Command::new(&self.program);
        let arguments = match (self.kind, role.part) {
            (Kind::BullMq, _) => "bullmq.mjs".to_owned(),
            (Kind::Celery, Part::Producer) => "celery_peer.py".to_owned(),
            (Kind::Celery, _) => {
                // A name for each process: the number of its journal is one.
                let number = role.journal.file_name().unwrap_or_default().to_string_lossy();
                format!("-m celery -A celery_peer worker --loglevel ERROR -n worker-{number}@%h")
            }
            (Kind::Apalis, _) => String::new(),
        };
        command.args(arguments.split_ascii_whitespace()).current_dir(&self.directory);
        host.tell(&mut command);
        command
    }

    /// Jobs that wait, run, or are for later.
    pub async fn left(&self, host: &Host) -> RedisResult<u64> {
        let mut connection = host.target.connection();
        let mut left = 0;
        let keys: &[(&str, &str)] = match self.kind {
            Kind::BullMq => &[
                ("LLEN", "bull:torture:wait"),
                ("LLEN", "bull:torture:active"),
                ("LLEN", "bull:torture:paused"),
                ("ZCARD", "bull:torture:delayed"),
                ("ZCARD", "bull:torture:prioritized"),
            ],
            Kind::Apalis => &[("LLEN", "torture:active"), ("ZCARD", "torture:scheduled")],
            Kind::Celery => &[("LLEN", "celery"), ("HLEN", "unacked")],
        };
        for (command, key) in keys {
            left += redis::cmd(command).arg(key).query_async::<u64>(&mut connection).await?;
        }
        if self.kind == Kind::Apalis {
            for key in own_keys::matching(&mut connection, "torture:inflight:*", 10_000).await? {
                left += redis::cmd("SCARD").arg(key).query_async::<u64>(&mut connection).await?;
            }
        }
        Ok(left)
    }

    /// What the server has in the end. Dead letters, where the queue keeps a list of IDs.
    pub async fn found(&self, host: &Host) -> RedisResult<Found> {
        let mut connection = host.target.connection();
        let mut found = Found { effects: counted(EFFECTS, &mut connection).await?, ..Found::default() };
        if self.kind == Kind::BullMq {
            let mut failed = redis::cmd("ZRANGE");
            failed.arg("bull:torture:failed").arg(0).arg(-1);
            let dead: Vec<String> = failed.query_async(&mut connection).await?;
            found.dead = dead.iter().filter_map(|id| Some((number_of(id)?, false))).collect();
        }
        Ok(found)
    }
}

fn prepare_one(kind: Kind) -> Result<(String, PathBuf, PathBuf), String> {
    let directory = folder()?.join(kind.label());
    fs::create_dir_all(directory.join("src")).map_err(|error| error.to_string())?;
    let write =
        |name: &str, text: &str| fs::write(directory.join(name), text).map_err(|error| error.to_string());
    match kind {
        Kind::BullMq => {
            write("bullmq.mjs", BULLMQ)?;
            let node = on_path("node").ok_or("Node.js is not installed")?;
            let package = directory.join("node_modules/bullmq/package.json");
            if !package.is_file() {
                let npm = on_path("npm").ok_or("npm is not installed")?;
                write("package.json", "{\"private\": true}\n")?;
                announce("BullMQ with npm", &directory);
                let install = ["install", "--no-audit", "--no-fund", "bullmq@6", "ioredis@5"];
                run(Command::new(npm).args(install).current_dir(&directory))?;
            }
            let text = fs::read(package).map_err(|error| error.to_string())?;
            let version = serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string())?;
            Ok((format!("BullMQ {}", version["version"].as_str().unwrap_or("?")), directory, node))
        }
        Kind::Celery => {
            write("celery_peer.py", CELERY)?;
            let python = directory.join("venv/bin/python");
            if !directory.join("venv/bin/celery").is_file() {
                let python3 = on_path("python3").ok_or("Python is not installed")?;
                announce("Celery with pip", &directory);
                run(Command::new(python3).args(["-m", "venv", "venv"]).current_dir(&directory))?;
                run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "celery[redis]"]))?;
            }
            let version =
                run(Command::new(&python).args(["-c", "import celery; print(celery.__version__)"]))?;
            Ok((format!("Celery {version}"), directory, python))
        }
        Kind::Apalis => {
            write("Cargo.toml", APALIS_MANIFEST)?;
            // Only a change is worth a build.
            let main = directory.join("src/main.rs");
            if fs::read_to_string(&main).ok().as_deref() != Some(APALIS) {
                write("src/main.rs", APALIS)?;
            }
            let cargo = env::var_os("CARGO").map(PathBuf::from).or_else(|| on_path("cargo"));
            let cargo = cargo.ok_or("cargo is not installed")?;
            let program = directory.join("target/release/apalis-peer");
            if !program.is_file() {
                announce("apalis-redis with cargo, and building it", &directory);
            }
            let mut build = Command::new(cargo);
            build.args(["build", "--release", "--quiet", "--target-dir", "target"]).current_dir(&directory);
            run(&mut build)?;
            let lock = fs::read_to_string(directory.join("Cargo.lock")).unwrap_or_default();
            Ok((format!("apalis-redis {}", locked(&lock, "apalis-redis").unwrap_or("?")), directory, program))
        }
    }
}

/// Beside the folder of this program: `target/torture-peers`.
fn folder() -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let target = program.parent().and_then(Path::parent).ok_or("this program is in no folder")?;
    Ok(target.join("torture-peers"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

fn announce(what: &str, directory: &Path) {
    let what = format!("Fetching {what}, once, into {}", directory.display());
    Terminal.note(&wrap(&what, Terminal.text_width(), "", "  "));
}

/// Runs a program to its end, and returns its first line.
fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().rsplit('/').next().unwrap_or_default().to_owned();
    // Another virtual environment, or the settings of the build that runs this, must not reach it.
    let command = command.env_remove("PYTHONPATH").env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{name} does not start: {error}"))?;
    if output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        return Ok(text.lines().next().unwrap_or_default().trim().to_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("not installed: {name} ended with {}: {}", output.status, last.trim()))
}

/// The version of a package in a Cargo.lock.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let wanted = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != wanted);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}
