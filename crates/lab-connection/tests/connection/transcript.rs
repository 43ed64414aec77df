//! The transcript: what is recorded, and how it is shown.

mod exchange;
mod live;
mod quoting;
mod redis_cli;

use std::sync::{Arc, Mutex};

use lab_connection::transcript::{Exchange, Transcript};

type Recorded = Arc<Mutex<Vec<Exchange>>>;

/// The connection, and what its listener gets.
fn recorded<C>(connection: C) -> (Transcript<C>, Recorded) {
    let recorded = Recorded::default();
    let sink = Arc::clone(&recorded);
    (Transcript::new(connection, Arc::new(move |exchange| sink.lock().unwrap().push(exchange))), recorded)
}
