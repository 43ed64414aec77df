//! The other programs: which of them are on this machine, and how one of them is run, fed, and never left running.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use lab_connection::Target;
use lab_connection::address::PrivateServer;
use tokio::task::{JoinHandle, spawn_blocking};

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

/// As much of its output as is kept: a program may print a line for every record.
const KEPT: usize = 4_096;
/// Linux counts a process's time for others to read in this many steps a second, on every machine that Rust is made for.
const TICKS_A_SECOND: f64 = 100.0;

/// What a program reads.
pub(crate) enum Feed {
    /// Nothing.
    Nothing,
    /// A file.
    File(File),
    /// What this function writes, on a thread of its own.
    Writer(Box<dyn FnOnce(ChildStdin) -> io::Result<()> + Send>),
}

/// Runs a program to its end and returns the beginning of its output. An exit code other than 0 is an error with what the program
/// wrote; dropping the future kills it.
pub(crate) async fn run(mut command: Command, feed: Feed) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().rsplit('/').next().unwrap_or_default().to_owned();
    let (stdin, writer) = match feed {
        Feed::Nothing => (Stdio::null(), None),
        Feed::File(file) => (Stdio::from(file), None),
        Feed::Writer(writer) => (Stdio::piped(), Some(writer)),
    };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| format!("{name} does not start: {error}"))?;
    let mut running = Running(child);
    let output = listen(running.0.stdout.take());
    let complaint = listen(running.0.stderr.take());
    if let (Some(writer), Some(stdin)) = (writer, running.0.stdin.take()) {
        // A program that ends early breaks the pipe; its exit code then says more than that.
        let _written = spawn_blocking(move || writer(stdin)).await;
    }
    let (output, complaint) = (output.await.unwrap_or_default(), complaint.await.unwrap_or_default());
    // Both of its outputs are closed, so it has ended or is about to.
    let status = running.0.wait().map_err(|error| format!("{name}: {error}"))?;
    if status.success() {
        return Ok(output);
    }
    let words = [complaint, output].join("\n");
    let words =
        words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no word of explanation");
    Err(format!("{name} ended with {status}: {words}"))
}

/// Processor seconds of all children that have ended and been waited for, theirs included; known on Linux only.
pub(crate) fn cpu_of_children() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets, which may hold spaces; cutime and cstime are 16 and 17.
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13).take(2);
    let ticks = fields.map(|field| field.parse::<f64>().ok()).collect::<Option<Vec<_>>>()?;
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() / TICKS_A_SECOND)
}

/// A program that is killed when nobody waits for it any longer.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it was waited for, which is as it should be.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads to the end, so that the program never waits for us, and keeps the beginning.
fn listen(source: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    spawn_blocking(move || {
        let mut kept = Vec::new();
        if let Some(mut source) = source {
            let _ = source.by_ref().take(KEPT as u64).read_to_end(&mut kept);
            let _ = io::copy(&mut source, &mut io::sink());
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}
