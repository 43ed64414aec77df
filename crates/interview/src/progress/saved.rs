//! Progress in a file: an RDB that a private server loads at its start and saves after every grade.
//!
//! The file is the server's own, so which server may read it is the server's decision: a dump of Redis 8 does not load in
//! Valkey 9. A server that cannot read it does not start, so it cannot overwrite it either.

use std::env;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use lab_connection::Failure;
use lab_connection::address::no_server;
use lab_connection::failure::Class;
use lab_server::{Choice, Error, Program, Server};

const FILE: &str = "progress.rdb";
/// Which program saved it last; for people, and for the error when another one cannot read it.
const WRITTEN_BY: &str = "progress.written-by";
const LOCK: &str = "lock";

/// A private server over the file.
pub(super) struct Saved {
    // Dropped in this order: the lock is given back when the server has ended.
    server: Server,
    _lock: File,
    file: PathBuf,
}

impl Saved {
    /// Starts a server of `choice` with what the file holds; makes the file's folder if there is none.
    pub(super) fn open(choice: &Choice) -> Result<Self, Failure> {
        let folder = folder()?;
        let cannot = |error: io::Error| cannot_keep(&folder, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(cannot)?;
        let lock = File::options().create(true).append(true).open(folder.join(LOCK)).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&folder)),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let file = folder.join(FILE);
        let program = Program::find(choice).map_err(|error| no_server(&error))?;
        let server = Server::builder()
            .choice(choice.clone())
            .config("dir", quoted(&folder))
            .config("dbfilename", FILE)
            .start()
            .map_err(|error| match error {
                Error::Died { output, .. } if file.exists() => unreadable(&folder, &program, &output),
                error => no_server(&error),
            })?;
        fs::write(folder.join(WRITTEN_BY), server.program().describe()).map_err(cannot)?;
        Ok(Self { server, _lock: lock, file })
    }

    /// The address of its server. Holds the password.
    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// Where the progress is, for people.
    pub(super) fn describe(&self) -> String {
        format!("{}, kept by a private {}", self.file.display(), self.server.program().describe())
    }
}

/// `XDG_DATA_HOME`, else the system's place for data of this user.
fn folder() -> Result<PathBuf, Failure> {
    let asked = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = asked.or_else(dirs::data_local_dir).ok_or_else(|| {
        Failure::new(
            Class::Other,
            "There is no place to keep your progress.",
            "Neither HOME nor XDG_DATA_HOME is set.",
        )
        .try_next("--url redis://HOST:PORT/DB: keep it on a server of yours")
    })?;
    Ok(data.join("redis-lab").join("interview"))
}

/// A path as a server's configuration takes it.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\""))
}

fn in_use(folder: &Path) -> Failure {
    Failure::new(
        Class::Busy,
        "Another quiz is running.",
        format!("It keeps its progress in {}, and two would overwrite each other's.", folder.display()),
    )
    .try_next("end the other one first")
    .try_next("--url redis://HOST:PORT/DB: a server of yours, which many may use at once")
}

fn cannot_keep(folder: &Path, error: &io::Error) -> Failure {
    let why = format!("{}: {error}", folder.display());
    Failure::new(Class::Other, "Your progress cannot be kept.", why)
        .try_next("XDG_DATA_HOME=FOLDER: another place for it")
        .try_next("--url redis://HOST:PORT/DB: keep it on a server of yours")
}

/// The server's own words are the last line of what it said.
fn unreadable(folder: &Path, program: &Program, output: &str) -> Failure {
    let file = folder.join(FILE);
    let writer = fs::read_to_string(folder.join(WRITTEN_BY)).unwrap_or_else(|_| "another program".into());
    let said = output.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing");
    let mut failure = Failure::new(
        Class::Unsupported,
        format!("Your progress cannot be read by {}.", program.describe()),
        format!("{} was saved by {writer}; it is left as it is. The server said: {said}", file.display()),
    );
    let releases = [
        (" with JSON", "redis-8.2-modules"),
        ("valkey-server 9.1", "valkey-9.1"),
        ("redis-server 8.10", "redis-8.10"),
        ("redis-server 8.2", "redis-8.2"),
        ("redis-server 7.0", "redis-7.0"),
    ];
    if let Some((_, release)) = releases.into_iter().find(|(name, _)| writer.contains(name)) {
        failure = failure.try_next(format!("--server {release}: the one that saved it"));
    }
    failure
        .try_next("--url redis://HOST:PORT/DB: keep it on a server of yours")
        .try_next(format!("mv {} elsewhere: begin anew", file.display()))
}
