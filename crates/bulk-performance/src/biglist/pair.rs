//! A private primary and its replica: Server A writes to the one, Server B reads from the other.

use std::env;
use std::time::Instant;

use lab_connection::address::PrivateServer;
use lab_connection::connection::unguarded;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::{LessonError, Terminal};
use lab_server::{Choice, Replicated, Server};
use redis::aio::ConnectionLike;
use tokio::task::spawn_blocking;
use tokio::time::{Duration, sleep};

use super::replication::{PATIENCE, Replication};

/// Between two looks at a replica.
const POLL: Duration = Duration::from_millis(5);

/// A primary and its replica; both end with this value.
pub struct Pair {
    /// The primary.
    pub a: Target,
    /// The replica. It takes no writes.
    pub b: Target,
    primary_port: u16,
    // Last, so that the connections are closed before the servers end.
    _group: Replicated,
}

impl Pair {
    /// Whether these flags leave it to us which server to use. A server that happens to listen on the usual port is
    /// no pair, so here it does not count.
    #[must_use]
    pub fn is_wanted(args: &TargetArgs) -> bool {
        if args.private || args.server.is_some() || args.server_program.is_some() {
            return !args.cluster;
        }
        let named = args.url.is_some() || args.host.is_some() || args.port.is_some() || args.cluster;
        let login = args.user.is_some() || args.askpass || args.tls;
        let certificates = args.cacert.is_some() || args.cert.is_some() || args.sni.is_some();
        let variable = env::var("REDIS_URL").is_ok_and(|url| !url.is_empty());
        !(named || login || certificates || variable)
    }

    /// Starts both, of the release that the flags or the environment name.
    pub async fn start(args: &TargetArgs) -> Result<Self, Failure> {
        let choice = Choice::from_flags(args.server, args.server_program.clone(), args.no_fetch)
            .map_err(|error| no_pair(&error))?;
        let pair = Self::start_with(choice, args).await?;
        let info = pair.a.info();
        let (a, b) = (pair.a.address(), pair.b.address());
        Terminal.note(&format!("Server A: a primary, {} {} at {a}", info.name, info.version));
        Terminal.note(&format!("Server B: its replica at {b}; both are private, gone when this ends"));
        Ok(pair)
    }

    /// Starts both with the program that runs the private server behind `target`; none if that server is not ours.
    pub async fn beside(target: &Target) -> Result<Option<Self>, Failure> {
        let node: &Server = match target.private() {
            None => return Ok(None),
            Some(PrivateServer::Single(server)) => server,
            Some(PrivateServer::Cluster(cluster)) => match cluster.nodes().first() {
                None => return Ok(None),
                Some(node) => node,
            },
        };
        let choice = Choice { release: None, program: Some(node.program().path().to_owned()), fetch: false };
        let prefix = Some(target.prefix().to_owned()).filter(|prefix| !prefix.is_empty());
        let args = TargetArgs { prefix, ..TargetArgs::default() };
        Self::start_with(choice, &args).await.map(Some)
    }

    async fn start_with(choice: Choice, args: &TargetArgs) -> Result<Self, Failure> {
        // Starting blocks; elsewhere, so that Ctrl-C is still heard.
        let starting = spawn_blocking(move || Replicated::start_with(Server::builder().choice(choice), 1));
        let group = starting.await.map_err(|error| no_pair(&error))?.map_err(|error| no_pair(&error))?;
        let Some(replica) = group.replicas.first() else {
            return Err(no_pair(&"no replica was started"));
        };
        let at = |url| TargetArgs { prefix: args.prefix.clone(), db: args.db, ..TargetArgs::at(url) };
        let a = at(group.primary.url()).open().await?;
        // The primary now bears the marker of our data; the replica cannot be given one, so it has to arrive.
        let mut follower = unguarded(&replica.client()).await.map_err(|error| a.explain(&error))?;
        caught_up(&mut a.connection(), &mut follower).await.map_err(|error| explained(error, &a))?;
        let b = at(replica.url()).open().await?;
        Ok(Self { a, b, primary_port: group.primary.port(), _group: group })
    }

    /// Cuts the replica off, as a network that fails does: it goes on answering with what it has.
    pub async fn cut(&self) -> Result<(), LessonError> {
        // Nothing listens on port 1.
        self.follow(1).await
    }

    /// Lets the replica find its primary again.
    pub async fn mend(&self) -> Result<(), LessonError> {
        self.follow(self.primary_port).await
    }

    async fn follow(&self, port: u16) -> Result<(), LessonError> {
        let mut replica = self.b.connection();
        Ok(redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec_async(&mut replica).await?)
    }
}

/// Waits until the replica has applied what the primary has written so far.
pub async fn caught_up(
    primary: &mut (impl ConnectionLike + Send),
    replica: &mut (impl ConnectionLike + Send),
) -> Result<(), LessonError> {
    let written = Replication::of(primary).await?.offset;
    let begun = Instant::now();
    loop {
        let Replication { offset, linked, .. } = Replication::of(replica).await?;
        if linked && offset >= written {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            let why = format!(
                "It has {offset} of {written} bytes of the primary's writes after {seconds} seconds."
            );
            return Err(Failure::new(Class::Timeout, "The replica does not catch up.", why).into());
        }
        sleep(POLL).await;
    }
}

/// An error of a part of a lesson, as a failure of a command.
pub(crate) fn explained(error: LessonError, target: &Target) -> Failure {
    error.explain(target, "A check failed.")
}

fn no_pair(error: &impl ToString) -> Failure {
    let text = error.to_string();
    let mut lines = text.lines();
    let why = lines.next().unwrap_or_default();
    let failure = Failure::new(Class::NoServer, "No private primary and replica could be started.", why);
    lines.map(str::trim).filter(|line| !line.ends_with(':')).fold(failure, Failure::try_next)
}
