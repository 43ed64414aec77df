//! The load itself: one thread makes the commands for all connections and limits how many are in flight.
//!
//! A command is made when there is room for it. Until its reply comes, only its number is kept. Nothing waits for a whole
//! batch to be answered: the server gets the next commands before it has finished the last ones, so it never idles.
//!
//! `feed` hands commands to the connections, `replies` handles what comes back and writes the journal, `connections`
//! connects and reconnects.

mod connections;
mod feed;
mod replies;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::acknowledged::Acknowledged;
use crate::connection::{Connection, Request};
use crate::error::LoadError;
use crate::loader::{Loaded, Loader, Progress};
use crate::node::Node;
use crate::source::Source;
use crate::topology::Topology;

/// Commands in flight on a connection to a server nearby. More would only fill the socket's buffers and push other data
/// out of the server's processor caches.
const WINDOW: usize = 4_096;
/// The most commands in flight on a connection to a server far away.
const WIDEST_WINDOW: usize = 65_536;
/// The window where replies are long, so that they don't fill the socket's buffers.
const WINDOW_OF_LONG_REPLIES: usize = 2_048;
/// How often to report progress and to look at what is not a socket: the stop flag, and nodes that are down.
const TICK: Duration = Duration::from_millis(50);
/// With at least this many commands in flight, the load sleeps instead of waiting for the next reply.
const ENOUGH_TO_SLEEP: usize = 256;
const SLEEP: Duration = Duration::from_micros(300);
/// How long to wait for outstanding replies at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

impl Loader {
    /// Sends everything, and returns when the last command is acknowledged. Blocks the thread.
    pub fn load<S: Source + ?Sized>(
        &self,
        source: &mut S,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Loaded, LoadError> {
        Run::connect(self, source)?.run(progress)
    }
}

/// A load in progress.
struct Run<'a, S: ?Sized> {
    loader: &'a Loader,
    source: &'a mut S,
    commands: u64,
    topology: Topology,
    /// In the order of the topology's nodes.
    nodes: Vec<Node>,
    connections_per_node: usize,
    /// The most commands in flight on a connection.
    window: usize,
    /// The slot of the key that the source counts, if it counts one.
    counted_slot: Option<u16>,
    /// Send a command only after the one before it is acknowledged.
    one_at_a_time: bool,

    acknowledged: Acknowledged,
    /// The first command that was never sent.
    next: u64,
    /// Commands to send again, but not before `resend_after`.
    resend: VecDeque<Request>,
    resend_after: Instant,
    /// Commands that got ASK, and the node to send them to.
    asked: VecDeque<(usize, Request)>,
    /// Acknowledged commands that a server may have lost and that are not sent again yet.
    replay: Range<u64>,
    replays_in_flight: u64,
    /// Whether to reconnect and count the records of the one key before anything else is sent.
    recount: bool,

    /// Whether a command was executed since this was last checked.
    executed: bool,
    last_executed: Instant,
    /// Redirections since a command was executed.
    redirected: usize,
    /// The server's last error.
    last_error: Option<String>,
    /// Whether nothing has arrived since the last sleep.
    slept_in_vain: bool,
    /// When the journal was last written, and what it said.
    journal_written: (Instant, u64),
    loaded: Loaded,
}

impl<'a, S: Source + ?Sized> Run<'a, S> {
    fn connect(loader: &'a Loader, source: &'a mut S) -> Result<Self, LoadError> {
        let now = Instant::now();
        let mut run = Self {
            loader,
            commands: source.commands(),
            topology: Topology::single(loader.endpoint.address.clone()),
            nodes: Vec::new(),
            connections_per_node: 1,
            window: if source.long_replies() { WINDOW_OF_LONG_REPLIES } else { WINDOW },
            counted_slot: None,
            one_at_a_time: false,
            acknowledged: Acknowledged::default(),
            next: 0,
            resend: VecDeque::new(),
            resend_after: now,
            asked: VecDeque::new(),
            replay: 0..0,
            replays_in_flight: 0,
            recount: false,
            executed: false,
            last_executed: now,
            redirected: 0,
            last_error: None,
            slept_in_vain: false,
            journal_written: (now, 0),
            loaded: Loaded::default(),
            source,
        };
        run.connect_all()?;
        Ok(run)
    }

    fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Result<Loaded, LoadError> {
        let total = self.source.records_before(self.commands);
        let started = Instant::now();
        self.last_executed = started;
        let mut reported = started;
        while !self.is_finished() {
            self.feed();
            let busy = self.exchange()?;
            let now = Instant::now();
            if self.loader.stop.load(Ordering::Relaxed) {
                return self.stop_early();
            }
            if now - reported > TICK {
                reported = now;
                let records = self.loaded.resumed_after + self.loaded.records;
                progress(Progress { records: records.min(total), total });
            }
            self.write_journals_when_due(now);
            self.reconnect(now)?;
            if !busy {
                self.wait()?;
            }
        }
        self.loaded.time = started.elapsed();
        self.delete_journals();
        self.drain()?;
        progress(Progress { records: total, total });
        self.loaded.bytes_sent += self.nodes.iter().map(Node::bytes_sent).sum::<u64>();
        Ok(self.loaded)
    }

    /// A load is not finished while a server is down, because it may come back without what it acknowledged.
    fn is_finished(&self) -> bool {
        let is_down = |(index, node): (usize, &Node)| node.is_down() && self.topology.serves(index);
        self.acknowledged.first_open() >= self.commands
            && self.replays_in_flight == 0
            && self.replay.is_empty()
            && !self.nodes.iter().enumerate().any(is_down)
    }

    /// Waits until there is something to do.
    ///
    /// With many commands in flight, this is a short sleep, unless replies are long. A poll would return with each reply, and waking
    /// up a client costs the server time. After a sleep in which nothing arrived, this is a poll.
    fn wait(&mut self) -> Result<(), LoadError> {
        self.loaded.waits += 1;
        let in_flight = self.connections().map(Connection::in_flight).max().unwrap_or(0);
        if in_flight >= ENOUGH_TO_SLEEP && !self.slept_in_vain && !self.source.long_replies() {
            self.slept_in_vain = true;
            std::thread::sleep(SLEEP);
            return Ok(());
        }
        let long_replies = self.source.long_replies();
        let events_to_poll = |connection: &'_ Connection| {
            // With something to send, wait only for room to send it: replies would wake us up too often. Long
            // replies must be read meanwhile, or they fill the buffers.
            match (connection.has_unsent(), long_replies) {
                (true, false) => PollFlags::OUT,
                (true, true) => PollFlags::IN | PollFlags::OUT,
                (false, _) => PollFlags::IN,
            }
        };
        let mut sockets: Vec<PollFd<'_>> = self
            .connections()
            .map(|connection| PollFd::new(connection.socket(), events_to_poll(connection)))
            .collect();
        let timeout = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        match poll(&mut sockets, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(LoadError::System(error.into())),
        }
    }

    fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.nodes.iter().flat_map(|node| &node.connections)
    }

    /// Waits for the replies to what was sent, so that the journal gets as far as possible.
    fn stop_early(mut self) -> Result<Loaded, LoadError> {
        self.resend.clear();
        self.asked.clear();
        self.drain()?;
        self.write_journals();
        self.drain()?;
        Err(LoadError::Stopped { acknowledged: self.acknowledged.first_open() })
    }

    /// Sends no new commands, and waits for outstanding replies.
    fn drain(&mut self) -> Result<(), LoadError> {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while self.nodes.iter().any(Node::has_requests_in_flight) && Instant::now() < deadline {
            if !self.exchange()? {
                self.wait()?;
            }
        }
        Ok(())
    }
}
