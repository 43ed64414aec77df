//! The server of a run, and how other processes reach it without a password among their arguments.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use lab_connection::address::{PrivateServer, no_server};
use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::render::wrap;
use lab_runner::{Terminal, course};
use lab_server::{Choice, Server};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::torture::Fsync;
use crate::torture::page_cache::PageCache;
use crate::torture::workload::{Job, listing};

/// Holds the address and the password. Other users of the machine cannot read it.
const URL: &str = "REDIS_URL";

/// A server, private or not.
pub struct Host {
    /// How this process reaches it.
    pub target: Target,
    private: Option<Private>,
    flags: Vec<OsString>,
    url: Option<String>,
}

/// A server that may be killed.
struct Private {
    server: Arc<Mutex<Server>>,
    page_cache: PageCache,
    fsync: Fsync,
}

impl Host {
    /// The server that the flags or `REDIS_URL` name. Without them a private one, whatever listens on this machine.
    pub async fn open(args: &TargetArgs, fsync: Fsync) -> Result<Self, Failure> {
        // `--server` chooses a private one, and the login of another has no place beside it: that is refused below.
        if !flags_name_a_server(args) && !args.names_a_server() {
            return Self::private(args, fsync).await;
        }
        if args.askpass {
            let why = "The processes of the run must log in, too, and a password that was typed stays in this program.";
            let failure = Failure::new(Class::Usage, "--askpass cannot be used here.", why);
            return Err(failure.try_next("REDISCLI_AUTH: the password, in the environment"));
        }
        let target = course::connect(args).await?;
        let url = match target.private() {
            Some(PrivateServer::Cluster(cluster)) => cluster.urls().into_iter().next(),
            _ => args.url.clone(),
        };
        Ok(Self { target, private: None, flags: flags(args), url })
    }

    /// A private server, which may be killed. Says which one it is.
    pub async fn private(args: &TargetArgs, fsync: Fsync) -> Result<Self, Failure> {
        let host = Self::quiet(args, fsync).await?;
        let (server, at) = (host.server(), host.target.address());
        let server = format!("Server: {server} at {at} (private, appendfsync {fsync}; gone when this ends)");
        Terminal.note(&wrap(&server, Terminal.text_width(), "", "  "));
        Ok(host)
    }

    /// A private server, which may be killed.
    pub async fn quiet(args: &TargetArgs, fsync: Fsync) -> Result<Self, Failure> {
        let choice = choice(args)?;
        let server = blocking(move || start(choice, fsync)).await?.map_err(|error| no_server(&error))?;
        let url = server.url();
        let reached = TargetArgs { prefix: args.prefix.clone(), db: args.db, ..TargetArgs::at(url.clone()) };
        let target = reached.open().await?;
        let page_cache = PageCache::watch(&server, fsync);
        let private = Private { server: Arc::new(Mutex::new(server)), page_cache, fsync };
        let reached = TargetArgs { url: None, ..reached };
        Ok(Self { target, private: Some(private), flags: flags(&reached), url: Some(url) })
    }

    pub fn server(&self) -> String {
        let info = self.target.info();
        format!("{} {}", info.name, info.version)
    }

    /// Whether the server may be killed.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Whether everything that was acknowledged must be there at the end.
    pub fn keeps_everything(&self) -> bool {
        self.private.as_ref().is_none_or(|private| private.fsync == Fsync::Always)
    }

    /// This program, as another process that reaches the same server.
    pub fn this_program(&self) -> Result<Command, Failure> {
        let mut command = this_program()?;
        command.args(&self.flags);
        self.tell(&mut command);
        Ok(command)
    }

    /// Tells a process where the server is.
    pub fn tell(&self, command: &mut Command) {
        if let Some(url) = &self.url {
            command.env(URL, url);
        }
    }

    /// Kills the private server, takes what the page cache held if it was not to be kept, and starts the server again after a while.
    /// Returns the bytes that were taken. A server that is not ours stays as it is.
    pub fn kill(&self, away: Duration) -> impl Future<Output = Result<u64, Failure>> + Send + use<> {
        let private =
            self.private.as_ref().map(|private| (Arc::clone(&private.server), private.page_cache.clone()));
        let restarted = move || {
            let Some((server, page_cache)) = private else { return Ok(0) };
            let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
            server.kill();
            let lost =
                page_cache.lose(server.dir()).map_err(|error| cannot("cut the append-only file", &error))?;
            thread::sleep(away);
            server.restart().map_err(|error| no_server(&error))?;
            Ok(lost)
        };
        async move { blocking(restarted).await? }
    }
}

/// This program, as a process of the run.
pub(crate) fn this_program() -> Result<Command, Failure> {
    let program = env::current_exe().map_err(|error| cannot("find this program", &error))?;
    let mut command = Command::new(program);
    command.args(["torture", "child"]);
    Ok(command)
}

/// A directory for the files of a run.
pub(crate) fn directory() -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new().prefix("redis-lab-torture-").tempdir();
    made.map_err(|error| cannot("make a directory", &error))
}

/// Writes down the jobs, for the producers.
pub(crate) fn write_jobs(file: &Path, jobs: &[Job]) -> Result<(), Failure> {
    std::fs::write(file, listing(jobs)).map_err(|error| cannot("write down the jobs", &error))
}

/// An error if the flags name a server. `REDIS_URL` is not meant for runs that start their own.
pub(crate) fn refuse_other_servers(args: &TargetArgs, why: &str) -> Result<(), Failure> {
    if !flags_name_a_server(args) {
        return Ok(());
    }
    Err(Failure::new(Class::Usage, "This command runs on private servers only.", why)
        .try_next("leave the address and the login out")
        .try_next("--server RELEASE: another server program"))
}

/// Whether the flags name a server, or ask for what a private one does not have.
fn flags_name_a_server(args: &TargetArgs) -> bool {
    let named = args.url.is_some() || args.host.is_some() || args.port.is_some() || args.cluster;
    let login =
        args.user.is_some() || args.askpass || args.tls || args.cacert.is_some() || args.cert.is_some();
    named || login
}

/// Which program a private server is.
pub(crate) fn choice(args: &TargetArgs) -> Result<Choice, Failure> {
    Choice::from_flags(args.server, args.server_program.clone(), args.no_fetch)
        .map_err(|error| no_server(&error))
}

fn start(choice: Choice, fsync: Fsync) -> Result<Server, lab_server::Error> {
    // Slow calls are what a queue must not make.
    let mut builder = Server::builder()
        .choice(choice)
        .config("slowlog-log-slower-than", "1000")
        .config("slowlog-max-len", "10000");
    if fsync != Fsync::None {
        builder = builder.config("appendonly", "yes").config("appendfsync", fsync.to_string());
    }
    if matches!(fsync, Fsync::Everysec | Fsync::No) {
        // A rewrite would begin a new file, and what the old one lacked could no longer be cut off.
        builder = builder.config("auto-aof-rewrite-percentage", "0");
    }
    builder.start()
}

/// The flags that name the server, without anything secret.
fn flags(args: &TargetArgs) -> Vec<OsString> {
    let mut flags = Vec::new();
    let mut add = |name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            flags.extend([OsString::from(name), value]);
        }
    };
    add("--host", args.host.clone().map(Into::into));
    add("--port", args.port.map(|port| port.to_string().into()));
    add("--db", args.db.map(|db| db.to_string().into()));
    add("--user", args.user.clone().map(Into::into));
    add("--cacert", args.cacert.clone().map(Into::into));
    add("--cert", args.cert.clone().map(Into::into));
    add("--key", args.key.clone().map(Into::into));
    add("--sni", args.sni.clone().map(Into::into));
    add("--prefix", args.prefix.clone().map(Into::into));
    for (name, given) in [("--tls", args.tls), ("--cluster", args.cluster)] {
        if given {
            flags.push(name.into());
        }
    }
    flags
}

/// What the operating system refused.
pub(crate) fn cannot(action: &str, error: &io::Error) -> Failure {
    Failure::new(Class::Other, format!("The run cannot {action}."), error.to_string())
}

/// On another thread, because servers are started and killed by calls that block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(Class::Other, "A thread ended.", error.to_string()))
}
