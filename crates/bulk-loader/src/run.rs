//! The stream itself: one thread, one generator, any number of connections, a bounded number of open commands.
//!
//! A command is made when there is room for it, and forgotten when its reply has come; what is kept meanwhile is its
//! number. Nothing waits for a batch to be answered: the server always has the next commands before it has finished the
//! last ones, and that is what makes it as fast as it can be.
//!
//! `feed` hands commands to the connections, `replies` takes in what comes back, `connections` makes them and makes them
//! again, `journals` writes down how far it all has come.

mod connections;
mod feed;
mod journals;
mod replies;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::LoadError;
use crate::ledger::Ledger;
use crate::link::{Link, Sent};
use crate::loader::{Loaded, Loader, Progress};
use crate::node::Node;
use crate::source::Source;
use crate::topology::Topology;

/// Open commands of one connection to a server close by. More would fill the socket's buffers, and what waits there
/// costs the server time: its processor caches forget what they hold.
const WINDOW: usize = 4_096;
/// The same for a server far away, where most of them are under way.
const WIDEST_WINDOW: usize = 65_536;
/// What a fast server takes for a command, microseconds.
const COMMAND_MICROS: u128 = 2;
/// The same where replies are long, so that they fill no buffer.
const WINDOW_OF_LONG_REPLIES: usize = 2_048;
/// Between two looks at what is not a socket: the wish to stop, a node that is away.
const TICK: Duration = Duration::from_millis(50);
/// A sleep while at least this many commands are open.
const ENOUGH_TO_SLEEP: usize = 256;
const SLEEP: Duration = Duration::from_micros(300);
/// How long replies may keep us waiting when asked to stop.
const LEAVING: Duration = Duration::from_secs(5);

impl Loader {
    /// Sends everything, and returns when the last command is acknowledged. Blocks the thread.
    pub fn load<S: Source>(
        &self,
        source: &mut S,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Loaded, LoadError> {
        Run::new(self, source)?.run(progress)
    }
}

/// A load under way.
struct Run<'a, S> {
    loader: &'a Loader,
    source: &'a mut S,
    topology: Topology,
    /// In the order of the topology's nodes.
    nodes: Vec<Node>,
    ledger: Ledger,
    /// The first command that was never sent.
    next: u64,
    commands: u64,
    /// The slot of the one key that a source counts.
    counted_slot: Option<u16>,
    /// Connections to a node.
    connections: usize,
    /// Open commands of one connection.
    window: usize,
    /// Whether an earlier run may have sent any of these commands.
    resumed: bool,
    /// One command at a time: the next one has to come after it.
    strict: bool,
    /// Commands to send again.
    again: VecDeque<Sent>,
    not_before: Instant,
    /// Commands to send to a node that is no owner yet.
    asked: VecDeque<(usize, Sent)>,
    /// Whether nothing has come since the last sleep.
    slept_in_vain: bool,
    /// Acknowledged commands that a server may have lost, and that have not been sent again.
    replay: Range<u64>,
    /// Acknowledged commands that are on their way once more.
    replays_open: u64,
    /// Whether a command was executed since the last look.
    accepted: bool,
    /// Redirections since a command was executed.
    redirected: usize,
    /// What the server last said instead of executing a command.
    refusal: Option<String>,
    /// Whether the one key has to be counted again before anything else is sent.
    recount: bool,
    /// When a reply last came.
    heard: Instant,
    /// When the journal was last written, and at how many acknowledged commands.
    journalled: (Instant, u64),
    loaded: Loaded,
}

impl<'a, S: Source> Run<'a, S> {
    pub(crate) fn new(loader: &'a Loader, source: &'a mut S) -> Result<Self, LoadError> {
        let commands = source.commands();
        let now = Instant::now();
        let mut run = Self {
            loader,
            topology: Topology::single(loader.endpoint.address.clone()),
            nodes: Vec::new(),
            ledger: Ledger::default(),
            next: 0,
            commands,
            counted_slot: None,
            connections: 1,
            window: if source.long_replies() { WINDOW_OF_LONG_REPLIES } else { WINDOW },
            resumed: loader.resume,
            strict: false,
            again: VecDeque::new(),
            not_before: now,
            asked: VecDeque::new(),
            slept_in_vain: false,
            replay: 0..0,
            replays_open: 0,
            accepted: false,
            redirected: 0,
            refusal: None,
            recount: false,
            heard: now,
            journalled: (now, 0),
            loaded: Loaded::default(),
            source,
        };
        run.begin()?;
        Ok(run)
    }

    pub(crate) fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Result<Loaded, LoadError> {
        let of = self.source.records_before(self.commands);
        let begun = Instant::now();
        self.heard = begun;
        let mut told = begun;
        while self.is_unfinished() {
            self.feed();
            let busy = self.exchange()?;
            let now = Instant::now();
            if self.loader.stop.load(Ordering::Relaxed) {
                return self.leave();
            }
            if now - told > TICK {
                told = now;
                let records = self.loaded.resumed_after + self.loaded.records;
                progress(Progress { records: records.min(of), of });
            }
            self.keep_journal(now);
            self.reconnect(now)?;
            if !busy {
                self.wait()?;
            }
        }
        self.loaded.time = begun.elapsed();
        self.remove_journals();
        self.drain(LEAVING)?;
        progress(Progress { records: of, of });
        self.loaded.bytes_sent += self.nodes.iter().map(Node::bytes).sum::<u64>();
        Ok(self.loaded)
    }

    /// A server that is away may come back without what it acknowledged.
    fn is_unfinished(&self) -> bool {
        let away = |(index, node): (usize, &Node)| node.is_away() && self.topology.serves(index);
        self.ledger.mark() < self.commands
            || self.replays_open > 0
            || !self.replay.is_empty()
            || self.nodes.iter().enumerate().any(away)
    }

    /// Waits until it is worth while to go on.
    ///
    /// While many commands are open that is a short sleep, not the next reply: whoever waits for a reply is woken by each,
    /// and it is the server that spends its time on waking. When a sleep has brought nothing, the sockets tell.
    fn wait(&mut self) -> Result<(), LoadError> {
        self.loaded.waits += 1;
        let open = self.nodes.iter().flat_map(|node| &node.links).map(Link::in_flight).max().unwrap_or(0);
        if open >= ENOUGH_TO_SLEEP && !self.slept_in_vain && !self.source.long_replies() {
            self.slept_in_vain = true;
            std::thread::sleep(SLEEP);
            return Ok(());
        }
        self.poll()
    }

    /// Waits until a socket can go on, or for a tick.
    fn poll(&mut self) -> Result<(), LoadError> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        let mut sockets: Vec<PollFd<'_>> = Vec::new();
        for link in self.nodes.iter().flat_map(|node| &node.links) {
            // Waiting for room to write is enough while there is something to write: every reply would wake us else.
            let events = match (link.has_unsent(), self.source.long_replies()) {
                (true, false) => PollFlags::OUT,
                (true, true) => PollFlags::IN | PollFlags::OUT,
                (false, _) => PollFlags::IN,
            };
            sockets.push(PollFd::new(link.stream(), events));
        }
        match poll(&mut sockets, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(LoadError::System(error.into())),
        }
    }

    /// Stops early, but not before what is on its way has been answered, so that the journal says as much as possible.
    fn leave(mut self) -> Result<Loaded, LoadError> {
        self.again.clear();
        self.asked.clear();
        self.drain(LEAVING)?;
        self.write_journals();
        self.drain(LEAVING)?;
        Err(LoadError::Stopped { acknowledged: self.ledger.mark() })
    }

    /// Sends nothing new, and waits for the replies to what was sent.
    fn drain(&mut self, at_most: Duration) -> Result<(), LoadError> {
        let until = Instant::now() + at_most;
        while self.nodes.iter().any(Node::is_waiting) && Instant::now() < until {
            if !self.exchange()? {
                self.wait()?;
            }
        }
        Ok(())
    }
}
