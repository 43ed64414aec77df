//! Which of the other programs are on this machine.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab_connection::Target;
use lab_connection::address::PrivateServer;

/// Says which redis-py there is, and whether it parses replies in C.
const ASK_PYTHON: &str = "
import redis
try:
    import hiredis
    print(f'redis-py {redis.__version__} with hiredis {hiredis.__version__}')
except ImportError:
    print(f'redis-py {redis.__version__} without hiredis')
";

/// A program that was found.
#[derive(Clone, Debug)]
pub struct Tool {
    /// Where it is.
    pub path: PathBuf,
    /// Its name and version, as it says itself.
    pub version: String,
}

/// The programs that were found; none is a reason to leave a peer out.
#[derive(Clone, Debug)]
pub struct Tools {
    /// `redis-cli`, or `valkey-cli`.
    pub cli: Result<Tool, String>,
    /// `redis-benchmark`, or `valkey-benchmark`.
    pub benchmark: Result<Tool, String>,
    /// `python3` with the package `redis`.
    pub python: Result<Tool, String>,
}

impl Tools {
    /// Looks in `first`, then beside the server when it is ours, then on PATH. Starts what it finds to ask its version.
    #[must_use]
    pub fn find(first: Option<&Path>, target: &Target) -> Self {
        let beside = match target.private() {
            Some(PrivateServer::Single(server)) => server.program().path().parent().map(Path::to_owned),
            _ => None,
        };
        let path = env::var_os("PATH").unwrap_or_default();
        // An empty entry means the current directory to a shell; nobody expects programs to be taken from there.
        let on_path = env::split_paths(&path).filter(|directory| directory.is_absolute());
        let directories: Vec<PathBuf> =
            first.map(Path::to_owned).into_iter().chain(beside).chain(on_path).collect();
        Self {
            cli: program(&directories, ["redis-cli", "valkey-cli"]),
            benchmark: program(&directories, ["redis-benchmark", "valkey-benchmark"]),
            python: python(&directories),
        }
    }
}

fn program(directories: &[PathBuf], names: [&str; 2]) -> Result<Tool, String> {
    let path = first(directories, &names).ok_or_else(|| format!("{} is not installed", names[0]))?;
    let version =
        words_of(Command::new(&path).arg("--version")).map_err(|why| format!("{}: {why}", names[0]))?;
    Ok(Tool { path, version })
}

fn python(directories: &[PathBuf]) -> Result<Tool, String> {
    let path = first(directories, &["python3"]).ok_or("redis-py: python3 is not installed")?;
    let version = words_of(Command::new(&path).arg("-c").arg(ASK_PYTHON))
        .map_err(|_| "redis-py: python3 has no package 'redis' (pip install redis hiredis)")?;
    Ok(Tool { path, version })
}

fn first(directories: &[PathBuf], names: &[&str]) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    names
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        .find(executable)
}

/// The first line that a program prints.
fn words_of(command: &mut Command) -> Result<String, String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("it does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if output.status.success() => Ok(line.trim().to_owned()),
        _ => Err(format!("it ended with {}", output.status)),
    }
}
