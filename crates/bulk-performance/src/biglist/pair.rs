//! A private primary and its replica: Server A writes to the primary, Server B reads from the replica. And how far both are.

use std::time::Instant;

use lab_connection::address::{PrivateServer, no_server};
use lab_connection::connection::unguarded;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::{LessonError, Terminal};
use lab_server::{Choice, Replicated, Server};
use redis::aio::ConnectionLike;
use redis::{RedisResult, Value};
use tokio::task::spawn_blocking;
use tokio::time::{Duration, sleep};

/// How long a replica may take to catch up.
pub const CATCH_UP: Duration = Duration::from_secs(10);
/// Between two probes of a replica.
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
    /// Whether these flags leave the choice of the server to us, and it may be a pair.
    pub fn is_wanted(args: &TargetArgs) -> bool {
        !args.cluster && !args.names_a_server()
    }

    /// Starts both, of the release that the flags or the environment name.
    pub async fn start(args: &TargetArgs) -> Result<Self, Failure> {
        let choice = Choice::from_flags(args.server, args.server_program.clone(), args.no_fetch)
            .map_err(|error| no_server(&error))?;
        let pair = Self::start_with(choice, args).await?;
        let info = pair.a.info();
        let (a, b) = (pair.a.address(), pair.b.address());
        Terminal.note(&format!("Server A: a primary, {} {} at {a}", info.name, info.version));
        Terminal.note(&format!("Server B: its replica at {b}; both are private and gone when this ends"));
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
        // Starting blocks, so it happens on another thread, and Ctrl-C still works.
        let starting = spawn_blocking(move || Replicated::start_with(Server::builder().choice(choice), 1));
        let stopped = |error| Failure::new(Class::Other, "No server was started.", format!("{error}"));
        let group = starting.await.map_err(stopped)?.map_err(|error| no_server(&error))?;
        let Some(replica) = group.replicas.first() else {
            return Err(Failure::new(Class::NoServer, "No replica was started.", "The primary has none."));
        };
        let at = |url| TargetArgs { prefix: args.prefix.clone(), db: args.db, ..TargetArgs::at(url) };
        let a = at(group.primary.url()).open().await?;
        // The primary has the marker of our data now. The replica takes no writes, so the marker has to arrive there.
        let mut follower = unguarded(&replica.client()).await.map_err(|error| a.explain(&error))?;
        caught_up(&mut a.connection(), &mut follower).await.map_err(|error| explained(error, &a))?;
        let b = at(replica.url()).open().await?;
        Ok(Self { a, b, primary_port: group.primary.port(), _group: group })
    }

    /// Cuts the replica off, as a broken network does: it still answers with what it has.
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
        if begun.elapsed() > CATCH_UP {
            let seconds = CATCH_UP.as_secs();
            let why = format!(
                "It has {offset} of {written} bytes of the primary's writes after {seconds} seconds."
            );
            return Err(Failure::new(Class::Timeout, "The replica does not catch up.", why).into());
        }
        sleep(POLL).await;
    }
}

/// What a server reports about its replication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replication {
    /// Replicas that are connected to it.
    pub replicas: u64,
    /// Bytes of the stream of writes: written, on a primary; received and applied, on a replica.
    pub offset: u64,
    /// For a replica: whether it is connected to its primary.
    pub linked: bool,
}

impl Replication {
    /// Asks with INFO. A server that hides it seems to have no replicas.
    pub async fn of(connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Self> {
        let reply: Value = redis::cmd("INFO").arg("replication").query_async(connection).await?;
        Ok(redis::from_redis_value::<String>(reply).map(|info| Self::read(&info)).unwrap_or_default())
    }

    fn read(info: &str) -> Self {
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .unwrap_or_default()
                .trim()
        };
        let number = |name: &str| field(name).parse::<u64>().ok();
        Self {
            replicas: number("connected_slaves").unwrap_or_default(),
            // A replica has both: the offset that it applied, and the offset that it would pass on.
            offset: number("slave_repl_offset").or_else(|| number("master_repl_offset")).unwrap_or_default(),
            linked: field("master_link_status") == "up",
        }
    }
}

/// WAIT: how many replicas have all writes that were made **on this connection**, after at most `retry`.
pub async fn wait(
    replicas: u64,
    retry: Duration,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<u64> {
    let milliseconds = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
    redis::cmd("WAIT").arg(replicas).arg(milliseconds).query_async(connection).await
}

/// An error of a part of a lesson, as a failure of a command.
pub(crate) fn explained(error: LessonError, target: &Target) -> Failure {
    error.explain(target, "A check failed.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_replica_is_what_it_applied() {
        let primary = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\nmaster_repl_offset:120\r\n";
        assert_eq!(Replication::read(primary), Replication { replicas: 2, offset: 120, linked: false });
        let replica = "role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:70\r\nconnected_slaves:0\r\nmaster_repl_offset:90\r\n";
        assert_eq!(Replication::read(replica), Replication { replicas: 0, offset: 70, linked: true });
        assert_eq!(Replication::read(""), Replication::default());
    }
}
