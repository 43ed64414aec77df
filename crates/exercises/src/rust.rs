//! Rust of a learner: compiled together with its check into the program `exercise-attempt`, which then runs on its own.
//!
//! A process of its own can be ended whatever the learner's code does, and what it prints is not mixed with ours.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use lab_connection::transcript::for_terminal;
use lab_server::Choice;
use rustix::process::Resource;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::exercise::Exercise;
use crate::lab::{Lab, limit_memory};
use crate::verdict::{Fault, Verdict, check_failed};

const PROGRAM: &str = "exercise-attempt";
/// Where the program writes its verdict.
const VERDICT: &str = "EXERCISE_VERDICT";
/// How long a check may run. One that is right takes a second or two.
const TIME: Duration = Duration::from_secs(6);
/// How much is kept of what the learner's code prints, in bytes.
const MOST_KEPT: usize = 64 * 1024;
/// How many lines of it are shown, from stderr and from stdout each.
const SHOWN_LINES: usize = 10;
/// How much is shown of each line.
const SHOWN_CHARACTERS: usize = 200;

/// Compiles the learner's file and runs its check.
pub async fn check(exercise: &Exercise, file: &Path) -> Verdict {
    compile(exercise, file).await?;
    run(&program_folder().map_err(check_failed)?.join(PROGRAM)).await
}

async fn compile(exercise: &Exercise, file: &Path) -> Result<(), Fault> {
    let release = program_folder().map_err(check_failed)?.ends_with("release");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--bin", PROGRAM]).current_dir(root());
    // Features as in what is compiled already: by a short command such as `cargo tour`, or by the tests of the workspace.
    if release {
        cargo.args(["--package", PROGRAM, "--release", "--no-default-features"]);
    } else {
        cargo.arg("--workspace");
    }
    // What the cargo that runs us has set for this crate. Build scripts ask for some of it (ring's does), and would run again.
    let set_by_cargo = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in env::vars_os() {
        if set_by_cargo.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo.env("EXERCISE_FILE", file).env("EXERCISE_CHECK", check_file(exercise));
    let output = cargo.stdin(Stdio::null()).kill_on_drop(true).output().await.map_err(check_failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Fault::new("It does not compile.").observed(said.lines().map(str::to_owned)))
}

async fn run(program: &Path) -> Verdict {
    let folder = tempfile::tempdir().map_err(check_failed)?;
    let verdict = folder.path().join("verdict.json");
    let mut command = Command::new(program);
    command
        .env(VERDICT, &verdict)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().map_err(check_failed)?;
    limit_memory(child.id(), Resource::Data);
    let output = (child.stdout.take(), child.stderr.take());
    let (mut printed, mut complained) = (Vec::new(), Vec::new());
    let running = async {
        let reading = async { tokio::join!(read(output.0, &mut printed), read(output.1, &mut complained)) };
        let (status, _) = tokio::join!(child.wait(), reading);
        status
    };
    let status = timeout(TIME, running).await;
    let shown = shown(&printed, &complained);
    let Ok(status) = status else {
        return Err(Fault::new(format!(
            "It was not done after {} seconds: something waits forever, or a loop does not end.",
            TIME.as_secs()
        ))
        .observed(shown));
    };
    let status = status.map_err(check_failed)?;
    match fs::read(&verdict).ok().and_then(|bytes| serde_json::from_slice::<Verdict>(&bytes).ok()) {
        Some(Ok(passed)) => Ok(passed),
        Some(Err(fault)) => Err(fault.observed(shown)),
        None => Err(Fault::new(ended(status)).observed(shown)),
    }
}

/// Why there is no verdict.
fn ended(status: ExitStatus) -> String {
    match status.code() {
        // What Rust ends with after a panic.
        Some(101) => "It panicked.".into(),
        Some(code) => {
            format!("It ended the program in the middle of the check, with the exit code {code}.")
        }
        None => format!("It crashed ({status}): it took too much memory, or called itself too deeply."),
    }
}

/// Keeps the beginning of what is printed, and throws the rest away.
async fn read(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let room = MOST_KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..length.min(room)]);
    }
}

/// The first lines of each.
fn shown(printed: &[u8], complained: &[u8]) -> Vec<String> {
    [complained, printed].into_iter().flat_map(first_lines).collect()
}

fn first_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let beginning = |line: &str| line.chars().take(SHOWN_CHARACTERS).collect::<String>();
    let mut lines = text.lines().map(|line| for_terminal(&beginning(line)).into_owned());
    let mut shown: Vec<String> = lines.by_ref().take(SHOWN_LINES).collect();
    if lines.next().is_some() {
        shown.push("… and more lines".into());
    }
    shown
}

/// The main function of `exercise-attempt`: runs the check and writes the verdict where the parent reads it.
pub fn child(check: impl AsyncFnOnce(&Lab) -> Verdict) -> ExitCode {
    let Some(file) = env::var_os(VERDICT) else { return ExitCode::from(2) };
    let Ok(choice) = Choice::from_env() else { return ExitCode::from(3) };
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::from(3) };
    let verdict = runtime.block_on(check(&Lab::new(choice)));
    let code = if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    match serde_json::to_vec(&verdict).map(|bytes| fs::write(file, bytes)) {
        Ok(Ok(())) => code,
        _ => ExitCode::from(3),
    }
}

/// The folder of the running program, to which cargo also builds the other one.
fn program_folder() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.parent().unwrap_or(&program);
    // Tests run from `deps`.
    Ok(if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_owned())
}

/// The project, whose `Cargo.toml` the learner's Rust is compiled with.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn check_file(exercise: &Exercise) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("exercises").join(exercise.name).join("check.rs")
}
