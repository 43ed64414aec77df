//! Why a load ended early. Whatever the reason, what was acknowledged stays, and the load can be resumed.

use std::time::Duration;

/// Why a load ended early.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A server could not be reached, at the start or for longer than the load was willing to wait.
    #[error("{address} cannot be reached ({why}); waited {} s", waited.as_secs())]
    Unreachable {
        /// Host and port, or the path of the socket.
        address: String,
        /// What the system or the server said.
        why: String,
        /// For how long it was tried.
        waited: Duration,
    },
    /// The server refused the login, or something else that every connection begins with.
    #[error("{address} refused the connection: {error}")]
    Refused {
        /// Host and port, or the path of the socket.
        address: String,
        /// The server's words.
        error: String,
    },
    /// The server answered a record's command with an error.
    #[error("the server refused {record}: {error}")]
    Rejected {
        /// The record: its key.
        record: String,
        /// The server's words.
        error: String,
    },
    /// The server answered a record's command with something else than the record's source expects.
    #[error("the server answered {record} with {reply}, which is not what was to be expected")]
    Unexpected {
        /// The record: its key.
        record: String,
        /// The beginning of the reply.
        reply: String,
    },
    /// What came back is not RESP.
    #[error("{address} does not speak the protocol of Redis")]
    Garbage {
        /// Host and port, or the path of the socket.
        address: String,
    },
    /// Somebody else wrote the key that only this load writes.
    #[error("{0}")]
    Disturbed(String),
    /// The caller asked to stop.
    #[error("stopped after {acknowledged} commands")]
    Stopped {
        /// Commands acknowledged without a gap.
        acknowledged: u64,
    },
    /// The system refused.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}
