//! What a call costs the server, by the server's own clock.

use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;

/// Rounds of each side, interleaved; the median counts.
const ROUNDS: usize = 9;
const CALLS: usize = 1_000;

/// One side of a comparison.
pub struct Side<'a> {
    pub name: &'a str,
    /// The commands it sends itself; what a script calls is part of its EVALSHA.
    pub commands: &'a [&'a str],
    /// Makes call number `n` and panics if the answer is wrong.
    pub call: Box<dyn Fn(usize) -> BoxFuture<'a, ()> + 'a>,
}

impl<'a> Side<'a> {
    pub fn new<F: Future<Output = ()> + Send + 'a>(
        name: &'a str,
        commands: &'a [&'a str],
        call: impl Fn(usize) -> F + 'a,
    ) -> Self {
        Self { name, commands, call: Box::new(move |n| Box::pin(call(n))) }
    }

    /// A side that calls one script.
    pub fn script<F: Future<Output = ()> + Send + 'a>(name: &'a str, call: impl Fn(usize) -> F + 'a) -> Self {
        Self::new(name, &["evalsha"], call)
    }
}

/// A row of the table.
pub struct Row {
    pub what: String,
    /// Microseconds of the server for each call of ours, and of the peer.
    pub ours: f64,
    pub peer: f64,
    pub peer_name: String,
    /// The most that ours may cost, in times of the peer.
    pub limit: f64,
}

/// Runs both sides in turn on the same server.
pub async fn compare(
    connection: &MultiplexedConnection,
    what: &str,
    limit: f64,
    ours: Side<'_>,
    peer: Side<'_>,
) -> Row {
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let ours = measure(connection, &ours, round).await;
        let peer = measure(connection, &peer, round).await;
        // The first round warms up and loads the scripts.
        if round > 0 {
            our_times.push(ours);
            peer_times.push(peer);
        }
    }
    Row {
        what: what.to_owned(),
        ours: median(our_times),
        peer: median(peer_times),
        peer_name: peer.name.to_owned(),
        limit,
    }
}

async fn measure(connection: &MultiplexedConnection, side: &Side<'_>, round: usize) -> f64 {
    let mut connection = connection.clone();
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut connection).await.unwrap();
    for call in 0..CALLS {
        (side.call)(round * CALLS + call).await;
    }
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    let usec = |command: &&str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
        let line = line.unwrap_or_else(|| panic!("{} did not send {command}", side.name));
        let usec = line.split(',').find_map(|field| field.strip_prefix("usec=")).unwrap();
        usec.parse().unwrap()
    };
    side.commands.iter().map(usec).sum::<f64>() / CALLS as f64
}

pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
