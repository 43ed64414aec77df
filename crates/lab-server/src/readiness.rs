//! Knowing when a server answers, and noticing at once when it never will.

use std::time::{Duration, Instant};

use redis::{ErrorKind, ServerErrorKind};

use crate::Error;
use crate::keeper::Keeper;

/// How long a server or a group may take; a server takes some 20 ms. Loading its data does not count.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How often one that is starting is asked.
pub(crate) const POLL: Duration = Duration::from_millis(3);

/// Waits until the server answers to `client`. If it ends instead, `words` makes an explanation of its output.
pub(crate) fn wait(
    keeper: &Keeper,
    client: &redis::Client,
    program: &str,
    words: impl FnOnce(String) -> String,
) -> Result<(), Error> {
    let mut start = Instant::now();
    loop {
        if let Some(output) = keeper.ended_within(POLL) {
            return Err(Error::Died { program: program.to_owned(), output: words(output) });
        }
        let last = match ping(client) {
            Answer::Ready => return Ok(()),
            Answer::Loading => {
                start = Instant::now();
                continue;
            }
            Answer::Nothing(error) => error.to_string(),
        };
        if start.elapsed() > PATIENCE {
            return Err(Error::NotReady { what: program.to_owned(), after: PATIENCE, last });
        }
    }
}

/// What a server that is starting says to a PING.
enum Answer {
    Ready,
    Loading,
    Nothing(redis::RedisError),
}

fn ping(client: &redis::Client) -> Answer {
    let answer = client.get_connection_with_timeout(PATIENCE).and_then(|mut connection| {
        connection.set_read_timeout(Some(PATIENCE))?;
        redis::cmd("PING").exec(&mut connection)
    });
    match answer {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading) => Answer::Loading,
        Err(error) if error.is_io_error() => Answer::Nothing(error),
        // A refusal, to a user whom the configuration switched off perhaps, is an answer too.
        Ok(()) | Err(_) => Answer::Ready,
    }
}
