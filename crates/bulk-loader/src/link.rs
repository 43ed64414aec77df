//! One connection while it streams: bytes that wait to be sent, commands that wait for their reply.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use crate::reply::{self, Malformed};
use crate::stream::Stream;

/// More than this is not encoded ahead of the socket.
const AHEAD: usize = 64 * 1024;
/// Replies are read in pieces of at most this.
const PIECE: usize = 64 * 1024;

/// A command on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A command of the source, with its number.
    Command(u64),
    /// A command of the source that had been acknowledged, sent again because the server may have lost it.
    Replay(u64),
    /// ASKING, which precedes a command for a slot that is on the way.
    Asking,
    /// The journal, with the mark that it says.
    Journal,
}

/// A connection that is set up.
pub(crate) struct Link {
    stream: Stream,
    out: Vec<u8>,
    /// How many bytes of `out` are gone.
    gone: usize,
    sent: VecDeque<Sent>,
    input: Vec<u8>,
    /// Where in `input` the next reply begins, and where what was received ends.
    read: usize,
    received: usize,
    /// Whether the server parses all that it has read before it executes the first command.
    parses_ahead: bool,
    /// Bytes handed to the system so far.
    pub bytes: u64,
}

/// A link is lost; what it waited for is unknown.
#[derive(Debug)]
pub(crate) enum Lost {
    Closed,
    Garbage,
}

impl Link {
    pub(crate) fn over(stream: Stream, parses_ahead: bool) -> io::Result<Self> {
        stream.never_block()?;
        let out = Vec::with_capacity(AHEAD + PIECE);
        let input = vec![0; PIECE];
        Ok(Self {
            stream,
            out,
            gone: 0,
            sent: VecDeque::new(),
            input,
            read: 0,
            received: 0,
            parses_ahead,
            bytes: 0,
        })
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// How many commands wait for their reply.
    pub(crate) fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// Whether enough is waiting to be sent.
    pub(crate) fn is_ahead(&self) -> bool {
        self.out.len() >= AHEAD
    }

    /// Whether the socket would not take everything.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.out.is_empty() || self.stream.has_unsent()
    }

    /// Where to write the next command.
    pub(crate) fn queue(&mut self, command: Sent) -> &mut Vec<u8> {
        self.sent.push_back(command);
        &mut self.out
    }

    /// Keeps a server from parsing more than it can hold in its caches. Valkey 9 parses ahead, up to a thousand commands,
    /// and their arguments make its allocator slow. It stops at an empty line, which no server answers.
    pub(crate) fn end_batch(&mut self) {
        if self.parses_ahead {
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Sends as much as the socket takes; true if that was everything.
    pub(crate) fn send(&mut self) -> Result<bool, Lost> {
        while self.gone < self.out.len() {
            match self.stream.write(&self.out[self.gone..]) {
                Ok(0) => return Err(Lost::Closed),
                Ok(bytes) => {
                    self.gone += bytes;
                    self.bytes += bytes as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Lost::Closed),
            }
        }
        self.out.clear();
        self.gone = 0;
        match self.stream.flush() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(_) => Err(Lost::Closed),
        }
    }

    /// Reads what is there and hands each reply to `take` with the command that it answers. True if anything came.
    pub(crate) fn receive<E>(
        &mut self,
        mut take: impl FnMut(Sent, &[u8]) -> Result<(), E>,
    ) -> Result<Result<bool, E>, Lost> {
        let mut any = false;
        loop {
            self.make_room();
            let room = self.input.len() - self.received;
            let came = match self.stream.read(&mut self.input[self.received..]) {
                Ok(0) => return Err(Lost::Closed),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Ok(any)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Lost::Closed),
            };
            self.received += came;
            any = true;
            if let Err(error) = self.take_replies(&mut take)? {
                return Ok(Err(error));
            }
            if came < room {
                return Ok(Ok(true));
            }
        }
    }

    /// Moves an incomplete reply to the front; a reply that fills all the room gets more.
    fn make_room(&mut self) {
        self.input.copy_within(self.read..self.received, 0);
        self.received -= self.read;
        self.read = 0;
        if self.received == self.input.len() {
            self.input.resize(self.input.len() + PIECE, 0);
        }
    }

    fn take_replies<E>(
        &mut self,
        take: &mut impl FnMut(Sent, &[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, Lost> {
        loop {
            let rest = &self.input[self.read..self.received];
            let length = match reply::length(rest) {
                Ok(Some(length)) => length,
                Ok(None) => return Ok(Ok(())),
                Err(Malformed) => return Err(Lost::Garbage),
            };
            // A reply that nobody waits for: not the protocol.
            let Some(command) = self.sent.pop_front() else {
                return Err(Lost::Garbage);
            };
            if let Err(error) = take(command, &rest[..length]) {
                return Ok(Err(error));
            }
            self.read += length;
        }
    }

    /// The commands whose fate is unknown, when the link is given up.
    pub(crate) fn unanswered(self) -> VecDeque<Sent> {
        self.sent
    }
}
