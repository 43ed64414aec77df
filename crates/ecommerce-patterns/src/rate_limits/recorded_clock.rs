//! A connection on which a limiter's script runs at the time of a recorded request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use patterns::script::Script;
use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, Pipeline, RedisFuture, Value};

/// What stands before the script.
const CLOCK: &str = include_str!("recorded_clock.lua");

/// The script itself stays as it is.
#[derive(Clone)]
pub(super) struct RecordedClock<C> {
    connection: C,
    script: &'static Script,
    now_us: Arc<AtomicU64>,
}

impl<C> RecordedClock<C> {
    pub(super) fn new(connection: C, script: &'static Script) -> Self {
        Self { connection, script, now_us: Arc::default() }
    }

    /// The time of the next requests, since 1970.
    pub(super) fn set(&self, now: Duration) {
        // Until the year 586,000, it fits.
        self.now_us.store(u64::try_from(now.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// EVALSHA of the script, as EVAL of the clock and the script.
    fn with_clock(&self, cmd: &Cmd) -> Cmd {
        let mut words = cmd.args_iter();
        if words.next() != Some(Arg::Simple(b"EVALSHA"))
            || words.next() != Some(Arg::Simple(self.script.hash().as_bytes()))
        {
            return cmd.clone();
        }
        let mut eval = redis::cmd("EVAL");
        eval.arg(format!("{CLOCK}{}", self.script.source()));
        for word in words {
            if let Arg::Simple(word) = word {
                eval.arg(word);
            }
        }
        eval.arg(self.now_us.load(Ordering::Relaxed));
        eval
    }
}

impl<C: ConnectionLike + Send + Sync> ConnectionLike for RecordedClock<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let cmd = self.with_clock(cmd);
            self.connection.req_packed_command(&cmd).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}
