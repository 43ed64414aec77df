//! Runs another program: writes its input, reads its output, and never leaves it running.

use std::fs::{self, File};
use std::io::{self, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

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

/// What a program that ended well printed: the beginning.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) output: String,
}

/// Runs a program to its end. An exit code other than 0 is an error with what the program said; dropping the future kills
/// it.
pub(crate) async fn run(mut command: Command, feed: Feed) -> Result<Printed, String> {
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
    let (output, complaint) = (read_to_end(output).await, read_to_end(complaint).await);
    // Both of its outputs are closed, so it has ended or is about to.
    let status = running.0.wait().map_err(|error| format!("{name}: {error}"))?;
    if status.success() {
        return Ok(Printed { output });
    }
    let words = [complaint, output].join("\n");
    let words =
        words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no word of explanation");
    Err(format!("{name} ended with {status}: {words}"))
}

/// Processor seconds of all children that have ended and been waited for, theirs included; where the system tells.
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

async fn read_to_end(words: JoinHandle<String>) -> String {
    words.await.unwrap_or_default()
}

/// Processor seconds of children since `before`.
pub(crate) fn cpu_of_children_since(before: Option<f64>) -> Option<Duration> {
    let used = cpu_of_children()? - before?;
    Some(Duration::from_secs_f64(used.max(0.0)))
}
