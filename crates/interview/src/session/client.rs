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

struct Stream {
    bytes: Box<dyn Bytes>,
    /// All that is read, while somebody wants to see it.
    seen: Option<Vec<u8>>,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.bytes.read(buffer) {
                // Ctrl-Z and fg interrupt a read that has a timeout.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    let length = *read.as_ref().unwrap_or(&0);
                    self.seen.iter_mut().for_each(|seen| seen.extend_from_slice(&buffer[..length]));
                    return read;
                }
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
        let stream = Stream { bytes: wrap(socket.try_clone()?)?, seen: None };
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
        self.write(&command.get_packed_command())
    }

    /// Sends bytes in one write, and returns those of the replies to all commands in them.
    pub(super) fn exchange(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let whole = || io::Error::new(ErrorKind::InvalidInput, "these bytes are no whole commands");
        let commands = count_commands(bytes).ok_or_else(whole)?;
        self.stream.seen = Some(Vec::new());
        let replies = self.write(bytes).and_then(|()| (0..commands).try_for_each(|_| self.read().map(drop)));
        let seen = self.stream.seen.take().unwrap_or_default();
        replies.map(|()| seen)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.bytes.write_all(bytes)?;
        self.stream.bytes.flush()
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

    /// The port of its server.
    pub(super) fn server_port(&self) -> Option<u16> {
        self.socket.peer_addr().ok().map(|address| address.port())
    }

    fn read(&mut self) -> io::Result<Value> {
        self.parser.parse_value(&mut self.stream).map_err(|error| as_io_error(&error))
    }
}

/// How many commands these bytes are: each an array of strings, or a line. None if the last one is not complete.
fn count_commands(mut bytes: &[u8]) -> Option<usize> {
    let mut commands = 0;
    while !bytes.is_empty() {
        let line = take_line(&mut bytes)?;
        if let Some(words) = line.strip_prefix(b"*") {
            for _ in 0..number(words)? {
                let length = number(take_line(&mut bytes)?.strip_prefix(b"$")?)?;
                bytes = bytes.get(length..)?.strip_prefix(b"\r\n")?;
            }
        }
        commands += 1;
    }
    Some(commands)
}

fn take_line<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &bytes[..end];
    *bytes = &bytes[end + 2..];
    Some(line)
}

fn number(digits: &[u8]) -> Option<usize> {
    str::from_utf8(digits).ok()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use super::count_commands;

    #[test]
    fn whole_commands_are_counted_and_half_ones_refused() {
        assert_eq!(count_commands(b"SET a 1\r\nGET a\r\n"), Some(2));
        assert_eq!(count_commands(b"*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\nPING\r\n"), Some(2));
        for half in [&b"PING"[..], b"*2\r\n$4\r\nECHO\r\n", b"*1\r\n$9\r\nPING\r\n", b"*x\r\n"] {
            assert_eq!(count_commands(half), None);
        }
    }
}
