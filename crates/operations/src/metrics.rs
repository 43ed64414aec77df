//! `cargo ops metrics`: serves what INFO says about a server as OpenMetrics text, for Prometheus.
//!
//! A scrape is one command, `INFO all`. If the server does not answer it within five seconds, `redis_up` is 0. It then says why on
//! standard error, once. The next scrape connects again. It watches one server: run one beside each server of a group.
//!
//! It listens on loopback only, because nobody needs a password to connect. `--expose` permits other addresses.

mod http;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::failure::Class;
use lab_connection::read_only::ReadOnlyAddress;
use lab_connection::{Failure, TargetArgs};
use lab_runner::Terminal;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::doctor::facts::Info;
use crate::openmetrics::{Exposition, Kind, servers};

/// Prometheus waits for ten seconds, unless its configuration says otherwise.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the command line can set.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9121")]
    pub listen: SocketAddr,

    /// Allow an address that other machines can reach. They need no password, and there is no TLS
    #[arg(long)]
    pub expose: bool,
}

/// Serves until Ctrl-C.
pub async fn run(target: &TargetArgs, options: &Options) -> Result<(), Failure> {
    let listener = listen(options).await?;
    let exporter = Exporter::new(target.find_read_only().await?);
    let address = listener.local_addr().unwrap_or(options.listen);
    Terminal.line(&format!("Metrics of {}: http://{address}/metrics", exporter.server.address()));
    Terminal.line("Ctrl-C ends it.");
    // Says at once if the server does not answer.
    exporter.scrape().await;
    http::serve(&listener, Arc::new(exporter)).await;
    Ok(())
}

async fn listen(options: &Options) -> Result<TcpListener, Failure> {
    let address = options.listen;
    if !options.expose && !address.ip().to_canonical().is_loopback() {
        let what = format!("{} is not a loopback address.", address.ip());
        let why = "Other machines could read the metrics there, without a password and without TLS.";
        return Err(Failure::new(Class::Usage, what, why)
            .try_next("--listen 127.0.0.1:9121 keeps them on this machine")
            .try_next("--expose allows it anyway, for example behind a firewall"));
    }
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(Class::Other, format!("{address} cannot be listened on."), error.to_string())
            .try_next("--listen 127.0.0.1:0 takes a free port")
    })
}

/// Asks one server.
struct Exporter {
    server: ReadOnlyAddress,
    connection: Mutex<Option<MultiplexedConnection>>,
    was_up: AtomicBool,
}

impl Exporter {
    fn new(server: ReadOnlyAddress) -> Self {
        Self { server, connection: Mutex::default(), was_up: AtomicBool::new(true) }
    }

    /// The metrics of this moment. Never fails: a server that does not answer is a metric, too.
    async fn scrape(&self) -> String {
        let begun = Instant::now();
        let answer = timeout(SCRAPE_TIMEOUT, self.info()).await.unwrap_or_else(|_| {
            let why = format!("INFO took longer than {} s.", SCRAPE_TIMEOUT.as_secs());
            Err(Failure::new(Class::Timeout, format!("{} does not answer.", self.server.address()), why))
        });
        self.note_changes(&answer);
        if answer.is_err() {
            self.keep(None);
        }
        text(self.server.address(), answer.as_ref().ok(), begun.elapsed())
    }

    /// Over the connection of the last scrape, or, if that is broken, over a new one.
    async fn info(&self) -> Result<Info, Failure> {
        let kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(mut connection) = kept
            && let Ok(info) = ask(&mut connection).await
        {
            return Ok(info);
        }
        let mut connection = self.server.connect().await?;
        let info = ask(&mut connection).await.map_err(|error| self.server.explain(&error))?;
        self.keep(Some(connection));
        Ok(info)
    }

    fn keep(&self, connection: Option<MultiplexedConnection>) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    fn note_changes(&self, answer: &Result<Info, Failure>) {
        match (answer, self.was_up.swap(answer.is_ok(), Ordering::Relaxed)) {
            (Err(failure), true) => Terminal.note(&format!("redis_up is 0.\n{failure}")),
            (Ok(_), false) => Terminal.note("redis_up is 1 again."),
            _ => {}
        }
    }
}

async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Info> {
    let text: String = redis::cmd("INFO").arg("all").query_async(connection).await?;
    Ok(Info::parse(&text))
}

/// The whole text, with its end.
fn text(node: &str, info: Option<&Info>, took: Duration) -> String {
    let mut out = Exposition::default();
    let one = |value: f64| [(vec![("node", node)], value)];
    out.metric("redis_up", Kind::Gauge, "1 if the server answers.", one(f64::from(u8::from(info.is_some()))));
    out.metric("redis_scrape_seconds", Kind::Gauge, "How long this took.", one(took.as_secs_f64()));
    if let Some(info) = info {
        let (name, version) = info.version().unwrap_or_default();
        let role = if info.is_sentinel() { "sentinel" } else { info.text("role").unwrap_or_default() };
        let about = vec![("node", node), ("name", name), ("version", version), ("role", role)];
        out.metric("redis_server", Kind::Info, "What the server is.", [(about, 1.0)]);
        servers(&mut out, &[(node, info)]);
        commands(&mut out, node, info);
        errors(&mut out, node, info);
        replicas(&mut out, node, info);
    }
    out.finish()
}

/// What each command did. Their number is bounded by the commands that the server has.
fn commands(out: &mut Exposition, node: &str, info: &Info) {
    let prefix = "cmdstat_";
    let sum = |field: &str, parts: &[&str]| -> Option<f64> {
        parts.iter().map(|part| info.part_number(field, part)).sum()
    };
    let metrics: [(&str, &str, &[&str], f64); 3] = [
        ("redis_command_calls", "Calls of a command.", &["calls"], 1.0),
        (
            "redis_command_failed_calls",
            "Calls that failed or were refused.",
            &["failed_calls", "rejected_calls"],
            1.0,
        ),
        ("redis_command_execution_seconds", "Time that the server spent in a command.", &["usec"], 1e-6),
    ];
    for (name, help, parts, unit) in metrics {
        let samples = info.starting_with(prefix).filter_map(|(field, _)| {
            Some((vec![("node", node), ("command", &field[prefix.len()..])], sum(field, parts)? * unit))
        });
        out.metric(name, Kind::Counter, help, samples);
    }
}

/// Errors by code. The server bounds their number.
fn errors(out: &mut Exposition, node: &str, info: &Info) {
    let prefix = "errorstat_";
    let samples = info.starting_with(prefix).filter_map(|(field, _)| {
        Some((vec![("node", node), ("code", &field[prefix.len()..])], info.part_number(field, "count")?))
    });
    out.metric("redis_errors", Kind::Counter, "Errors by their code.", samples);
}

/// How far each replica is behind.
fn replicas(out: &mut Exposition, node: &str, info: &Info) {
    let written = info.number("master_repl_offset");
    let replicas: Vec<(String, f64)> = info
        .replicas()
        .filter_map(|field| {
            let address = format!("{}:{}", info.part(field, "ip")?, info.part(field, "port")?);
            Some((address, (written? - info.part_number(field, "offset")?).max(0.0)))
        })
        .collect();
    let samples = replicas
        .iter()
        .map(|(replica, behind)| (vec![("node", node), ("replica", replica.as_str())], *behind));
    let help = "Bytes of writes that a replica has not confirmed.";
    out.metric("redis_replica_behind_bytes", Kind::Gauge, help, samples);
}
