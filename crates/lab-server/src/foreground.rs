//! The `lab-server` program: keeps servers up in the foreground, prints how to reach them, and removes everything at the end.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    Certificates, Choice, Cluster, ClusterBuilder, Error, PRIMARY_NAME, Release, Replicated, Sentinels,
    Server,
};

/// Starts a private Redis or Valkey and keeps it up until Ctrl-C. Then it removes everything.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "lab-server", bin_name = "cargo server", version)]
pub struct Arguments {
    /// The server to start [env: `REDIS_LAB_SERVER`]. Without it: one on PATH, or else Valkey, which is fetched if needed
    #[arg(long = "server", value_name = "NAME")]
    pub release: Option<Release>,

    /// The program to start, a redis-server or valkey-server [env: `REDIS_LAB_PROGRAM`]
    #[arg(long = "server-program", value_name = "PATH", conflicts_with = "release")]
    pub program: Option<PathBuf>,

    /// Fetch nothing, and use what is on this machine [env: `REDIS_LAB_NO_FETCH`]
    #[arg(long)]
    pub no_fetch: bool,

    /// Listen on this port of 127.0.0.1 instead of a free one
    #[arg(long, value_name = "PORT", conflicts_with = "cluster", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// Start this many replicas too
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "cluster", value_parser = count(0))]
    pub replicas: u16,

    /// Start this many Sentinels too, which watch the primary [default with --sentinel alone: 3]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3", conflicts_with = "cluster", value_parser = count(1))]
    pub sentinel: Option<u16>,

    /// Start a cluster of this many primaries
    #[arg(long, value_name = "N", value_parser = count(1))]
    pub cluster: Option<u16>,

    /// Give each primary of the cluster this many replicas
    #[arg(long, value_name = "N", default_value_t = 0, requires = "cluster", value_parser = count(0))]
    pub replicas_each: u16,

    /// Listen for TLS too, with certificates made for this run. Replicas, Sentinels, and cluster nodes use it among themselves
    #[arg(long)]
    pub tls: bool,

    /// The same, and clients must show a certificate
    #[arg(long, conflicts_with = "tls")]
    pub mutual_tls: bool,

    /// Use no password: every process on this machine can connect
    #[arg(long)]
    pub no_password: bool,
}

/// How often to check whether the servers still run.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// After how long without a reply Sentinels take the primary for down.
const DOWN_AFTER: Duration = Duration::from_secs(5);
/// More servers than this on one machine are a typing mistake.
const MAX_SERVERS: i64 = 100;

fn count(least: i64) -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(least..=MAX_SERVERS)
}

/// What was started; dropping it ends it.
enum Running {
    /// One server, or a primary with replicas.
    Replicated(Replicated),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

impl Running {
    fn servers(&self) -> impl Iterator<Item = &Server> {
        let (first, others, sentinels) = match self {
            Self::Replicated(group) => (&group.primary, group.replicas.as_slice(), [].as_slice()),
            Self::Sentinels(group) => {
                (&group.data.primary, group.data.replicas.as_slice(), group.sentinels.as_slice())
            }
            Self::Cluster(cluster) => (&cluster.nodes()[0], &cluster.nodes()[1..], [].as_slice()),
        };
        std::iter::once(first).chain(others).chain(sentinels)
    }

    fn first(&self) -> Option<Started> {
        let first = self.servers().next()?;
        let cluster = matches!(self, Self::Cluster(_));
        Some(Started { url: first.url(), program: first.program().describe(), cluster })
    }
}

/// What was started: the first server, for a console on it.
#[derive(Clone, Debug)]
pub struct Started {
    /// Its URL, with the password.
    pub url: String,
    /// Its name and version.
    pub program: String,
    /// Whether it is a node of a cluster.
    pub cluster: bool,
}

/// A console on the first server, which returns when the person leaves it. It runs on a thread of its own.
pub type Console = fn(&Started);

/// Starts what the arguments ask for, prints its addresses on stdout, and waits. Exit codes: 0 if Ctrl-C, SIGTERM, or SIGHUP ended it, 1 if a
/// server died, 3 if none could be started, 130 if it was interrupted before it was up.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    run_with(arguments, None)
}

/// The same with a console. When the person leaves it, everything ends as after Ctrl-C.
#[must_use]
pub fn run_with(arguments: Arguments, console: Option<Console>) -> ExitCode {
    let (sender, events) = mpsc::channel();
    if let Err(error) = watch_signals(sender.clone()) {
        return fail(&Error::io("wait for signals")(error), 1);
    }
    let from_start = sender.clone();
    thread::spawn(move || from_start.send(Event::Started(Box::new(start(&arguments)))));
    match events.recv() {
        Ok(Event::Started(started)) => match *started {
            Ok(running) => {
                // If nobody reads this, the servers are up all the same.
                let _ = writeln!(io::stdout(), "{}", describe(&running, console.is_some()));
                if let Some((console, started)) = console.zip(running.first()) {
                    thread::spawn(move || {
                        console(&started);
                        sender.send(Event::End)
                    });
                }
                serve(&running, &events)
            }
            Err(error) => fail(&error, 3),
        },
        // What was being started ends with this process, as after any other end of an owner.
        Ok(Event::End) | Err(mpsc::RecvError) => ExitCode::from(130),
    }
}

enum Event {
    Started(Box<Result<Running, Error>>),
    /// A signal, or the end of the console.
    End,
}

fn watch_signals(sender: mpsc::Sender<Event>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    drop(entered);
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        sender.send(Event::End)
    });
    Ok(())
}

fn start(arguments: &Arguments) -> Result<Running, Error> {
    let choice = Choice::from_flags(arguments.release, arguments.program.clone(), arguments.no_fetch)?;
    let mut builder = Server::builder().choice(choice);
    if arguments.no_password {
        builder = builder.no_password();
    }
    if let Some(port) = arguments.port {
        builder = builder.port(port);
    }
    if arguments.tls {
        builder = builder.tls(&Certificates::make()?);
    }
    if arguments.mutual_tls {
        builder = builder.mutual_tls(&Certificates::make()?);
    }
    if let Some(primaries) = arguments.cluster {
        let builder = ClusterBuilder::of(builder).primaries(primaries.into());
        return builder.replicas_each(arguments.replicas_each.into()).start().map(Running::Cluster);
    }
    if let Some(sentinels) = arguments.sentinel {
        // A failover needs a replica to promote.
        let replicas = arguments.replicas.max(1).into();
        let sentinels = usize::from(sentinels);
        let group = Sentinels::start_with(builder, replicas, sentinels, sentinels / 2 + 1, DOWN_AFTER)?;
        return Ok(Running::Sentinels(group));
    }
    Replicated::start_with(builder, arguments.replicas.into()).map(Running::Replicated)
}

/// Waits for a signal, the end of the console, or the end of a server. The servers end with it.
fn serve(running: &Running, events: &mpsc::Receiver<Event>) -> ExitCode {
    while let Err(mpsc::RecvTimeoutError::Timeout) = events.recv_timeout(CHECK_INTERVAL) {
        if let Some(dead) = running.servers().find(|server| !server.is_running()) {
            let _ = writeln!(
                io::stderr(),
                "lab-server: the server on port {} has ended, so this program ends too",
                dead.port()
            );
            return ExitCode::from(1);
        }
    }
    ExitCode::SUCCESS
}

fn describe(running: &Running, console: bool) -> String {
    let mut servers = running.servers();
    let Some(first) = servers.next() else {
        return String::new();
    };
    let mut lines =
        vec![format!("# {}", first.program().describe()), format!("export REDIS_URL={}", best_url(first))];
    let is_sentinel = |server: &Server| match running {
        Running::Sentinels(group) => group.sentinels.iter().any(|sentinel| sentinel.port() == server.port()),
        _ => false,
    };
    lines.extend(servers.map(|server| {
        let role = match running {
            Running::Cluster(_) => "another node",
            _ if is_sentinel(server) => "Sentinel",
            _ => "replica",
        };
        format!("# {role}: {}", best_url(server))
    }));
    if matches!(running, Running::Sentinels(_)) {
        lines.push(format!("# The Sentinels call the primary \"{PRIMARY_NAME}\"."));
    }
    if matches!(running, Running::Cluster(_)) {
        lines.push("# This is a cluster: add --cluster to the commands that use it.".to_owned());
    }
    lines.extend(tls_lines(first));
    lines.push(format!("# {}", redis_cli(running, first)));
    let password = match first.password() {
        "" => "no password".to_owned(),
        password => format!("password {password}"),
    };
    lines.push(format!("# unix socket: {}", first.socket().display()));
    lines.push(format!(
        "# Redis Insight: add a database with host 127.0.0.1, port {}, {password}.",
        first.port()
    ));
    if !console {
        lines.push("# Ctrl-C ends it and removes everything.".to_owned());
    }
    lines.join("\n")
}

/// For TLS, if the server has it.
fn best_url(server: &Server) -> String {
    server.tls_url().unwrap_or_else(|| server.url())
}

/// The files that a client needs, and the flags of this project's programs.
fn tls_lines(server: &Server) -> Vec<String> {
    let Some(files) = server.certificate_files() else { return Vec::new() };
    let mut lines = vec![format!("# authority: {}", files.authority.display())];
    if server.asks_for_certificates() {
        lines.push(format!("# client certificate: {}", files.client.display()));
        lines.push(format!("# client key: {}", files.client_key.display()));
    }
    lines.push(format!("# cargo run --release -p tour -- {}", certificate_flags(server)));
    lines
}

/// `--cacert PATH`, with the client's certificate if the server asks for one: the flags of redis-cli and of this project's programs.
fn certificate_flags(server: &Server) -> String {
    let Some(files) = server.certificate_files() else { return String::new() };
    let authority = files.authority.display();
    if server.asks_for_certificates() {
        format!("--cacert {authority} --cert {} --key {}", files.client.display(), files.client_key.display())
    } else {
        format!("--cacert {authority}")
    }
}

/// How redis-cli connects. The password is in a variable, because everybody on the machine can read the arguments of a process.
fn redis_cli(running: &Running, server: &Server) -> String {
    let password = match server.password() {
        "" => String::new(),
        password => format!("REDISCLI_AUTH={password} "),
    };
    let cluster = if matches!(running, Running::Cluster(_)) { " -c" } else { "" };
    match server.tls_port() {
        Some(port) => {
            format!("{password}redis-cli{cluster} -p {port} --tls {}", certificate_flags(server))
        }
        None => format!("{password}redis-cli{cluster} -p {}", server.port()),
    }
}

fn fail(error: &Error, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "lab-server: {error}");
    ExitCode::from(code)
}
