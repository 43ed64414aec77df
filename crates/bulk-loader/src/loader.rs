//! The stream itself: one thread, one generator, any number of connections, a bounded number of open commands.
//!
//! A command is made when there is room for it, and forgotten when its reply has come; what is kept meanwhile is its
//! number. Nothing waits for a batch to be answered: the server always has the next commands before it has finished the
//! last ones, and that is what makes it as fast as it can be.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::endpoint::{Address, Endpoint};
use crate::error::LoadError;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::link::{Link, Lost, Sent};
use crate::node::{Node, Opened};
use crate::reply::Refusal;
use crate::setup::SetupError;
use crate::source::{Repetition, Source, push_command};
use crate::topology::Topology;

/// Open commands of one connection. With short commands the socket's buffers are full long before.
const WINDOW: usize = 16_384;
/// The same where replies are long, so that they fill no buffer.
const WINDOW_OF_LONG_REPLIES: usize = 2_048;
/// How far the first open command may lie behind the newest one.
const SPREAD: u64 = 1_000_000;
/// How often the journal is written: what is lost with a server is sent again from there.
const JOURNAL_EVERY: Duration = Duration::from_millis(200);
/// Between two looks at what is not a socket: the wish to stop, a node that is away.
const TICK: Duration = Duration::from_millis(50);
/// Before a command is sent again that was answered with 'not now'.
const PAUSE: Duration = Duration::from_millis(10);
/// How long replies may keep us waiting when asked to stop.
const LEAVING: Duration = Duration::from_secs(5);

/// How to load.
#[derive(Clone, Debug)]
pub struct Loader {
    /// Where to.
    pub endpoint: Endpoint,
    /// Connections to a single server, 1 or more; a cluster gets one for each node.
    pub connections: usize,
    /// Where to keep how far the load has come. Without it, a server that loses data stays without them.
    pub journal: Option<Journal>,
    /// Go on where the journal ends instead of at the beginning.
    pub resume: bool,
    /// How long a server may be away, or silent.
    pub patience: Duration,
    /// Set to stop early.
    pub stop: Arc<AtomicBool>,
}

/// How far a load has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records acknowledged, those of an earlier run included.
    pub records: u64,
    /// Records in all.
    pub of: u64,
}

/// How a load went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Records acknowledged in this run.
    pub records: u64,
    /// Records that an earlier run had acknowledged.
    pub resumed_after: u64,
    /// Bytes of all commands sent.
    pub bytes_sent: u64,
    /// Times that there was nothing to do but wait for the server.
    pub waits: u64,
    /// From the first byte sent to the last reply.
    pub time: Duration,
    /// Connections that were lost and made again.
    pub reconnections: u64,
    /// Commands that a node of a cluster sent elsewhere (MOVED, ASK).
    pub redirections: u64,
    /// Commands sent again because a server had lost what it acknowledged.
    pub replayed: u64,
}

impl Loader {
    /// A loader for this server: one connection, no journal, a minute of patience.
    #[must_use]
    pub fn to(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            connections: 1,
            journal: None,
            resume: false,
            patience: Duration::from_mins(1),
            stop: Arc::default(),
        }
    }

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
    /// Connections to a node.
    connections: usize,
    /// Open commands of one connection.
    window: usize,
    /// One command at a time: the next one has to come after it.
    strict: bool,
    /// Commands to send again.
    again: VecDeque<Sent>,
    not_before: Instant,
    /// Commands to send to a node that is no owner yet.
    asked: VecDeque<(usize, Sent)>,
    /// Acknowledged commands that are on their way once more.
    replays_open: u64,
    /// When a reply last came.
    heard: Instant,
    journalled: Instant,
    loaded: Loaded,
}

impl<'a, S: Source> Run<'a, S> {
    fn new(loader: &'a Loader, source: &'a mut S) -> Result<Self, LoadError> {
        let commands = source.commands();
        let now = Instant::now();
        let mut run = Self {
            loader,
            topology: Topology::single(loader.endpoint.address.clone()),
            nodes: Vec::new(),
            ledger: Ledger::default(),
            next: 0,
            commands,
            connections: 1,
            window: if source.long_replies() { WINDOW_OF_LONG_REPLIES } else { WINDOW },
            strict: false,
            again: VecDeque::new(),
            not_before: now,
            asked: VecDeque::new(),
            replays_open: 0,
            heard: now,
            journalled: now,
            loaded: Loaded::default(),
            source,
        };
        run.begin()?;
        Ok(run)
    }

    /// Finds the nodes, connects to each, and finds out where to go on.
    fn begin(&mut self) -> Result<(), LoadError> {
        let begun = Instant::now();
        if self.loader.endpoint.cluster {
            let address = &self.loader.endpoint.address;
            self.topology = Topology::ask(address, &self.loader.endpoint)
                .map_err(|error| Self::not_set_up(address, error, begun))?;
        }
        let one_key = self.source.repetition() != Repetition::Harmless;
        // A key whose slot moves while commands are on their way would get them in another order.
        self.strict = one_key && self.topology.is_cluster();
        self.connections =
            if one_key || self.topology.is_cluster() { 1 } else { self.loader.connections.max(1) };
        let mut marks = Vec::new();
        for node in 0..self.topology.nodes().len() {
            self.adopt_new_nodes();
            if !self.topology.serves(node) {
                continue;
            }
            for _ in 0..self.connections {
                let opened = self
                    .open(node)
                    .map_err(|error| Self::not_set_up(&self.topology.nodes()[node], error, begun))?;
                marks.extend(opened.mark);
                self.nodes[node].take(opened);
            }
        }
        if self.loader.resume {
            self.go_on_from(marks.into_iter().min().unwrap_or(0));
        }
        Ok(())
    }

    fn go_on_from(&mut self, mark: u64) {
        self.next = mark.min(self.commands);
        self.ledger = Ledger::from(self.next);
        self.loaded.resumed_after = self.source.records_before(self.next);
    }

    fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Result<Loaded, LoadError> {
        let of = self.source.records_before(self.commands);
        let begun = Instant::now();
        self.heard = begun;
        let mut told = begun;
        while self.ledger.mark() < self.commands || self.replays_open > 0 {
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

    /// Hands commands to the links while these have room: first what has to be sent again, then new ones.
    fn feed(&mut self) {
        self.feed_asked();
        self.feed_again();
        self.feed_replays();
        while self.next < self.commands
            && self.again.is_empty()
            && self.ledger.spread(self.next) < SPREAD
            && !(self.strict && self.ledger.spread(self.next) > 0)
        {
            let node = self.owner_of(self.next);
            let Some(link) = self.nodes[node].roomy_link(self.window) else {
                return;
            };
            self.source.write(self.next, false, link.queue(Sent::Command(self.next)));
            self.next += 1;
        }
    }

    fn feed_again(&mut self) {
        if self.again.is_empty() || Instant::now() < self.not_before {
            return;
        }
        for _ in 0..self.again.len() {
            let Some(sent) = self.again.pop_front() else { return };
            let (Sent::Command(command) | Sent::Replay(command)) = sent else { continue };
            let node = self.owner_of(command);
            match self.nodes[node].roomy_link(self.window) {
                Some(link) => self.source.write(command, true, link.queue(sent)),
                None => self.again.push_back(sent),
            }
        }
    }

    fn feed_asked(&mut self) {
        for _ in 0..self.asked.len() {
            let Some((node, sent)) = self.asked.pop_front() else { return };
            let (Sent::Command(command) | Sent::Replay(command)) = sent else { continue };
            match self.nodes[node].roomy_link(self.window) {
                Some(link) => {
                    push_command(link.queue(Sent::Asking), &["ASKING"]);
                    self.source.write(command, true, link.queue(sent));
                }
                None => self.asked.push_back((node, sent)),
            }
        }
    }

    /// Sends what nodes may have lost to them again.
    fn feed_replays(&mut self) {
        for node in 0..self.nodes.len() {
            while let Some(command) = self.nodes[node].next_replay() {
                if self.owner_of(command) != node {
                    self.nodes[node].replayed();
                    continue;
                }
                let Some(link) = self.nodes[node].roomy_link(self.window) else { break };
                self.source.write(command, true, link.queue(Sent::Replay(command)));
                self.nodes[node].replayed();
                self.replays_open += 1;
                self.loaded.replayed += self.records_of(command);
            }
        }
    }

    /// Sends and receives what can be; true if there may be more to send at once.
    fn exchange(&mut self) -> Result<bool, LoadError> {
        let mut busy = false;
        for node in 0..self.nodes.len() {
            for index in (0..self.nodes[node].links.len()).rev() {
                match self.exchange_on(node, index)? {
                    Ok(link_is_busy) => busy |= link_is_busy,
                    Err(lost) => self.give_up(node, index, &lost)?,
                }
            }
        }
        Ok(busy)
    }

    fn exchange_on(&mut self, node: usize, index: usize) -> Result<Result<bool, Lost>, LoadError> {
        let mut link = self.nodes[node].links.swap_remove(index);
        let sent_all = match link.send() {
            Ok(sent_all) => sent_all,
            Err(lost) => {
                self.put_back(node, index, link);
                return Ok(Err(lost));
            }
        };
        // While the socket takes commands there is no hurry to read: replies wait in the kernel, and come in long rows.
        let fed = self.next < self.commands && link.in_flight() < self.window;
        if sent_all && fed && !self.source.long_replies() {
            self.put_back(node, index, link);
            return Ok(Ok(true));
        }
        let received = link.receive(|sent, reply| self.take(node, sent, reply));
        self.put_back(node, index, link);
        match received {
            Ok(Ok(any)) => {
                if any {
                    self.heard = Instant::now();
                }
                Ok(Ok(any))
            }
            Ok(Err(error)) => Err(error),
            Err(lost) => Ok(Err(lost)),
        }
    }

    /// Links keep their place, because the one at `index` was taken by swapping in the last.
    fn put_back(&mut self, node: usize, index: usize, link: Link) {
        let links = &mut self.nodes[node].links;
        links.push(link);
        let last = links.len() - 1;
        links.swap(index, last);
    }

    /// One reply.
    fn take(&mut self, node: usize, sent: Sent, reply: &[u8]) -> Result<(), LoadError> {
        let (Sent::Command(command) | Sent::Replay(command)) = sent else {
            return match reply.first() {
                Some(b'-') if sent == Sent::Journal => self.journal_refused(reply),
                _ => Ok(()),
            };
        };
        if reply.first() == Some(&b'-') {
            return self.refused(node, sent, command, reply);
        }
        if !self.source.accepts(command, reply) {
            let shown: String = String::from_utf8_lossy(reply).chars().take(80).collect();
            return Err(LoadError::Unexpected {
                record: self.source.describe(command),
                reply: format!("{shown:?}"),
            });
        }
        if let Sent::Replay(_) = sent {
            self.replays_open -= 1;
        } else if self.ledger.acknowledge(command) {
            self.loaded.records += self.records_of(command);
        }
        Ok(())
    }

    fn refused(&mut self, node: usize, sent: Sent, command: u64, reply: &[u8]) -> Result<(), LoadError> {
        match Refusal::read(reply) {
            Refusal::Moved { slot, address } if self.topology.is_cluster() => {
                if let Some(address) = Endpoint::redirected(&self.topology.nodes()[node], &address) {
                    self.topology.assign(slot, &address);
                    self.adopt_new_nodes();
                }
                self.loaded.redirections += 1;
                self.again.push_back(sent);
            }
            Refusal::Ask { address } if self.topology.is_cluster() => {
                self.loaded.redirections += 1;
                match Endpoint::redirected(&self.topology.nodes()[node], &address) {
                    Some(address) => {
                        let node = self.topology.index(&address);
                        self.adopt_new_nodes();
                        self.asked.push_back((node, sent));
                    }
                    None => self.again.push_back(sent),
                }
            }
            Refusal::NotNow => {
                self.again.push_back(sent);
                self.not_before = Instant::now() + PAUSE;
                self.nodes[node].doubtful = true;
            }
            Refusal::Never(error) => {
                return Err(LoadError::Rejected { record: self.source.describe(command), error });
            }
            Refusal::Moved { .. } | Refusal::Ask { .. } => {
                let error = String::from_utf8_lossy(&reply[1..]).trim_end().to_owned();
                return Err(LoadError::Rejected { record: self.source.describe(command), error });
            }
        }
        Ok(())
    }

    /// A journal that cannot be written may be on the way to another node; anything else is told.
    fn journal_refused(&self, reply: &[u8]) -> Result<(), LoadError> {
        match Refusal::read(reply) {
            Refusal::Never(error) => {
                let key = self.loader.journal.as_ref().map(|journal| journal.key.clone()).unwrap_or_default();
                Err(LoadError::Rejected { record: format!("the journal {key}"), error })
            }
            _ => Ok(()),
        }
    }

    /// A link is lost: what it waited for is sent again.
    fn give_up(&mut self, node: usize, index: usize, lost: &Lost) -> Result<(), LoadError> {
        if let Lost::Garbage = lost {
            return Err(LoadError::Garbage { address: self.topology.nodes()[node].to_string() });
        }
        let link = self.nodes[node].links.remove(index);
        self.loaded.bytes_sent += link.bytes;
        self.loaded.reconnections += 1;
        self.again.extend(
            link.unanswered().into_iter().filter(|sent| matches!(sent, Sent::Command(_) | Sent::Replay(_))),
        );
        self.nodes[node].lost();
        Ok(())
    }

    /// Makes the connections that are missing, where it is time to try.
    fn reconnect(&mut self, now: Instant) -> Result<(), LoadError> {
        if now - self.heard > self.loader.patience && self.nodes.iter().any(Node::is_waiting) {
            return Err(self.silent(now));
        }
        for node in 0..self.nodes.len() {
            if !self.nodes[node].wants_link(self.connections, now) || !self.is_needed(node) {
                continue;
            }
            match self.open(node) {
                Ok(opened) => self.welcome(node, opened)?,
                Err(SetupError::Never(error)) => {
                    let address = self.topology.nodes()[node].to_string();
                    return Err(LoadError::Refused { address, error });
                }
                Err(SetupError::Later(why)) => self.try_later(node, why)?,
            }
        }
        self.refresh_doubtful();
        Ok(())
    }

    fn is_needed(&self, node: usize) -> bool {
        self.topology.serves(node) || self.asked.iter().any(|(asked, _)| *asked == node)
    }

    /// A connection was made again, or a new node joined. Whoever started anew may have lost what it acknowledged.
    fn welcome(&mut self, node: usize, opened: Opened) -> Result<(), LoadError> {
        if let Some(records) = opened.counted {
            let applied = self.commands_in(records)?;
            self.next = applied;
            self.ledger = Ledger::from(applied);
            self.again.clear();
        } else if self.nodes[node].may_have_lost(&opened) {
            self.nodes[node].replay(opened.mark.unwrap_or(0)..self.next);
        }
        self.nodes[node].take(opened);
        self.heard = Instant::now();
        Ok(())
    }

    fn try_later(&mut self, node: usize, why: String) -> Result<(), LoadError> {
        let away = self.nodes[node].try_later();
        if away > self.loader.patience {
            let address = self.topology.nodes()[node].to_string();
            return Err(LoadError::Unreachable { address, why, waited: away });
        }
        self.nodes[node].doubtful = true;
        Ok(())
    }

    /// Asks the nodes that answer who serves the slots of those that do not, or no longer want to.
    fn refresh_doubtful(&mut self) {
        if !self.topology.is_cluster() || !self.nodes.iter().any(|node| node.doubtful) {
            return;
        }
        for node in &mut self.nodes {
            node.doubtful = false;
        }
        let present = (0..self.nodes.len()).filter(|&node| !self.nodes[node].links.is_empty());
        let answering: Vec<Address> = present.map(|node| self.topology.nodes()[node].clone()).collect();
        // The next doubt asks again, so one answer is enough and none is no error.
        let _ = answering.iter().any(|address| self.topology.refresh(address, &self.loader.endpoint).is_ok());
        self.adopt_new_nodes();
    }

    fn adopt_new_nodes(&mut self) {
        self.nodes.resize_with(self.topology.nodes().len(), Node::default);
    }

    /// Sets a connection up, with the questions that this load has.
    fn open(&self, node: usize) -> Result<Opened, SetupError> {
        let address = &self.topology.nodes()[node];
        let mut questions = Vec::new();
        let key = self.loader.journal.as_ref().and_then(|journal| journal.key_on(node, &self.topology));
        if let Some(key) = &key {
            questions.push(Journal::read_command(key));
        }
        let counted = self.source.repetition();
        if let Repetition::Counted { ask } = &counted {
            questions.push(ask.clone());
        }
        let (stream, greeting) = crate::setup::open(address, &self.loader.endpoint, &questions)?;
        let mut answers = greeting.answers.iter();
        let mark = self.loader.journal.as_ref().filter(|_| key.is_some()).zip(if key.is_some() {
            answers.next()
        } else {
            None
        });
        let mark = mark.map(|(journal, reply)| journal.mark(reply));
        let counted = answers.next().map(|reply| integer(reply));
        Ok(Opened { link: Link::over(stream)?, run_id: greeting.run_id, mark, counted, journal_key: key })
    }

    fn keep_journal(&mut self, now: Instant) {
        if now - self.journalled > JOURNAL_EVERY {
            self.journalled = now;
            self.write_journals();
        }
    }

    /// Tells every node how far the load has come, unless some node has not yet got back what it lost.
    fn write_journals(&mut self) {
        let Some(journal) = &self.loader.journal else { return };
        if self.replays_open > 0 || self.nodes.iter().any(Node::is_replaying) {
            return;
        }
        for node in &mut self.nodes {
            let mark = self.ledger.mark();
            if let Some((key, link)) = node.journal_link(mark) {
                journal.push_write(key, mark, link.queue(Sent::Journal));
            }
        }
    }

    /// Nobody has to go on from anywhere.
    fn remove_journals(&mut self) {
        for node in &mut self.nodes {
            if let Some((key, link)) = node.journal_link(u64::MAX - 1) {
                push_command(link.queue(Sent::Journal), &["DEL", key]);
            }
        }
    }

    /// Waits until a socket can go on, or for a tick.
    fn wait(&mut self) -> Result<(), LoadError> {
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
        self.loaded.waits += 1;
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
            let commands = std::mem::replace(&mut self.commands, 0);
            let busy = self.exchange();
            self.commands = commands;
            if !busy? {
                self.wait()?;
            }
        }
        Ok(())
    }

    fn silent(&self, now: Instant) -> LoadError {
        let node = self.nodes.iter().position(Node::is_waiting).unwrap_or(0);
        LoadError::Unreachable {
            address: self.topology.nodes()[node].to_string(),
            why: "it does not answer".into(),
            waited: now - self.heard,
        }
    }

    fn not_set_up(address: &Address, error: SetupError, begun: Instant) -> LoadError {
        let address = address.to_string();
        match error {
            SetupError::Never(error) => LoadError::Refused { address, error },
            SetupError::Later(why) => LoadError::Unreachable { address, why, waited: begun.elapsed() },
        }
    }

    fn owner_of(&mut self, command: u64) -> usize {
        if self.topology.is_cluster() { self.topology.owner(self.source.slot(command)) } else { 0 }
    }

    fn records_of(&self, command: u64) -> u64 {
        self.source.records_before(command + 1) - self.source.records_before(command)
    }

    /// How many commands make this many records.
    fn commands_in(&self, records: u64) -> Result<u64, LoadError> {
        let (mut low, mut high) = (0, self.commands);
        while low < high {
            let middle = low.midpoint(high);
            if self.source.records_before(middle) < records { low = middle + 1 } else { high = middle }
        }
        if self.source.records_before(low) == records {
            return Ok(low);
        }
        Err(LoadError::Disturbed(format!(
            "{} has {records} records, which no part of this load makes: somebody else writes it",
            self.source.describe(0)
        )))
    }
}

fn integer(reply: &[u8]) -> u64 {
    let digits = reply.strip_prefix(b":").unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|text| text.trim_end().parse().ok()).unwrap_or(0)
}
