//! One running server.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::certificates::{CertificateFiles, Tls};
use crate::config::{self, LOG_FILE, SOCKET};
use crate::directory::{self, Directory};
use crate::keeper::Keeper;
use crate::plan::Plan;
use crate::ports;
use crate::url;
use crate::version::Version;
use crate::{Builder, Error, Program, clock, crash_log, page_cache, readiness};

/// How many ports are tried if other processes take them first.
const PORT_ATTEMPTS: u32 = 20;

/// A private server: it listens on 127.0.0.1 and on a unix socket, and lives as long as this value.
///
/// Dropping it kills the process, removes its directory, and returns when both are gone. If the owner is killed or panics, the same
/// happens.
pub struct Server {
    // Dropped in this order: the process ends before its directory goes.
    keeper: Option<Keeper>,
    directory: Directory,
    plan: Plan,
    client: redis::Client,
    port: u16,
    tls_port: Option<u16>,
    bus_port: u16,
    pid: Option<Pid>,
}

impl Server {
    /// Starts a server with the program that the environment chooses, see [`Choice::from_env`](crate::Choice::from_env).
    pub fn start() -> Result<Self, Error> {
        Self::builder().start()
    }

    /// A server with your own settings.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `redis://default:PASSWORD@127.0.0.1:PORT/`. Holds the password: not for logs.
    #[must_use]
    pub fn url(&self) -> String {
        url::tcp("redis", self.password(), self.port)
    }

    /// The unix socket as the redis crate takes it, `redis+unix:///PATH?pass=PASSWORD`. Holds the password.
    #[must_use]
    pub fn unix_url(&self) -> String {
        url::unix(&self.socket(), self.password())
    }

    /// `rediss://default:PASSWORD@127.0.0.1:PORT/`, if the server was started with [`Builder::tls`]. Holds the password.
    #[must_use]
    pub fn tls_url(&self) -> Option<String> {
        self.tls_port.map(|port| url::tcp("rediss", self.password(), port))
    }

    /// The port for TLS on 127.0.0.1, if the server was started with [`Builder::tls`].
    #[must_use]
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// The certificates of the server and of a client, if the server was started with [`Builder::tls`].
    #[must_use]
    pub fn certificate_files(&self) -> Option<CertificateFiles> {
        self.plan.tls.as_ref().map(|_| CertificateFiles::inside(self.dir()))
    }

    /// Whether the server has a TLS port that only clients with a certificate can use: [`Builder::mutual_tls`].
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        self.plan.tls.as_ref().is_some_and(|tls| tls.mutual)
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of the default user; empty when there is none.
    #[must_use]
    pub fn password(&self) -> &str {
        self.plan.password.as_deref().unwrap_or_default()
    }

    /// The unix socket, which only this user can open.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join(SOCKET)
    }

    /// The directory with everything the server has: configuration, log, socket, data. Mode 0700.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// The process ID of the server, or of the last one after [`kill`](Self::kill).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// The program that runs.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.plan.program
    }

    /// A client for [`url`](Self::url), for blocking and async connections.
    #[must_use]
    pub fn client(&self) -> redis::Client {
        self.client.clone()
    }

    /// Whether the process runs: false after [`kill`](Self::kill), a `SHUTDOWN` or a crash.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let keeper = self.keeper.as_ref().filter(|keeper| !keeper.is_idle());
        keeper.is_some_and(|keeper| keeper.ended_within(Duration::ZERO).is_none())
    }

    /// Kills the process with SIGKILL, as a power cut would, and keeps the directory for [`restart`](Self::restart).
    /// The process is gone when this returns.
    pub fn kill(&mut self) {
        // First, because starting the next keeper takes some milliseconds.
        let _ = self.signal(Signal::KILL, "kill the server");
        if let Some(keeper) = self.keeper.take_if(|keeper| !keeper.is_idle()) {
            self.replace(keeper);
        }
    }

    /// Ends a keeper and its server. The next keeper is started first, so the directory always has one.
    fn replace(&mut self, keeper: Keeper) {
        self.keeper = self.next_keeper().ok();
        keeper.kill();
    }

    fn next_keeper(&self) -> Result<Keeper, Error> {
        Keeper::spawn(self.plan.program.path(), self.dir(), self.plan.flag())
            .map(|(keeper, _directory)| keeper)
            .map_err(Error::io(format!("use the server's directory {}", self.dir().display())))
    }

    /// Starts the server again, on the same port, with the same directory and password, so what it saved comes back. If it still
    /// runs, it is killed first. Returns when the data is loaded.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill();
        if !ports::is_free(self.port) {
            return Err(Error::PortInUse { port: self.port });
        }
        self.run()
    }

    /// Adds one line to the configuration file, see [`Builder::config`]. It takes effect at the next [`restart`](Self::restart), as if
    /// somebody had edited the file.
    pub fn add_config(&self, key: &str, value: &str) -> Result<(), Error> {
        config::append(self.dir(), key, value)
    }

    /// Stops the process with SIGSTOP: connections stay open and nothing answers, as on a host that hangs.
    pub fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::STOP, "pause the server")
    }

    /// Lets a paused process go on.
    pub fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::CONT, "resume the server")
    }

    /// Sets the server's clock this many seconds ahead of the real one (negative: behind it), and returns when scripts see the new
    /// time. Keys expire by this clock, too. The server must have been started with [`Builder::movable_clock`].
    pub fn set_clock(&self, seconds: i64) -> Result<(), Error> {
        if !self.plan.movable_clock {
            return Err(Error::ClockNotMovable);
        }
        clock::set(self.dir(), seconds)?;
        clock::wait_until_seen(&self.client, seconds)
    }

    /// After [`kill`](Self::kill): the machine has crashed, too. Each data file shrinks to what was on the disk after its last fsync.
    /// A child that was writing a snapshot, which outlives a killed server, ends first, because it would not outlive the machine. The
    /// server must have been started with [`Builder::losable_page_cache`].
    pub fn lose_page_cache(&self) -> Result<(), Error> {
        if self.is_running() || !self.plan.losable_page_cache {
            return Err(Error::PageCacheNotLosable);
        }
        directory::end_children_in(self.dir());
        page_cache::lose(self.dir())
    }

    /// Ends the server and removes its directory, as dropping it does.
    pub fn stop(self) {
        drop(self);
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.plan.tls.as_ref()
    }

    /// The port by which other servers of its group reach it.
    pub(crate) fn peer_port(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    /// The port on which a cluster node talks to the others.
    pub(crate) fn bus_port(&self) -> u16 {
        self.bus_port
    }

    /// Changes a setting now and for every restart.
    pub(crate) fn set_config(&self, key: &str, value: &str) -> Result<(), Error> {
        let mut connection =
            self.client.get_connection().map_err(Error::redis("connecting to the private server"))?;
        let mut command = redis::cmd("CONFIG");
        command
            .arg("SET")
            .arg(key)
            .arg(value)
            .exec(&mut connection)
            .map_err(Error::redis(format!("setting {key}")))?;
        config::append(self.dir(), key, value)
    }

    pub(crate) fn launch(plan: Plan) -> Result<Self, Error> {
        let (directory, keeper) = Directory::create(plan.program.path(), plan.flag())?;
        // The unix socket is certainly ours. The client gets its port when that is known.
        let client = open(&url::tcp("redis", plan.password.as_deref().unwrap_or_default(), 0))?;
        let mut server = Self {
            keeper: Some(keeper),
            directory,
            plan,
            client,
            port: 0,
            tls_port: None,
            bus_port: 0,
            pid: None,
        };
        if server.plan.movable_clock {
            clock::set(server.dir(), 0)?;
        }
        for attempt in 1.. {
            server.choose_ports()?;
            match server.run() {
                Ok(()) => break,
                Err(Error::Died { output, .. })
                    if crash_log::names_the_port(&output) && attempt < PORT_ATTEMPTS => {}
                Err(Error::Died { program, output })
                    if server.plan.tls.is_some() && crash_log::names_missing_tls(&output) =>
                {
                    return Err(Error::NoTls { program, output });
                }
                Err(error) => return Err(error),
            }
        }
        server.client = open(&server.url())?;
        Ok(server)
    }

    /// Chooses ports and writes the configuration that names them.
    fn choose_ports(&mut self) -> Result<(), Error> {
        let old_bus = self.plan.cluster.is_some() && self.plan.program.version() < Version::new(7, 0, 0);
        self.port = match self.plan.port {
            Some(port) if !ports::is_free(port) => return Err(Error::PortInUse { port }),
            Some(port) => port,
            None => free_port(old_bus),
        };
        let mut extra = Vec::new();
        if let Some(tls) = &self.plan.tls {
            let port = free_port(old_bus);
            extra.push(("tls-port".to_owned(), port.to_string()));
            extra.extend(tls.write(self.dir())?);
            self.tls_port = Some(port);
        }
        if old_bus {
            self.bus_port = self.peer_port() + ports::BUS_OFFSET;
        } else if self.plan.cluster.is_some() {
            self.bus_port = ports::free();
            extra.push(("cluster-port".to_owned(), self.bus_port.to_string()));
        }
        extra.extend_from_slice(&self.plan.config);
        self.plan.write_config(self.dir(), self.port, &extra)?;
        if let Some(nodes) = self.plan.cluster.as_deref().filter(|nodes| !nodes.is_empty()) {
            let path = self.dir().join("nodes.conf");
            config::write_private(&path, nodes)?;
        }
        Ok(())
    }

    /// Runs the program with the configuration as written, and waits until it answers.
    fn run(&mut self) -> Result<(), Error> {
        let directory = self.directory.path();
        // The log of an earlier run must not be taken for this one's.
        let _ = fs::remove_file(directory.join(LOG_FILE));
        let mut environment = if self.plan.movable_clock { clock::environment()? } else { Vec::new() };
        if self.plan.losable_page_cache {
            environment.extend(page_cache::environment(directory)?);
        }
        let mut keeper = match self.keeper.take() {
            Some(idle) => idle,
            // It could not be started when the last one ended. If that fails again, this error says why.
            None => self.next_keeper()?,
        };
        keeper.run(&environment)?;
        let explain = |output: String| crash_log::of(&output, directory, self.plan.password.as_deref());
        match readiness::wait(&keeper, &open(&self.unix_url())?, &self.plan.program.describe(), explain) {
            Ok(()) => {
                self.pid = directory::recorded_pid(directory);
                self.keeper = Some(keeper);
                Ok(())
            }
            Err(error) => {
                self.replace(keeper);
                Err(error)
            }
        }
    }

    fn signal(&self, signal: Signal, action: &str) -> Result<(), Error> {
        // While the keeper runs, it has not reaped the server, so the pid still belongs to the server.
        let pid = self.pid.filter(|_| self.is_running()).ok_or(rustix::io::Errno::SRCH);
        pid.and_then(|pid| rustix::process::kill_process(pid, signal))
            .map_err(|errno| Error::io(action)(errno.into()))
    }
}

/// A free port; `with_bus`, if the one of an old cluster's bus must be free, too.
fn free_port(with_bus: bool) -> u16 {
    loop {
        let port = ports::free();
        if !with_bus || ports::is_free(port + ports::BUS_OFFSET) {
            return port;
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("program", &self.plan.program.describe())
            .field("port", &self.port)
            .field("pid", &self.pid())
            .field("dir", &self.dir())
            .finish_non_exhaustive()
    }
}

fn open(url: &str) -> Result<redis::Client, Error> {
    redis::Client::open(url).map_err(Error::redis("the address of the private server"))
}
