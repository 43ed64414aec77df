//! Counting round trips, for tables that have a column of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lab_connection::transcript::{Exchange, Listener};
use lab_connection::{Connection, Transcript};

/// Adds up the round trips of the connections made with it.
#[derive(Clone, Debug, Default)]
pub struct RoundTrips(Arc<AtomicUsize>);

impl RoundTrips {
    /// The same connection, its round trips counted.
    pub fn counted(&self, connection: Connection) -> Transcript<Connection> {
        Transcript::new(connection, Arc::new(self.clone()))
    }

    /// How many there were since this was asked last.
    pub fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Listener for RoundTrips {
    fn on_exchange(&self, exchange: Exchange) {
        self.0.fetch_add(exchange.round_trips, Ordering::Relaxed);
    }
}
