//! One client of an example: its own socket, which can send any command and read any reply.
//!
//! redis-rs's connections are made for programs: a reply for each command, in time. An example also subscribes, blocks,
//! and reads what comes later, so this one takes redis-rs's commands and parser, and has its own timeout.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use redis::{Parser, PushKind, RedisError, Value};

/// How long a reply may take; a connection that is silent for longer is given up.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) struct Client {
    stream: Stream,
    socket: TcpStream,
    parser: Parser,
    /// Push messages that came before the reply that was waited for.
    pushed: VecDeque<Value>,
}

/// The bytes between a client and its server: plain, or over TLS.
pub(super) trait Bytes: Read + Write + Send {}
impl<B: Read + Write + Send> Bytes for B {}

struct Stream(Box<dyn Bytes>);

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                // Ctrl-Z and fg interrupt a read that has a timeout.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Client {
    /// Connects to a server of this machine and logs in. `wrap` puts TLS around the socket, or does not.
    pub(super) fn connect(
        port: u16,
        password: &str,
        wrap: impl FnOnce(TcpStream) -> io::Result<Box<dyn Bytes>>,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(REPLY_TIMEOUT))?;
        socket.set_write_timeout(Some(REPLY_TIMEOUT))?;
        let stream = Stream(wrap(socket.try_clone()?)?);
        let mut client = Self { stream, socket, parser: Parser::new(), pushed: VecDeque::new() };
        client.log_in(password)?;
        Ok(client)
    }

    /// Gives the password, if there is one.
    pub(super) fn log_in(&mut self, password: &str) -> io::Result<()> {
        if !password.is_empty() {
            self.send(&[b"AUTH".to_vec(), password.as_bytes().to_vec()])?;
            self.read()?;
        }
        Ok(())
    }

    /// Sends a command.
    pub(super) fn send(&mut self, words: &[Vec<u8>]) -> io::Result<()> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        self.stream.0.write_all(&command.get_packed_command())?;
        self.stream.0.flush()
    }

    /// The reply to a command. Push messages that come before it are kept for [`next`](Self::next), unless they are what
    /// this command is answered with: then `subscribes`.
    pub(super) fn reply(&mut self, subscribes: bool) -> io::Result<Value> {
        loop {
            let value = self.read()?;
            match &value {
                Value::Push { kind, .. } if !(subscribes && answers_a_subscription(kind)) => {
                    self.pushed.push_back(value);
                }
                _ => return Ok(value),
            }
        }
    }

    /// Whatever comes next: the reply to a command that was not waited for, or a push message.
    pub(super) fn next(&mut self) -> io::Result<Value> {
        match self.pushed.pop_front() {
            Some(message) => Ok(message),
            None => self.read(),
        }
    }

    /// How long to wait for what comes next.
    pub(super) fn set_reply_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(timeout))
    }

    /// Whether something has come that nobody read yet, or the connection was closed. Waits a moment for it.
    pub(super) fn has_data(&self, moment: Duration) -> bool {
        let _ = self.set_reply_timeout(moment);
        let peeked = loop {
            match self.socket.peek(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                peeked => break peeked,
            }
        };
        let _ = self.set_reply_timeout(REPLY_TIMEOUT);
        peeked.is_ok()
    }

    /// The port that the server knows this client by.
    pub(super) fn own_port(&self) -> Option<u16> {
        self.socket.local_addr().ok().map(|address| address.port())
    }

    fn read(&mut self) -> io::Result<Value> {
        self.parser.parse_value(&mut self.stream).map_err(|error| as_io_error(&error))
    }
}

fn answers_a_subscription(kind: &PushKind) -> bool {
    use PushKind::{PSubscribe, PUnsubscribe, SSubscribe, SUnsubscribe, Subscribe, Unsubscribe};
    matches!(kind, Subscribe | PSubscribe | SSubscribe | Unsubscribe | PUnsubscribe | SUnsubscribe)
}

/// Why nothing could be read, in the operating system's terms.
fn as_io_error(error: &RedisError) -> io::Error {
    let kind = if error.is_timeout() {
        ErrorKind::TimedOut
    } else if error.is_connection_dropped() {
        ErrorKind::UnexpectedEof
    } else {
        ErrorKind::InvalidData
    };
    io::Error::new(kind, error.to_string())
}
