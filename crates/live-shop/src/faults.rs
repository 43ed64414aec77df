//! The buttons that break things: a private primary with a replica, and a proxy between them and the shop.
//!
//! The shop connects to the proxy, whose address never changes. When the primary is killed, [`Faults`] does what Sentinel does: it
//! promotes the replica and lets the address lead to it. So every connection of the shop, also one that blocks or subscribes, needs
//! nothing but to reconnect.
//!
//! ```text
//!  shop ───► proxy ───► primary ───► replica        shop ───► proxy ──┐  killed: starts again, as a replica
//!                                                                     └──────────► primary, which was the replica
//! ```
//!
//! Both servers append each write to a file, so a server that was killed has its data when it starts again. Replication is
//! asynchronous: a primary that is killed takes with it what the replica did not have. What must survive waits for the replica before
//! it is told (`with_replicas` of the patterns).

use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lab_connection::address::no_server;
use lab_connection::failure::Class;
use lab_connection::{Failure, TargetArgs};
use lab_server::{Choice, Proxy, Replicated, Server};
use redis::{Connection, RedisResult};

use crate::lock;

/// How long a replica may take to be in sync again. Loading a few megabytes takes milliseconds.
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the replica is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The private servers behind the shop. Clones share them. They end with the last clone.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<Inner>,
}

struct Inner {
    /// Taken for as long as a change lasts, so changes come one after the other.
    servers: Mutex<Servers>,
    proxy: Proxy,
    /// Taken for a moment only.
    state: Mutex<State>,
}

/// Two servers, of which each can be the primary.
struct Servers {
    both: [Server; 2],
    primary: usize,
}

/// What is broken now, and what has happened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct State {
    /// Both servers are turned off.
    pub off: bool,
    /// The server refuses all writes that need memory.
    pub memory_full: bool,
    /// The primary was killed, and the replica does not take its place yet.
    pub failing_over: bool,
    /// The replica has all the primary's data and follows its writes. Until it does, nothing survives another kill, so there is none.
    pub replica_in_sync: bool,
    /// The port of the primary: another one after each failover.
    pub primary_port: u16,
    /// How many failovers there were.
    pub failovers: u32,
    /// How long the last failover took, from the kill until the new primary had its address.
    pub last_failover: Option<Duration>,
    /// How many times [`Faults::cut_link`] cut all connections.
    pub cuts: u32,
}

impl Faults {
    /// Starts a primary and a replica, of the release or program that the arguments name. The arguments that come back lead to the
    /// primary, through the proxy.
    pub async fn start(args: &TargetArgs) -> Result<(Self, TargetArgs), Failure> {
        let flags = args.clone();
        let inner = blocking(move || {
            let choice = Choice::from_flags(flags.server, flags.server_program, flags.no_fetch);
            let builder = Server::builder().choice(choice.map_err(|error| no_server(&error))?);
            // What the primary had acknowledged is in the file when it is killed: only a crash of the machine loses the last second.
            let builder = builder.config("appendonly", "yes");
            let group = Replicated::start_with(builder, 1).map_err(|error| no_server(&error))?;
            let proxy = Proxy::in_front_of(&group.primary).map_err(|error| no_server(&error))?;
            let mut replicas = group.replicas.into_iter();
            let replica =
                replicas.next().ok_or_else(|| failed("Starting the replica", &"none was started"))?;
            let state =
                State { replica_in_sync: true, primary_port: group.primary.port(), ..State::default() };
            let servers = Mutex::new(Servers { both: [group.primary, replica], primary: 0 });
            Ok(Inner { servers, proxy, state: Mutex::new(state) })
        })
        .await?;
        let args = TargetArgs { prefix: args.prefix.clone(), ..TargetArgs::at(inner.proxy.url()) };
        Ok((Self { inner: Arc::new(inner) }, args))
    }

    /// The state now. It does not wait for a change that is under way.
    pub fn state(&self) -> State {
        lock(&self.inner.state).clone()
    }

    /// One line on what is broken now, such as `Redis is off`; `None` when all is well.
    pub fn broken(&self) -> Option<String> {
        let state = self.state();
        let broken = [
            (state.off, "Redis is off"),
            (state.failing_over, "the primary is dead, and the replica is being promoted"),
            (state.memory_full, "Redis has no memory left for writes"),
            (!state.off && !state.replica_in_sync, "there is no replica in sync"),
        ];
        let broken: Vec<&str> = broken.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
        (!broken.is_empty()).then(|| broken.join("; "))
    }

    /// Kills the primary with SIGKILL and promotes the replica. The killed server then starts again as the replica of the new primary.
    /// Returns when that is in sync. It fails, and kills nothing, while no replica is in sync.
    pub async fn kill_primary(&self) -> Result<State, Failure> {
        self.change(|inner, servers| {
            if !lock(&inner.state).replica_in_sync {
                return Err(failed("Killing the primary", &"no replica is in sync to take its place"));
            }
            inner.set(|state| (state.failing_over, state.replica_in_sync) = (true, false));
            let start = Instant::now();
            servers.primary_mut().kill();
            servers.promote_replica().map_err(|error| failed("Promoting the replica", &error))?;
            inner.proxy.lead_to(servers.primary());
            let (port, elapsed) = (servers.primary().port(), start.elapsed());
            inner.set(|state| {
                (state.failing_over, state.last_failover) = (false, Some(elapsed));
                state.failovers += 1;
                state.primary_port = port;
            });
            inner.limit_memory(servers)?;
            inner.start_replica(servers)
        })
        .await
    }

    /// Cuts all connections to the servers once. New ones are let through.
    pub async fn cut_link(&self) -> Result<State, Failure> {
        self.change(|inner, _| {
            inner.proxy.cut_all();
            inner.set(|state| state.cuts += 1);
            Ok(())
        })
        .await
    }

    /// Sets the memory limit to half of what is in use, so that the server refuses every write that needs memory (`true`), or takes the
    /// limit away. The policy is `noeviction`: no data is lost. It lasts across failovers and while Redis is off.
    pub async fn fill_memory(&self, full: bool) -> Result<State, Failure> {
        self.change(move |inner, servers| {
            inner.set(|state| state.memory_full = full);
            if lock(&inner.state).off { Ok(()) } else { inner.limit_memory(servers) }
        })
        .await
    }

    /// Kills both servers (`true`), or starts them again with what they had.
    pub async fn turn_off(&self, off: bool) -> Result<State, Failure> {
        self.change(move |inner, servers| {
            if off {
                inner.set(|state| (state.off, state.replica_in_sync) = (true, false));
                servers.both.iter_mut().for_each(Server::kill);
                return Ok(());
            }
            if !servers.primary().is_running() {
                servers.primary_mut().restart().map_err(|error| no_server(&error))?;
            }
            inner.set(|state| (state.off, state.failing_over) = (false, false));
            inner.limit_memory(servers)?;
            inner.start_replica(servers)
        })
        .await
    }

    /// Makes one change after the other. A change that has begun is made to its end, also when the caller stops waiting.
    async fn change(
        &self,
        work: impl FnOnce(&Inner, &mut Servers) -> Result<(), Failure> + Send + 'static,
    ) -> Result<State, Failure> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            work(&inner, &mut lock(&inner.servers))?;
            Ok(lock(&inner.state).clone())
        })
        .await
    }
}

impl Inner {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.state));
    }

    /// Gives the primary the memory limit that the state asks for.
    fn limit_memory(&self, servers: &Servers) -> Result<(), Failure> {
        let full = lock(&self.state).memory_full;
        limit_memory(servers.primary(), full).map_err(|error| failed("Setting the memory limit", &error))
    }

    /// Starts the other server as a replica, if it does not run, and waits until it is in sync.
    fn start_replica(&self, servers: &mut Servers) -> Result<(), Failure> {
        let port = servers.primary().port();
        let replica = &mut servers.both[1 - servers.primary];
        if !replica.is_running() {
            replica
                .add_config("replicaof", &format!("127.0.0.1 {port}"))
                .map_err(|error| no_server(&error))?;
            replica.restart().map_err(|error| no_server(&error))?;
        }
        wait_for_link(replica).map_err(|error| failed("Waiting for the replica", &error))?;
        self.set(|state| state.replica_in_sync = true);
        Ok(())
    }
}

impl Servers {
    fn primary(&self) -> &Server {
        &self.both[self.primary]
    }

    fn primary_mut(&mut self) -> &mut Server {
        &mut self.both[self.primary]
    }

    /// Makes the replica the primary, now and after every restart.
    fn promote_replica(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let replica = &self.both[1 - self.primary];
        redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut connect(replica)?)?;
        replica.add_config("replicaof", "no one")?;
        self.primary = 1 - self.primary;
        Ok(())
    }
}

/// Sets the limit to half of the memory in use, or to none.
fn limit_memory(server: &Server, full: bool) -> RedisResult<()> {
    let mut connection = connect(server)?;
    let info: String = redis::cmd("INFO").arg("memory").query(&mut connection)?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.parse::<u64>().ok());
    let limit = if full { used.unwrap_or(2).max(2) / 2 } else { 0 };
    redis::cmd("CONFIG").arg("SET").arg("maxmemory-policy").arg("noeviction").exec(&mut connection)?;
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(limit).exec(&mut connection)
}

/// Waits until a replica has the primary's data and follows its writes.
fn wait_for_link(replica: &Server) -> Result<(), Box<dyn std::error::Error>> {
    let mut connection = connect(replica)?;
    let start = Instant::now();
    loop {
        let info: String = redis::cmd("INFO").arg("replication").query(&mut connection)?;
        if info.lines().any(|line| line == "master_link_status:up") {
            return Ok(());
        }
        if start.elapsed() > SYNC_TIMEOUT {
            return Err(format!("it was not in sync after {SYNC_TIMEOUT:?}").into());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn connect(server: &Server) -> RedisResult<Connection> {
    server.client().get_connection_with_timeout(SYNC_TIMEOUT)
}

/// On another thread, because servers are started and killed by calls that block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(failed("Changing the private servers", &error)))
}

fn failed(what: &str, why: &dyn Display) -> Failure {
    Failure::new(Class::NoServer, format!("{what} failed."), why.to_string())
}
