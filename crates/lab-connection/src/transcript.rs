//! Every command as you type it in `redis-cli`, with its reply as `redis-cli` prints it.
//!
//! A [`Transcript`] wraps a connection and formats the bytes that pass through it, so what is shown can't differ from what was sent. It
//! differs from `redis-cli` in three ways, on purpose:
//!
//! - Control characters are shown as `\xHH`, even where `redis-cli` prints them raw (see [`for_terminal`]).
//! - Long values, replies, and pipelines are cut, and say how much is missing.
//! - Passwords are shown as `(redacted)`.
//!
//! ```
//! use std::sync::Arc;
//! use lab_connection::transcript::{Exchange, Transcript};
//!
//! async fn greet(connection: redis::aio::MultiplexedConnection) -> redis::RedisResult<()> {
//!     let show = |exchange: Exchange| {
//!         for (command, reply) in exchange.commands.iter().zip(&exchange.replies) {
//!             println!("> {command}\n{reply}");
//!         }
//!     };
//!     let mut connection = Transcript::new(connection, Arc::new(show));
//!     // Prints `> SET greeting "hello, world"` and `OK`.
//!     redis::cmd("SET").arg("greeting").arg("hello, world").exec_async(&mut connection).await
//! }
//! ```

mod command;
mod printable;
mod quote;
mod recording;
mod reply;
mod secret;
mod wire;
pub mod words;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};

pub use self::command::command_line;
pub use self::printable::for_terminal;
use self::recording::{Recording, Request};
pub use self::reply::{long_reply_text, reply_text, whole_reply_text};
pub use self::secret::{holds_a_secret, without_secrets};

/// How many characters of one argument, or of one string in a reply, are shown.
pub const SHOWN_CHARS: usize = 120;
/// How many characters of an error are shown: in practice, all of them.
pub const SHOWN_ERROR_CHARS: usize = 1_000;
/// How many arguments of one command are shown, its name included.
pub const SHOWN_ARGUMENTS: usize = 20;
/// How many items of one array, set or map are shown.
pub const SHOWN_ITEMS: usize = 20;
/// How many items of one reply are shown, at all depths together.
pub const SHOWN_ITEMS_IN_ALL: usize = 100;
/// How many commands of one pipeline or transaction are shown.
pub const SHOWN_COMMANDS: usize = 6;

/// How commands went to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One command.
    Command,
    /// Several commands sent without waiting for the replies in between. Other clients' commands may run between
    /// them: a pipeline is not a transaction.
    Pipeline,
    /// Several commands between MULTI and EXEC, sent as one pipeline.
    Transaction,
}

/// Commands that were sent together, and their replies. All texts are safe to print, and only `\n` separates lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// How the commands went to the server.
    pub shape: Shape,
    /// The commands in order, as one types them in `redis-cli`, MULTI and EXEC included. Beyond
    /// [`SHOWN_COMMANDS`], one entry such as `… 94 more commands` stands for the rest.
    pub commands: Vec<String>,
    /// One reply for each entry of `commands`, as `redis-cli` prints it; or a single one that stands for all when
    /// no reply came.
    pub replies: Vec<String>,
    /// How many commands were sent, those not listed included.
    pub command_count: usize,
    /// From before the request was handed to the connection until the whole reply was there.
    pub elapsed: Duration,
    /// Bytes of the request as RESP, exactly.
    pub bytes_sent: usize,
    /// Bytes of the reply as RESP. Computed from the parsed reply: a nil counts as RESP2's five bytes, and a
    /// RESP3 double as its shortest notation. Zero when no reply came.
    pub bytes_received: usize,
    /// How often the caller waited for the server: 1, also for a whole pipeline; 0 when no reply was asked for. A
    /// cluster connection that follows a redirection waits once more than it tells.
    pub round_trips: usize,
}

/// Takes note of exchanges. It is called once for each, on the task that sent it, before the caller gets the reply, so it should be quick.
pub trait Listener: Send + Sync {
    /// Takes note of one exchange.
    fn on_exchange(&self, exchange: Exchange);
}

impl<F: Fn(Exchange) + Send + Sync> Listener for F {
    fn on_exchange(&self, exchange: Exchange) {
        self(exchange);
    }
}

/// A connection that reports every exchange to a [`Listener`]. Clones share the listener.
#[derive(Clone)]
pub struct Transcript<C> {
    connection: C,
    listener: Arc<dyn Listener>,
}

impl<C> Transcript<C> {
    /// Wraps `connection`. `listener` gets all that goes through this value.
    pub fn new(connection: C, listener: Arc<dyn Listener>) -> Self {
        Self { connection, listener }
    }

    /// The connection itself, for commands that are not recorded.
    pub fn untraced(self) -> C {
        self.connection
    }

    /// The connection itself, by reference.
    pub fn inner(&self) -> &C {
        &self.connection
    }
}

impl<C: ConnectionLike + Send> ConnectionLike for Transcript<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let recording = Recording::start(self.listener.as_ref(), Request::Command(cmd));
            let answer = self.connection.req_packed_command(cmd).await;
            recording.finish(answer.as_ref().map(std::slice::from_ref));
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let recording = Recording::start(self.listener.as_ref(), Request::of(pipeline));
            let answer = self.connection.req_packed_commands(pipeline, offset, count).await;
            recording.finish(answer.as_ref().map(Vec::as_slice));
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}
