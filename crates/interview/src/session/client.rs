//! One client of an example: its own socket, which can send any command and read any reply.
//!
//! redis-rs's connections are made for programs: a reply for each command, in time. An example also subscribes, blocks,
//! and reads what comes later, so this one takes redis-rs's commands and parser, and has its own patience.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::stream::Stream;
use redis::{Parser, PushKind, RedisError, Value};

/// How long a reply may take; a connection that is silent for longer is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Client {
    stream: Stream,
    parser: Parser,
    /// Push messages that came before the reply that was waited for.
    pushed: VecDeque<Value>,
}

impl Client {
    /// Connects to a server of this machine and logs in. `wrap` puts TLS around the socket, or does not.
    pub(super) fn connect(
        port: u16,
        password: &str,
        wrap: impl FnOnce(TcpStream) -> io::Result<Stream>,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut client = Self { stream: wrap(socket)?, parser: Parser::new(), pushed: VecDeque::new() };
        client.log_in(password)?;
        Ok(client)
    }

    /// Gives the password, if there is one.
    pub(super) fn log_in(&mut self, password: &str) -> io::Result<()> {
        if !password.is_empty() {
            self.send(&[b"AUTH".to_vec(), password.as_bytes().to_vec()])?;
            self.any()?;
        }
        Ok(())
    }

    /// Sends a command.
    pub(super) fn send(&mut self, words: &[Vec<u8>]) -> io::Result<()> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        self.stream.write_all(&command.get_packed_command())?;
        self.stream.flush()
    }

    /// The reply to a command. Push messages that come before it are kept for [`next`](Self::next), unless they are what
    /// this command is answered with: then `subscribes`.
    pub(super) fn reply(&mut self, subscribes: bool) -> io::Result<Value> {
        loop {
            let value = self.any()?;
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
            None => self.any(),
        }
    }

    /// How long to wait for what comes next.
    pub(super) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.socket().set_read_timeout(Some(patience))
    }

    /// Whether something has come that nobody read yet. Waits for it a moment.
    pub(super) fn has_heard(&self, moment: Duration) -> bool {
        let socket = self.stream.socket();
        let _ = socket.set_read_timeout(Some(moment));
        let heard = loop {
            match socket.peek(&mut [0]) {
                // As in a read: Ctrl-Z and fg.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                heard => break heard,
            }
        };
        let _ = socket.set_read_timeout(Some(PATIENCE));
        // A closed connection is something to be heard, too.
        heard.is_ok()
    }

    /// The port that this client is known by to the server.
    pub(super) fn own_port(&self) -> Option<u16> {
        self.stream.socket().local_addr().ok().map(|address| address.port())
    }

    fn any(&mut self) -> io::Result<Value> {
        self.parser.parse_value(&mut self.stream).map_err(|error| unread(&error))
    }
}

fn answers_a_subscription(kind: &PushKind) -> bool {
    use PushKind::{PSubscribe, PUnsubscribe, SSubscribe, SUnsubscribe, Subscribe, Unsubscribe};
    matches!(kind, Subscribe | PSubscribe | SSubscribe | Unsubscribe | PUnsubscribe | SUnsubscribe)
}

/// Why nothing could be read, in the operating system's terms.
fn unread(error: &RedisError) -> io::Error {
    let kind = if error.is_timeout() {
        ErrorKind::TimedOut
    } else if error.is_connection_dropped() {
        ErrorKind::UnexpectedEof
    } else {
        ErrorKind::InvalidData
    };
    io::Error::new(kind, error.to_string())
}
