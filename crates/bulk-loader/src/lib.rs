//! Streams commands to Redis as fast as the server takes them, in constant memory.
//!
//! In reading order:
//!
//! 1. [`source`]: what to send. A source makes each command from its number.
//! 2. [`endpoint`]: where to send it: one server or a cluster, over TCP, TLS, or a Unix socket.
//! 3. [`loader`]: the settings and the result. `run` is the load itself: it limits the commands in flight, checks every
//!    reply, and reconnects.
//! 4. [`journal`]: how far a load got, stored on the servers, so that it can resume after a crash.
//! 5. [`topology`]: which node of a cluster serves which slot. A `node` has `connection`s. A `handshake` opens each one
//!    over a `socket`. `reply` finds the end of a reply, and `acknowledged` tracks which commands succeeded.
//! 6. [`dump`]: values in the server's own format, for RESTORE.

mod acknowledged;
mod connection;
pub mod dump;
pub mod endpoint;
pub mod error;
mod handshake;
pub mod journal;
pub mod loader;
mod node;
mod reply;
mod run;
mod slot;
mod socket;
pub mod source;
pub mod topology;

pub use endpoint::{Address, Endpoint};
pub use error::LoadError;
pub use journal::Journal;
pub use loader::{Loaded, Loader, Progress};
pub use source::{Repetition, Source};
