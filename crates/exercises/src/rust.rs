//! Rust of a learner: compiled together with its check into the program `exercise-attempt`, which then runs on its own.
//!
//! A process of its own can be ended whatever the learner's code does, and what it prints is not mixed with ours.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use lab_server::Choice;
use tokio::process::Command;
use tokio::time::timeout;

use crate::exercise::Exercise;
use crate::lab::Lab;
use crate::verdict::{Fault, Verdict};

const PROGRAM: &str = "exercise-attempt";
/// Where the program writes its verdict.
const VERDICT: &str = "EXERCISE_VERDICT";
/// How long a check may run. One that is right takes about a second.
const TIME: Duration = Duration::from_secs(10);
/// How much is shown of what the learner's code prints.
const SHOWN_LINES: usize = 20;

/// Compiles the learner's file and runs its check.
pub async fn check(exercise: &Exercise, file: &Path) -> Verdict {
    compile(exercise, file).await?;
    run(&program_folder().map_err(|error| system(&error))?.join(PROGRAM)).await
}

async fn compile(exercise: &Exercise, file: &Path) -> Result<(), Fault> {
    let release = program_folder().map_err(|error| system(&error))?.ends_with("release");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", PROGRAM, "--bin", PROGRAM]).current_dir(root());
    if release {
        cargo.args(["--release", "--no-default-features"]);
    }
    cargo.env("EXERCISE_FILE", file).env("EXERCISE_CHECK", check_file(exercise));
    let output =
        cargo.stdin(Stdio::null()).kill_on_drop(true).output().await.map_err(|error| system(&error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Fault::new("It does not compile.").observed(said.lines().map(str::to_owned)))
}

async fn run(program: &Path) -> Verdict {
    let folder = tempfile::tempdir().map_err(|error| system(&error))?;
    let verdict = folder.path().join("verdict.json");
    let mut command = Command::new(program);
    command.env(VERDICT, &verdict).stdin(Stdio::null()).kill_on_drop(true);
    let Ok(output) = timeout(TIME, command.output()).await else {
        return Err(Fault::new(format!(
            "It was not done after {} seconds: something waits forever, or a loop does not end.",
            TIME.as_secs()
        )));
    };
    let output = output.map_err(|error| system(&error))?;
    let printed =
        [output.stdout, output.stderr].map(|bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned());
    let printed: Vec<String> =
        printed.iter().flat_map(|text| text.lines()).take(SHOWN_LINES).map(str::to_owned).collect();
    match fs::read(&verdict).ok().and_then(|bytes| serde_json::from_slice::<Verdict>(&bytes).ok()) {
        Some(Ok(passed)) => Ok(passed),
        Some(Err(fault)) => Err(fault.observed(printed)),
        None => Err(Fault::new("It panicked, or ended in the middle of the check.").observed(printed)),
    }
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

fn system(error: &io::Error) -> Fault {
    Fault::new(format!("The check itself failed: {error}"))
}
