//! Why a load ended early. In every case, acknowledged records stay, and the load can be resumed.

use std::time::Duration;

/// Why a load ended early.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A server was unreachable or silent for too long.
    #[error("{address} cannot be reached ({why}); waited {} s", waited.as_secs())]
    Unreachable {
        /// Host and port, or the path of the socket.
        address: String,
        /// What the system or the server said.
        why: String,
        /// How long the load tried.
        waited: Duration,
    },
    /// The server refused the login, or another command of the handshake.
    #[error("{address} refused the connection: {error}")]
    Refused {
        /// Host and port, or the path of the socket.
        address: String,
        /// The server's error.
        error: String,
    },
    /// The server answered a record's command with an error.
    #[error("the server refused {record}: {error}")]
    Rejected {
        /// The record's key.
        record: String,
        /// The server's error.
        error: String,
    },
    /// The server's reply is no error, but the source does not accept it.
    #[error("the server answered {record} with an unexpected reply: {reply}")]
    Unexpected {
        /// The record's key.
        record: String,
        /// The start of the reply.
        reply: String,
    },
    /// What came back is not RESP.
    #[error("{address} does not speak the Redis protocol")]
    NotRedis {
        /// Host and port, or the path of the socket.
        address: String,
    },
    /// Another client wrote to the key that this load counts.
    #[error("{0}")]
    Conflict(String),
    /// The caller asked to stop.
    #[error("stopped after {acknowledged} commands")]
    Stopped {
        /// Commands acknowledged without a gap.
        acknowledged: u64,
    },
    /// A system call failed.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}
