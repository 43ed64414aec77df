//! The parser of Prometheus's own client, in Python. pip fetches it once into the build directory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

/// A metric with its samples.
#[derive(Debug, Deserialize)]
pub struct Family {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub unit: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
pub struct Sample {
    pub name: String,
    pub labels: std::collections::BTreeMap<String, String>,
    pub value: f64,
}

/// What the text says. `None` if the parser is not here and cannot be fetched, but never if CI=true.
pub fn parse(text: &str) -> Option<Vec<Family>> {
    let package = package()?;
    let mut python = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operations/metrics/parse.py"))
        .env("PYTHONPATH", package)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn package() -> Option<&'static Path> {
    static PACKAGE: OnceLock<Option<PathBuf>> = OnceLock::new();
    PACKAGE.get_or_init(fetch).as_deref()
}

#[expect(clippy::print_stdout, reason = "a test that skips says why")]
fn fetch() -> Option<PathBuf> {
    let build = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let package = build.join("prometheus-client-0.26.0");
    if package.exists() {
        return Some(package);
    }
    let new = build.join(format!("prometheus-client-{}", std::process::id()));
    let installed = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"])
        .args(["--require-hashes", "--requirement"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operations/metrics/requirements.txt"))
        .arg("--target")
        .arg(&new)
        .output();
    let problem = match installed {
        Ok(output) if output.status.success() => {
            // Another run of the tests may have been faster.
            if std::fs::rename(&new, &package).is_err() {
                let _ = std::fs::remove_dir_all(&new);
            }
            return Some(package);
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let _ = std::fs::remove_dir_all(&new);
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "no parser: {problem}");
    println!("skipped: pip did not fetch prometheus-client: {problem}");
    None
}
