//! A primary with replicas, and Sentinels that watch it.

use std::time::Duration;

use crate::config::quoted;
use crate::readiness::{Observation, wait_for};
use crate::version::Version;
use crate::{Builder, Choice, Error, Replicated, Server};

/// The name under which the Sentinels know the primary.
pub const PRIMARY_NAME: &str = "lab";

/// How often a Sentinel publishes that it is there: by default, and while the Sentinels look for one another.
const PUBLISH_PERIOD: Duration = Duration::from_secs(2);
const FIRST_PUBLISH_PERIOD: Duration = Duration::from_millis(100);

/// A primary, its replicas, and its Sentinels, all with one password. Dropping it ends them all.
#[derive(Debug)]
pub struct Sentinels {
    /// The primary and its replicas. After a failover, the primary is one of the replicas here.
    pub data: Replicated,
    /// The Sentinels. When [`start`](Self::start) returns, each knows the replicas and the other Sentinels.
    pub sentinels: Vec<Server>,
}

impl Sentinels {
    /// A primary, `replicas` replicas, and `sentinels` Sentinels, with the program that the environment chooses. The quorum is a
    /// majority of the Sentinels. They take a server for down after a second.
    pub fn start(replicas: usize, sentinels: usize) -> Result<Self, Error> {
        let builder = Server::builder().choice(Choice::from_env()?);
        Self::start_with(builder, replicas, sentinels, sentinels / 2 + 1, Duration::from_secs(1))
    }

    /// The same from a builder, whose settings are for the primary and the replicas. A port is for the primary only. `quorum` Sentinels
    /// must agree that the primary is down, and each takes it for down after `down_after` without a reply.
    pub fn start_with(
        builder: Builder,
        replicas: usize,
        sentinels: usize,
        quorum: usize,
        down_after: Duration,
    ) -> Result<Self, Error> {
        let data = Replicated::start_with(builder, replicas)?;
        let sentinels = (0..sentinels)
            .map(|_| sentinel(&data.primary, quorum, down_after))
            .collect::<Result<Vec<_>, _>>()?;
        let group = Self { data, sentinels };
        // Sentinels find one another by what each publishes through the primary.
        group.publish_every(FIRST_PUBLISH_PERIOD)?;
        group.sentinels.iter().try_for_each(|sentinel| group.wait_until_it_knows_all(sentinel))?;
        group.publish_every(PUBLISH_PERIOD)?;
        Ok(group)
    }

    /// Sets how often the Sentinels publish that they are there. Redis before 7.0 cannot, and its Sentinels take two seconds more.
    fn publish_every(&self, period: Duration) -> Result<(), Error> {
        let failed = || Error::redis("setting how often a Sentinel publishes");
        for sentinel in self.sentinels.iter().filter(|one| one.program().version() >= Version::new(7, 0, 0)) {
            let mut connection = sentinel.client().get_connection().map_err(failed())?;
            let mut command = redis::cmd("SENTINEL");
            command.arg("DEBUG").arg("publish-period").arg(period.as_millis());
            command.exec(&mut connection).map_err(failed())?;
        }
        Ok(())
    }

    /// The URL of every Sentinel. Each holds the password.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Server::url).collect()
    }

    /// The server with this port, which a Sentinel names. With TLS, that is the port for TLS.
    #[must_use]
    pub fn server_with_port(&self, port: u16) -> Option<&Server> {
        std::iter::once(&self.data.primary)
            .chain(&self.data.replicas)
            .find(|server| server.peer_port() == port)
    }

    fn wait_until_it_knows_all(&self, sentinel: &Server) -> Result<(), Error> {
        let asking = "asking a Sentinel what it knows";
        let mut connection = sentinel.client().get_connection().map_err(Error::redis(asking))?;
        let expected = format!("slaves={},sentinels={}", self.data.replicas.len(), self.sentinels.len());
        wait_for("a Sentinel", asking, || {
            let info: String = redis::cmd("INFO").arg("sentinel").query(&mut connection)?;
            let last = info.lines().find(|line| line.starts_with("master0:")).unwrap_or_default().to_owned();
            Ok(Observation { done: last.contains("status=ok") && last.ends_with(&expected), last })
        })
    }
}

fn sentinel(primary: &Server, quorum: usize, down_after: Duration) -> Result<Server, Error> {
    let (port, down_after) = (primary.peer_port(), down_after.as_millis().max(1));
    let builder = Server::builder()
        .sentinel()
        .with_tls(primary.tls().cloned())
        .with_password_of(primary)
        .config("sentinel", format!("monitor {PRIMARY_NAME} 127.0.0.1 {port} {quorum}"))
        .config("sentinel", format!("down-after-milliseconds {PRIMARY_NAME} {down_after}"))
        // A failed attempt is repeated after twice this time.
        .config("sentinel", format!("failover-timeout {PRIMARY_NAME} {}", 10 * down_after));
    let builder = match primary.password() {
        "" => builder,
        password => builder
            .config("sentinel", format!("auth-pass {PRIMARY_NAME} {}", quoted(password)))
            // With its own password, a Sentinel takes the same for the others.
            .config("sentinel", format!("sentinel-pass {}", quoted(password))),
    };
    builder.start_program(primary.program().clone())
}
