//! Waits until a server answers, and notices at once when it never will. Waits until a group is ready.

use std::thread;
use std::time::{Duration, Instant};

use redis::{ErrorKind, RedisResult, ServerErrorKind};

use crate::Error;
use crate::keeper::Keeper;

/// How long a server or a group may take to become ready. A server takes about 20 ms. The time it takes to load data does not count.
pub(crate) const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between two questions to a server that is starting.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(3);

/// Waits until the server answers to `client`. If it ends instead, `explain` turns its output into the reason.
pub(crate) fn wait(
    keeper: &Keeper,
    client: &redis::Client,
    program: &str,
    explain: impl FnOnce(String) -> String,
) -> Result<(), Error> {
    let mut start = Instant::now();
    loop {
        if let Some(output) = keeper.ended_within(POLL_INTERVAL) {
            return Err(Error::Died { program: program.to_owned(), output: explain(output) });
        }
        let last = match ping(client) {
            Answer::Ready => return Ok(()),
            Answer::Loading => {
                start = Instant::now();
                continue;
            }
            Answer::Nothing(error) => error.to_string(),
        };
        if start.elapsed() > READY_TIMEOUT {
            return Err(Error::NotReady { what: program.to_owned(), after: READY_TIMEOUT, last });
        }
    }
}

/// How a server that is starting answers PING.
enum Answer {
    Ready,
    Loading,
    Nothing(redis::RedisError),
}

fn ping(client: &redis::Client) -> Answer {
    let answer = client.get_connection_with_timeout(READY_TIMEOUT).and_then(|mut connection| {
        connection.set_read_timeout(Some(READY_TIMEOUT))?;
        redis::cmd("PING").exec(&mut connection)
    });
    match answer {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading) => Answer::Loading,
        Err(error) if error.is_io_error() => Answer::Nothing(error),
        // An error reply is an answer too. The configuration may have turned the user off.
        Ok(()) | Err(_) => Answer::Ready,
    }
}

/// What a server said, and whether it is what we wait for.
pub(crate) struct Observation {
    pub(crate) done: bool,
    pub(crate) last: String,
}

/// Asks until it is. An error of the server ends the wait: `asking` says what failed, and `what` says what did not become ready.
pub(crate) fn wait_for(
    what: &str,
    asking: &str,
    mut observe: impl FnMut() -> RedisResult<Observation>,
) -> Result<(), Error> {
    let start = Instant::now();
    loop {
        let Observation { done, last } = observe().map_err(Error::redis(asking))?;
        if done {
            return Ok(());
        }
        if start.elapsed() > READY_TIMEOUT {
            return Err(Error::NotReady { what: what.to_owned(), after: READY_TIMEOUT, last });
        }
        thread::sleep(POLL_INTERVAL);
    }
}
