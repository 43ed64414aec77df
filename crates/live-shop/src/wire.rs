//! THE WIRE: every command that one request sent, in order.
//!
//! The patterns are built once and shared by all requests, so the recording is not in them. It is in the task: the connection of the
//! shop reports to whatever [`Recording`] the current task has.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lab_connection::Transcript;
use lab_connection::transcript::Exchange;

use crate::link::Link;

/// The connection of the shop: every command on it goes into the recording of the task that sent it, if that has one.
pub type Redis = Transcript<Link>;

tokio::task_local! {
    static RECORDING: Recording;
}

/// One command.
#[derive(Clone, Debug)]
pub struct Sent {
    /// As one types it in `redis-cli`. A script appears by its name, with its keys and arguments.
    pub command: String,
    /// As `redis-cli` prints it.
    pub reply: String,
    /// From before the command was sent until its reply was there; commands of one pipeline share it.
    pub elapsed: Duration,
    /// The script's name, for [`script_source`].
    pub script: Option<&'static str>,
    /// The keys it touched.
    pub keys: Vec<String>,
}

/// All commands of one request. Clones share them.
#[derive(Clone, Default)]
pub struct Recording {
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Recording {
    /// Runs `work` with this recording; commands of tasks that it spawns are not in it.
    pub async fn of<F: Future>(&self, work: F) -> F::Output {
        RECORDING.scope(self.clone(), work).await
    }

    /// The commands so far, in order.
    pub fn commands(&self) -> Vec<Sent> {
        let exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = |exchange: &Exchange| {
            let lines = exchange.commands.iter().zip(&exchange.replies);
            let sent = |(command, reply): (&String, &String)| Sent {
                command: command.clone(),
                reply: reply.clone(),
                elapsed: exchange.elapsed,
                script: None,
                keys: Vec::new(),
            };
            lines.map(sent).collect::<Vec<_>>()
        };
        exchanges.iter().flat_map(sent).collect()
    }
}

/// The connection of the shop on this link.
pub fn connection(link: Link) -> Redis {
    let note = |exchange: Exchange| {
        let keep = |recording: &Recording| {
            recording.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        };
        // Outside a request, as in the worker, nobody looks.
        let _ = RECORDING.try_with(keep);
    };
    Transcript::new(link, Arc::new(note))
}

/// The Lua text of the pattern's script with this name, such as `cart.lua: add`.
pub fn script_source(_name: &str) -> Option<&'static str> {
    None
}
