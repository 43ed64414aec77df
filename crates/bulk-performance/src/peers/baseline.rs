//! A server that reads the same records from an RDB file when it starts: no client, no network, no commands. What is left is
//! what storing them costs.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lab_connection::Connection;
use lab_connection::address::PrivateServer;
use lab_server::{Choice, Server};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult};
use tokio::task::spawn_blocking;

use crate::peers::fixtures::Fixtures;
use crate::stored::{self, Content};

/// What the server writes into its log when it has read the file.
const LOADED: &str = "DB loaded from disk: ";
/// It writes milliseconds, none for a small file.
const SMALLEST_SECONDS: f64 = 0.001;

/// A private server beside the one of the comparison; between its turns it does not run, and takes no memory.
#[derive(Clone, Debug)]
pub struct Baseline {
    server: Arc<Mutex<Server>>,
}

impl Baseline {
    /// Starts a server of the same program, fills it and saves.
    pub(crate) async fn prepare(fixtures: &Fixtures) -> Result<Self, String> {
        let choice = match fixtures.target.private() {
            Some(PrivateServer::Single(server)) => {
                Choice { program: Some(server.program().path().to_owned()), ..Choice::default() }
            }
            // Nobody who compares on a server of their own asked for a download.
            _ => Choice { fetch: false, ..Choice::from_env().map_err(|error| error.to_string())? },
        };
        let server = blocking(move || Server::builder().choice(choice).start()).await?;
        let baseline = Self { server: Arc::new(Mutex::new(server)) };
        let filled = async {
            let mut connection = baseline.connect().await?;
            stored::write_users(&fixtures.keys, &fixtures.people, fixtures.records, &mut connection).await?;
            redis::cmd("SAVE").exec_async(&mut connection).await
        };
        filled.await.map_err(|error: redis::RedisError| error.to_string())?;
        baseline.kill().await;
        Ok(baseline)
    }

    /// Starts the server over its file. Returns the seconds that reading took, by the server's log; where that does
    /// not tell, by the clock until it answered.
    pub(crate) async fn load(&self) -> Result<f64, String> {
        let server = Arc::clone(&self.server);
        blocking(move || {
            let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
            let started = Instant::now();
            server.restart()?;
            let until_it_answered = started.elapsed().as_secs_f64();
            let log = fs::read_to_string(server.dir().join("server.log")).unwrap_or_default();
            Ok(seconds_in(&log).unwrap_or(until_it_answered))
        })
        .await
    }

    /// What it read.
    pub(crate) async fn content(&self, fixtures: &Fixtures) -> RedisResult<Content> {
        let connection = Connection::Single(self.connect().await?);
        Content::of_users(&fixtures.keys, fixtures.records, &connection).await
    }

    /// Stops it as a power cut would; the file stays.
    pub(crate) async fn kill(&self) {
        let server = Arc::clone(&self.server);
        let _ = spawn_blocking(move || server.lock().unwrap_or_else(PoisonError::into_inner).kill()).await;
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let client = self.server.lock().unwrap_or_else(PoisonError::into_inner).client();
        // SAVE answers when all is written.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        client.get_multiplexed_async_connection_with_config(&config).await
    }
}

fn seconds_in(log: &str) -> Option<f64> {
    let words = log.lines().rev().find_map(|line| line.split_once(LOADED))?.1;
    let seconds: f64 = words.split_whitespace().next()?.parse().ok()?;
    Some(seconds.max(SMALLEST_SECONDS))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, lab_server::Error> + Send + 'static,
) -> Result<T, String> {
    let done = spawn_blocking(work).await.map_err(|error| error.to_string())?;
    // The first line is why; the others are ways to get a server.
    done.map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_how_long_reading_took() {
        let log = "1:M 01 Jan 2026 00:00:00.000 * Done loading RDB, keys loaded: 1000, keys expired: 0.\n\
                   1:M 01 Jan 2026 00:00:00.000 * DB loaded from disk: 0.125 seconds\n";
        assert_eq!(seconds_in(log), Some(0.125));
        assert_eq!(seconds_in("* DB loaded from disk: 0.000 seconds"), Some(0.001));
        assert_eq!(seconds_in("Ready to accept connections\n"), None);
    }
}
