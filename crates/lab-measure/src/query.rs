//! Nine questions about users, and several approaches to each. The lesson `query` times them.
//!
//! In reading order: [`users`], and the right answers; [`approaches`], and in [`search`] those that ask the search module;
//! `questions`, which approaches each question has, and what they need of a server; `latency`, how long an answer takes.

pub mod approaches;
mod latency;
mod questions;
pub mod search;
pub mod users;

use lab_connection::{Connection, Transcript};
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};

pub use self::latency::{Latency, TimingPlan, measure};
pub use self::questions::{Answer, QueryApproach, Question, ServerFeatures, prepare};
pub use self::users::{UserSalary, Users};

/// The one type of connection that the approaches take, so that each is compiled once, and here.
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
