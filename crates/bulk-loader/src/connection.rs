//! A connection that streams: it holds the bytes to send and the requests in flight.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use crate::reply::{self, Malformed};
use crate::socket::Socket;

/// No more than this is encoded before the socket takes it.
const OUTPUT_BUFFER: usize = 64 * 1024;
/// How much to read at a time.
const READ_SIZE: usize = 64 * 1024;

/// A request that waits for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The source's command with this number.
    Command(u64),
    /// An acknowledged command that is sent again because the server may have lost it.
    Replay(u64),
    /// ASKING, sent before a command for a slot that is migrating.
    Asking,
    /// A write of the journal.
    Journal,
}

/// The connection broke. The requests in flight may or may not have been executed.
#[derive(Debug)]
pub(crate) enum ConnectionLost {
    Closed,
    NotRedis,
}

pub(crate) struct Connection {
    socket: Socket,
    out: Vec<u8>,
    /// How many bytes of `out` are sent.
    sent: usize,
    in_flight: VecDeque<Request>,
    input: Vec<u8>,
    /// Where the next reply starts in `input`, and where the received bytes end.
    read: usize,
    received: usize,
    /// Whether the server parses everything it has read before it executes the first command.
    parses_ahead: bool,
    /// Bytes sent so far.
    pub bytes_sent: u64,
}

impl Connection {
    /// Starts to stream over a socket after its handshake.
    pub(crate) fn new(socket: Socket, parses_ahead: bool) -> io::Result<Self> {
        socket.set_nonblocking()?;
        Ok(Self {
            socket,
            out: Vec::with_capacity(2 * OUTPUT_BUFFER),
            sent: 0,
            in_flight: VecDeque::new(),
            input: vec![0; READ_SIZE],
            read: 0,
            received: 0,
            parses_ahead,
            bytes_sent: 0,
        })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether one more command may be queued when `window` is the most that may be in flight.
    pub(crate) fn has_room(&self, window: usize) -> bool {
        self.in_flight.len() < window && self.out.len() < OUTPUT_BUFFER
    }

    /// Whether the socket has not taken everything yet.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.out.is_empty() || self.socket.has_unsent()
    }

    /// Adds a request. Write its command to the returned buffer.
    pub(crate) fn queue(&mut self, request: Request) -> &mut Vec<u8> {
        self.in_flight.push_back(request);
        &mut self.out
    }

    /// Ends a batch of commands. Valkey 9 parses up to a thousand commands before it executes the first one, and so many
    /// small arguments slow down its allocator. It stops parsing ahead at an empty line, and servers don't reply to those.
    pub(crate) fn end_batch(&mut self) {
        if self.parses_ahead {
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Sends as much as the socket takes. Returns true if that was everything.
    pub(crate) fn send(&mut self) -> Result<bool, ConnectionLost> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(0) => return Err(ConnectionLost::Closed),
                Ok(bytes) => {
                    self.sent += bytes;
                    self.bytes_sent += bytes as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(ConnectionLost::Closed),
            }
        }
        self.out.clear();
        self.sent = 0;
        match self.socket.flush() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(_) => Err(ConnectionLost::Closed),
        }
    }

    /// Reads what has arrived, and calls `handle` with each request and its reply. Returns true if anything arrived. The
    /// inner result is the error of `handle`.
    pub(crate) fn receive<E>(
        &mut self,
        mut handle: impl FnMut(Request, &[u8]) -> Result<(), E>,
    ) -> Result<Result<bool, E>, ConnectionLost> {
        let mut any = false;
        loop {
            self.make_room();
            let room = self.input.len() - self.received;
            let bytes = match self.socket.read(&mut self.input[self.received..]) {
                Ok(0) => return Err(ConnectionLost::Closed),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Ok(any)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(ConnectionLost::Closed),
            };
            self.received += bytes;
            any = true;
            if let Err(error) = self.handle_replies(&mut handle)? {
                return Ok(Err(error));
            }
            if bytes < room {
                return Ok(Ok(true));
            }
        }
    }

    /// Moves an incomplete reply to the front of the buffer. If it fills the buffer, the buffer grows.
    fn make_room(&mut self) {
        self.input.copy_within(self.read..self.received, 0);
        self.received -= self.read;
        self.read = 0;
        if self.received == self.input.len() {
            self.input.resize(self.input.len() + READ_SIZE, 0);
        }
    }

    fn handle_replies<E>(
        &mut self,
        handle: &mut impl FnMut(Request, &[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, ConnectionLost> {
        loop {
            let rest = &self.input[self.read..self.received];
            let length = match reply::length(rest) {
                Ok(Some(length)) => length,
                Ok(None) => return Ok(Ok(())),
                Err(Malformed) => return Err(ConnectionLost::NotRedis),
            };
            // Redis never sends a reply without a request.
            let Some(request) = self.in_flight.pop_front() else {
                return Err(ConnectionLost::NotRedis);
            };
            if let Err(error) = handle(request, &rest[..length]) {
                return Ok(Err(error));
            }
            self.read += length;
        }
    }

    /// Gives up the connection. Returns the requests without a reply.
    pub(crate) fn into_unanswered(self) -> VecDeque<Request> {
        self.in_flight
    }
}
