//! The one type of connection that the approaches take, so that each is compiled once, and here.

use lab_connection::{Connection, Transcript};
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};

/// A connection, with or without a transcript of what is sent.
#[derive(Clone)]
pub enum Redis {
    /// For timing.
    Plain(Connection),
    /// For the screen, and to count what is sent.
    Traced(Transcript<Connection>),
}

impl ConnectionLike for Redis {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Plain(connection) => connection.req_packed_command(command),
            Self::Traced(transcript) => transcript.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Plain(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Traced(transcript) => transcript.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Plain(connection) => connection.get_db(),
            Self::Traced(transcript) => transcript.get_db(),
        }
    }
}
