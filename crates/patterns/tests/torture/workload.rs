//! What the torture test needs from each pattern: a workload, and the check of its promises.

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, ready};
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use lab_testing::TestConnection;

/// What goes wrong while the workload runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// 50 clients at once, and nothing else.
    ManyClients,
    /// In the middle of the run, the user loses the right to run this command. Each command of each script gets its turn.
    CommandRefused(String),
    /// This key is deleted in the middle of the run. Each key gets its turn.
    KeyLost(String),
    /// The last acknowledged writes are lost: a replica that was cut off earlier is promoted.
    WritesLost,
    /// The server's clock is set back an hour.
    ClockBack,
    /// The server's clock is set forward a day.
    ClockForward,
    /// SCRIPT FLUSH runs again and again.
    ScriptsFlushed,
    /// Each command is sent twice, and the second reply counts.
    SentTwice,
    /// Each call's future is dropped after a few polls, and the call is made again.
    Canceled,
    /// The connection is cut after a command is sent, and the call is made again.
    ConnectionCut,
    /// The protocol is RESP3 instead of RESP2.
    Resp3,
    /// The slots of a cluster move during the run.
    SlotsMove,
    /// The user may do what acl.txt says for the pattern, and no more. Then each of these rights is taken away in turn.
    SmallestUser,
}

/// The outcome of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Every promise was kept.
    Held,
    /// What the pattern's docs say about this fault happened, and no more. It quotes the docs.
    Contract(&'static str),
}

/// Why a call failed. The call is made again when the fault is over.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The calls that were answered, by client and number.
pub type Answered = Mutex<BTreeSet<(usize, usize)>>;

/// A pattern's workload. Each fault gets a new one with its own prefix. It remembers what was acknowledged, in a `Mutex`, and
/// compares that with the data at the end.
pub trait Workload: Send + Sync {
    /// Writes the data that the workload needs. Nothing goes wrong yet.
    fn set_up(&self, _: TestConnection) -> impl Future<Output = Result<(), Failure>> + Send {
        ready(Ok(()))
    }

    /// What this server lacks for the pattern, after [`set_up`](Self::set_up). Then the pattern is skipped.
    fn missing(&self) -> Option<&'static str> {
        None
    }

    /// Client `client` makes its call number `call`, and asserts nothing. The same two numbers are a retry of the same call, with
    /// the same IDs. A refusal such as "out of stock" is `Ok`.
    fn call(
        &self,
        connection: TestConnection,
        client: usize,
        call: usize,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Checks the invariant after all calls have ended with `Ok`, on a connection without faults. An error is a violation: what was
    /// expected, and what was found. It also makes a few calls, to find a pattern that is stuck.
    fn check(
        &self,
        connection: TestConnection,
        fault: &Fault,
    ) -> impl Future<Output = Result<Verdict, Failure>> + Send;
}

/// A [`Workload`] of any type, with boxed futures.
pub trait AnyWorkload: Send + Sync {
    fn set_up(&self, connection: TestConnection) -> BoxFuture<'_, Result<(), Failure>>;
    fn missing(&self) -> Option<&'static str>;
    fn call(
        &self,
        connection: TestConnection,
        client: usize,
        call: usize,
    ) -> BoxFuture<'_, Result<(), Failure>>;
    fn check<'a>(
        &'a self,
        connection: TestConnection,
        fault: &'a Fault,
    ) -> BoxFuture<'a, Result<Verdict, Failure>>;
}

impl<W: Workload> AnyWorkload for W {
    fn set_up(&self, connection: TestConnection) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(Workload::set_up(self, connection))
    }

    fn missing(&self) -> Option<&'static str> {
        Workload::missing(self)
    }

    fn call(
        &self,
        connection: TestConnection,
        client: usize,
        call: usize,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(Workload::call(self, connection, client, call))
    }

    fn check<'a>(
        &'a self,
        connection: TestConnection,
        fault: &'a Fault,
    ) -> BoxFuture<'a, Result<Verdict, Failure>> {
        Box::pin(Workload::check(self, connection, fault))
    }
}

/// A pattern in the torture test.
pub struct Pattern {
    /// Its module.
    pub name: &'static str,
    /// Makes a [`Workload`] with this prefix.
    pub workload: fn(prefix: &str) -> Box<dyn AnyWorkload>,
    /// The commands that it sends itself. Those of its scripts are read from their sources.
    pub plain_commands: &'static [&'static str],
    /// The sources of its scripts.
    pub scripts: fn() -> Vec<(&'static str, &'static patterns::script::Script)>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManyClients => write!(f, "50 clients"),
            Self::CommandRefused(command) => write!(f, "{command} refused"),
            Self::KeyLost(key) => write!(f, "lost {key}"),
            Self::WritesLost => write!(f, "last writes lost"),
            Self::ClockBack => write!(f, "clock back 1 h"),
            Self::ClockForward => write!(f, "clock forward 1 d"),
            Self::ScriptsFlushed => write!(f, "scripts flushed"),
            Self::SentTwice => write!(f, "sent twice"),
            Self::Canceled => write!(f, "caller canceled"),
            Self::ConnectionCut => write!(f, "connection cut"),
            Self::Resp3 => write!(f, "RESP3"),
            Self::SlotsMove => write!(f, "slots move"),
            Self::SmallestUser => write!(f, "smallest user"),
        }
    }
}
