//! Loading, querying and storing a lot: every approach is checked to leave the same data before it is timed.
//!
//! In reading order:
//!
//! 1. [`people`]: the data set, users made from their number; [`keys`] spells every key, [`stored`] writes and reads them.
//! 2. [`insert`]: the ways to write them. [`load`]: the fastest of them as a tool, over [`bulk_loader`].
//! 3. [`peers`]: the loader beside `redis-cli --pipe`, `redis-benchmark`, redis-rs and redis-py.
//! 4. [`query`]: the ways to find them. [`concurrency`]: how many questions at once.
//! 5. [`memory`]: what they take.
//! 6. [`biglist`]: Server A writes a list, Server B reads it.
//!
//! [`arguments`] is the command line, [`registry`] lists the lessons.

pub mod arguments;
pub mod biglist;
pub mod concurrency;
pub mod insert;
pub mod load;
pub mod memory;
pub mod peers;
pub mod query;
pub mod registry;

use lab_connection::Failure;
pub use lab_measure::{keys, people, stored};

use crate::arguments::{Arguments, Command};
pub use crate::registry::BulkLesson;

/// Runs one command.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let output = arguments.output();
    let Arguments { command, target, .. } = arguments;
    match command {
        None | Some(Command::All) => registry::teach_all(&target, output).await,
        Some(Command::Insert(options)) => insert::command(&target, options, output).await,
        Some(Command::Load(options)) => load::command(&target, options, output).await,
        Some(Command::Peers(options)) => peers::command(&target, options, output).await,
        Some(Command::Query(options)) => query::command(&target, options, output).await,
        Some(Command::Concurrency(options)) => concurrency::command(&target, options, output).await,
        Some(Command::Memory(options)) => memory::command(&target, options, output).await,
        Some(Command::Biglist(options)) => biglist::command(&target, options, output).await,
    }
}
