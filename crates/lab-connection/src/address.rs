//! Flags, environment and the machine itself become one address.
//!
//! In this order: the flags; `REDIS_URL`; a server that listens on 127.0.0.1:6379; a private server.

use std::env;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use lab_server::{Choice, Cluster, Server};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::args::TargetArgs;
use crate::failure::{Class, Failure};

const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 6379;
/// Long enough for loopback, short enough not to be felt.
const LISTENING_WITHIN: Duration = Duration::from_millis(250);
/// How many primaries `--cluster` starts when there is no address.
const PRIVATE_PRIMARIES: usize = 3;

/// Where an address came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `--url`, `-h`, `-p` or another connection flag.
    Flags,
    /// The environment variable `REDIS_URL`.
    Environment,
    /// Something listens on 127.0.0.1:6379.
    Listening,
    /// Started for this run.
    Private,
}

/// A server that ends with the value that holds it.
pub enum PrivateServer {
    /// One server.
    Single(Box<Server>),
    /// A cluster.
    Cluster(Cluster),
}

/// One address, ready to connect to.
pub struct Address {
    /// Address and login; its `Debug` hides the password.
    pub info: ConnectionInfo,
    /// Where it came from.
    pub origin: Origin,
    /// The private server behind it.
    pub private: Option<PrivateServer>,
}

impl Address {
    /// Decides which server to use, starting one if there is none.
    pub fn find(args: &TargetArgs) -> Result<Self, Failure> {
        if args.private || args.server.is_some() || args.server_program.is_some() {
            return start_private(args);
        }
        let (info, origin) = if let Some(url) = &args.url {
            (parse_url(url, "--url")?, Origin::Flags)
        } else if args.host.is_some() || args.port.is_some() {
            (host_and_port(args)?, Origin::Flags)
        } else if let Some(url) = env::var("REDIS_URL").ok().filter(|url| !url.is_empty()) {
            (parse_url(&url, "REDIS_URL")?, Origin::Environment)
        } else if args.asks_for_login_or_tls() {
            (host_and_port(args)?, Origin::Flags)
        } else if something_listens() {
            (host_and_port(args)?, Origin::Listening)
        } else {
            return start_private(args);
        };
        Ok(Self { info: log_in(info, args)?, origin, private: None })
    }

    /// The same on another thread: asking for a password, fetching, and starting a server block, and Ctrl-C must stay alive.
    pub(crate) async fn find_in_background(args: &TargetArgs) -> Result<Self, Failure> {
        let flags = args.clone();
        let found = tokio::task::spawn_blocking(move || Self::find(&flags)).await;
        found.map_err(|error| Failure::new(Class::Other, "No server was found.", error.to_string()))?
    }
}

fn host_and_port(args: &TargetArgs) -> Result<ConnectionInfo, Failure> {
    let host = args.host.clone().unwrap_or_else(|| DEFAULT_HOST.into());
    (host, args.port.unwrap_or(DEFAULT_PORT)).into_connection_info().map_err(|error| {
        Failure::new(Class::Usage, format!("Not an address: {error}"), "The host or the port cannot be used.")
    })
}

/// The text of the URL appears in no message: it may hold a password.
fn parse_url(url: &str, source: &str) -> Result<ConnectionInfo, Failure> {
    if url.starts_with("rediss:") || url.starts_with("valkeys:") {
        require_tls_support()?;
    }
    url.into_connection_info().map_err(|error| {
        let why = error.detail().filter(|detail| !url.contains(detail)).unwrap_or("It is not a Redis URL.");
        Failure::new(Class::Usage, format!("{source} does not parse."), why)
            .try_next("redis://:PASSWORD@HOST:PORT/DB, rediss:// for TLS, redis+unix:///PATH for a socket")
            .try_next("percent-encode characters such as @ / # ? % in the password, or use --askpass")
    })
}

fn something_listens() -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)), LISTENING_WITHIN).is_ok()
}

/// Adds what the flags and the environment say about login, database, TLS and the socket.
fn log_in(mut info: ConnectionInfo, args: &TargetArgs) -> Result<ConnectionInfo, Failure> {
    if args.tls {
        require_tls_support()?;
        info = over_tls(info);
    }
    let mut login = info.redis_settings().clone();
    if let Some(user) = &args.user {
        login = login.set_username(user);
    }
    if args.askpass {
        login = login.set_password(ask_password()?);
    } else if login.password().is_none()
        && let Some(password) = env::var("REDISCLI_AUTH").ok().filter(|password| !password.is_empty())
    {
        login = login.set_password(password);
    }
    secured(with_login(info, login, args), args)
}

/// The address with this login, in the database of the flags, on a socket that does not delay small packets.
fn with_login(info: ConnectionInfo, login: RedisConnectionInfo, args: &TargetArgs) -> ConnectionInfo {
    let login = match args.db {
        Some(db) => login.set_db(i64::from(db)),
        None => login,
    };
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    info.set_redis_settings(login).set_tcp_settings(tcp)
}

fn over_tls(info: ConnectionInfo) -> ConnectionInfo {
    let ConnectionAddr::Tcp(host, port) = info.addr().clone() else {
        return info;
    };
    info.set_addr(ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None })
}

fn ask_password() -> Result<String, Failure> {
    rpassword::prompt_password("Password: ").map_err(|error| {
        if error.kind() == std::io::ErrorKind::Interrupted {
            return Failure::new(Class::Interrupted, "Interrupted.", "No password was entered.");
        }
        Failure::new(
            Class::Usage,
            "No password could be asked for.",
            format!("There is no terminal ({error})."),
        )
        .try_next("set REDISCLI_AUTH instead of --askpass")
    })
}

/// Certificates and server name; a TLS flag without TLS would silently protect nothing, so it is refused.
fn secured(info: ConnectionInfo, args: &TargetArgs) -> Result<ConnectionInfo, Failure> {
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        if args.cacert.is_some() || args.cert.is_some() || args.sni.is_some() {
            return Err(Failure::new(
                Class::Usage,
                "--cacert, --cert and --sni need TLS.",
                "The address does not ask for it.",
            )
            .try_next("add --tls, or use a rediss:// URL"));
        }
        return Ok(info);
    }
    #[cfg(feature = "tls")]
    return crate::tls::with_certificates(info, args);
    #[cfg(not(feature = "tls"))]
    Ok(info)
}

fn require_tls_support() -> Result<(), Failure> {
    if cfg!(feature = "tls") {
        return Ok(());
    }
    Err(Failure::new(
        Class::Unsupported,
        "This program was built without TLS.",
        "The short commands (cargo tour, cargo simple, cargo cart) leave it out, to build quickly.",
    )
    .try_next(
        "cargo run --release -p tour -- --tls ... (or -p simple-ops, -p shopping-cart): the same with TLS",
    ))
}

fn start_private(args: &TargetArgs) -> Result<Address, Failure> {
    if args.asks_for_login_or_tls() {
        return Err(Failure::new(
            Class::Usage,
            "A private server takes no login and no TLS flags.",
            "It makes a password of its own, which nobody has to type, and listens on this machine only.",
        )
        .try_next("leave --user, --askpass, --tls, --cacert, --cert and --sni out")
        .try_next("--url, or -h HOST -p PORT, for the server that they are meant for"));
    }
    let choice = Choice::from_flags(args.server, args.server_program.clone(), args.no_fetch)
        .map_err(|error| no_server(&error))?;
    let (private, url) = if args.cluster {
        let cluster = Cluster::builder()
            .primaries(PRIVATE_PRIMARIES)
            .choice(choice)
            .start()
            .map_err(|e| no_server(&e))?;
        let url = cluster.urls().into_iter().next().unwrap_or_default();
        (PrivateServer::Cluster(cluster), url)
    } else {
        let server = Server::builder().choice(choice).start().map_err(|e| no_server(&e))?;
        let url = server.url();
        (PrivateServer::Single(Box::new(server)), url)
    };
    let info = parse_url(&url, "the private server's URL")?;
    let login = info.redis_settings().clone();
    Ok(Address { info: with_login(info, login, args), origin: Origin::Private, private: Some(private) })
}

/// Host and port, with brackets around an IPv6 address, as in a URL; or the path of a socket.
pub(crate) fn host_and_port_of(info: &ConnectionInfo) -> String {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } if host.contains(':') => {
            format!("[{host}]:{port}")
        }
        addr => addr.to_string(),
    }
}

/// Whether a host is this machine by name or address.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Whether the address is one of this machine: a loopback address or a socket.
pub(crate) fn is_near(info: &ConnectionInfo) -> bool {
    match info.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => is_loopback(host),
        _ => true,
    }
}

/// The failure of a private server. The first line of the error is why. The lines after it, if any, are what to try.
#[must_use]
pub fn no_server(error: &lab_server::Error) -> Failure {
    let text = error.to_string();
    let mut lines = text.lines();
    let why = lines.next().unwrap_or_default();
    let failure = Failure::new(Class::NoServer, "No private server could be started.", why);
    // A line that announces what to try is not one of them, and each of the others stands alone.
    let steps = lines.map(str::trim).filter(|line| !line.ends_with(':'));
    let alone = |step: &str| {
        step.trim_start_matches(|c: char| c.is_ascii_digit())
            .trim_start_matches(". ")
            .trim_end_matches([';', '.'])
            .to_owned()
    };
    let failure = steps.map(alone).fold(failure, Failure::try_next);
    match error {
        lab_server::Error::Io { action, .. } if action.contains("XDG_CACHE_HOME") => failure.try_next(
            "XDG_CACHE_HOME=FOLDER in front of the command: another folder for servers that are fetched",
        ),
        lab_server::Error::Io { .. } => {
            failure.try_next("TMPDIR=FOLDER in front of the command: another folder for the server's files")
        }
        _ => failure,
    }
}
