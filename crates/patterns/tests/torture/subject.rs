//! What a pattern says of itself so that it can be tortured.

use std::fmt;

use futures_util::future::BoxFuture;
use lab_testing::TestConnection;

/// What is done to the server or the client while the pattern works.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// 50 clients at once, and nothing else.
    ManyClients,
    /// The user may not run this command, in the middle of the work. The others of all scripts follow in turn.
    CommandRefused(String),
    /// This key is deleted in the middle of the work. The others follow in turn.
    KeyLost(String),
    /// The last acknowledged writes are lost: a replica that was cut off earlier is promoted.
    WritesLost,
    /// The server's clock is set back an hour.
    ClockBack,
    /// The server's clock is set forward a day.
    ClockForward,
    /// SCRIPT FLUSH, again and again.
    ScriptsFlushed,
    /// Each command is sent twice, and the second reply counts.
    SentTwice,
    /// Each call's future is dropped after it was polled a few times, and the call is made again.
    Canceled,
    /// The connection is cut after a command was sent; the call is made again.
    ConnectionCut,
    /// The protocol is RESP3 instead of RESP2.
    Resp3,
    /// The slots of a cluster move while the work goes on.
    SlotsMove,
}

/// What came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Every promise was kept.
    Held,
    /// What the pattern's contract says happened, and no more: the sentence of the contract.
    Contract(&'static str),
}

/// Why a call ended without an outcome of business. The call is made again when the fault is over.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A pattern at work. Each fault gets a new one, behind a prefix that nobody else uses. It remembers what was acknowledged, in a
/// `Mutex`, and counts it against the data in the end.
pub trait Subject: Send + Sync {
    /// Puts the data in place that the work needs. Nothing goes wrong yet.
    fn set_up(&self, connection: TestConnection) -> BoxFuture<'_, Result<(), Failure>>;

    /// What this server lacks for the pattern, known after [`set_up`](Self::set_up). Then the pattern is skipped.
    fn missing(&self) -> Option<&'static str> {
        None
    }

    /// Client `client` makes its call number `call`, and asserts nothing. The same two numbers again are a retry of the same
    /// call: it uses the same IDs. An outcome of business, such as "out of stock", is `Ok`.
    fn call(
        &self,
        connection: TestConnection,
        client: usize,
        call: usize,
    ) -> BoxFuture<'_, Result<(), Failure>>;

    /// Counts the invariant when all calls have ended with `Ok`, with a connection on which nothing goes wrong. An error is a
    /// violation: what was expected, and what was found. It also makes a few calls, so that a pattern that is stuck is found.
    fn check<'a>(
        &'a self,
        connection: TestConnection,
        fault: &'a Fault,
    ) -> BoxFuture<'a, Result<Verdict, String>>;
}

/// How a pattern is tortured.
pub struct Pattern {
    /// Its module.
    pub name: &'static str,
    /// Makes a [`Subject`] that works behind this prefix.
    pub subject: fn(prefix: &str) -> Box<dyn Subject>,
    /// The commands that it sends: those of its scripts are added by reading them.
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
        }
    }
}
