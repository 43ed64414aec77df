//! Streams commands to Redis as fast as the server takes them, in constant memory.
//!
//! In reading order:
//!
//! 1. [`source`]: what is sent: commands made from their number.
//! 2. [`endpoint`]: where to: one server or a cluster, over TCP, TLS or a unix socket.
//! 3. [`loader`]: how to load. `run` is the stream: a bounded number of open commands, every reply checked, lost
//!    connections made again.
//! 4. [`journal`]: how far a load has come, so that it can go on after a crash.
//! 5. [`topology`]: which node of a cluster serves which slot; `node` and `link` are one of them and one of its
//!    connections, `setup` and `stream` make it, `reply` finds the end of an answer, `ledger` counts what is
//!    acknowledged.
//! 6. [`dump`]: values as the server stores them, for RESTORE.

pub mod dump;
pub mod endpoint;
pub mod error;
pub mod journal;
mod ledger;
mod link;
pub mod loader;
mod node;
mod reply;
mod run;
mod setup;
pub mod source;
mod stream;
pub mod topology;

pub use endpoint::{Address, Endpoint};
pub use error::LoadError;
pub use journal::Journal;
pub use loader::{Loaded, Loader, Progress};
pub use source::{Repetition, Source};
