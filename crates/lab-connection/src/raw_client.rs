//! A client with a socket of its own, which can send any command and read any reply, whenever it comes.
//!
//! redis-rs's connections are made for programs: a reply for each command, in time. An example and a console also subscribe, monitor,
//! block, and read what comes later. So this one takes redis-rs's commands and parser, and has its own timeouts.

mod address;
mod replies;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Parser, PushKind, RedisError, Value};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use self::address::RawAddress;
pub use self::replies::{
    Redirection, changes_subscriptions, has_word, reply_count, reply_lines, shown_reply_lines,
};

/// How long a reply may take; a connection that is silent for longer is given up.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(15);

/// A client of one server.
pub struct Client {
    stream: Uninterrupted,
    socket: Socket,
    parser: Parser,
    /// Push messages that came before the reply that was waited for.
    pushed: VecDeque<Value>,
}

/// The bytes between a client and its server: plain, or over TLS.
pub trait Bytes: Read + Write + Send {}
impl<B: Read + Write + Send> Bytes for B {}

/// Waits until the socket can be read. An error ends the wait for the reply.
pub type Waiter = Box<dyn FnMut(BorrowedFd<'_>) -> io::Result<()> + Send>;

/// The socket of a client. Clones share it.
#[derive(Clone)]
pub struct Socket {
    /// A unix socket, too: what is done with it are the same calls of the system.
    stream: Arc<TcpStream>,
    waiter: Arc<Mutex<Option<Waiter>>>,
}

struct Uninterrupted {
    bytes: Box<dyn Bytes>,
    /// All that is read, while somebody wants to see it.
    seen: Option<Vec<u8>>,
}

impl Read for Uninterrupted {
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
    pub fn connect(
        port: u16,
        password: &str,
        wrap: impl FnOnce(Socket) -> io::Result<Box<dyn Bytes>>,
    ) -> io::Result<Self> {
        let socket = Socket::tcp(TcpStream::connect(("127.0.0.1", port))?)?;
        let mut client = Self::over(socket, wrap)?;
        client.log_in(None, password)?;
        Ok(client)
    }

    /// A client of the server at the other end of a socket. `wrap` puts TLS around the socket, or does not.
    pub fn over(socket: Socket, wrap: impl FnOnce(Socket) -> io::Result<Box<dyn Bytes>>) -> io::Result<Self> {
        socket.set_timeouts(Some(REPLY_TIMEOUT))?;
        let stream = Uninterrupted { bytes: wrap(socket.clone())?, seen: None };
        Ok(Self { stream, socket, parser: Parser::new(), pushed: VecDeque::new() })
    }

    /// Gives the password, if there is one, and returns what the server said.
    pub fn log_in(&mut self, user: Option<&str>, password: &str) -> io::Result<Value> {
        if password.is_empty() {
            return Ok(Value::Okay);
        }
        self.write(&redis::cmd("AUTH").arg(user).arg(password).get_packed_command())?;
        self.read()
    }

    /// Sends a command.
    pub fn send(&mut self, words: &[Vec<u8>]) -> io::Result<()> {
        self.write(&redis::Cmd::new().arg(words).get_packed_command())
    }

    /// Sends bytes in one write, and returns those of the replies to all commands in them.
    pub fn exchange(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
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

    /// Sends a command and waits for its reply.
    pub fn ask(&mut self, words: &[&str]) -> io::Result<Value> {
        self.write(&redis::Cmd::new().arg(words).get_packed_command())?;
        self.reply(false)
    }

    /// The reply to a command. Push messages that come before it are kept for [`next`](Self::next), unless they are what
    /// this command is answered with: then `subscribes`.
    pub fn reply(&mut self, subscribes: bool) -> io::Result<Value> {
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
    #[expect(clippy::should_implement_trait, reason = "it is not an iterator: it waits, and it never ends")]
    pub fn next(&mut self) -> io::Result<Value> {
        match self.pushed.pop_front() {
            Some(message) => Ok(message),
            None => self.read(),
        }
    }

    /// A push message that came before an earlier reply.
    pub fn next_pushed(&mut self) -> Option<Value> {
        self.pushed.pop_front()
    }

    /// How long to wait for what comes next; `None` for as long as it takes.
    pub fn set_reply_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeouts(timeout)
    }

    /// What waits before each read, such as for a key that ends it. `None` for nothing but the timeout.
    pub fn set_waiter(&self, waiter: Option<Waiter>) {
        *self.socket.waiter.lock().unwrap_or_else(PoisonError::into_inner) = waiter;
    }

    /// Whether something has come that nobody read yet, or the connection was closed. Waits a moment for it.
    pub fn has_data(&self, moment: Duration) -> bool {
        let Ok(timeout) = Timespec::try_from(moment) else { return false };
        let socket = self.socket.as_fd();
        poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&timeout)).is_ok_and(|ready| ready > 0)
    }

    /// The port that the server knows this client by; none of a unix socket.
    pub fn own_port(&self) -> Option<u16> {
        self.socket.stream.local_addr().ok().map(|address| address.port())
    }

    /// The port of its server; none of a unix socket.
    pub fn server_port(&self) -> Option<u16> {
        self.socket.stream.peer_addr().ok().map(|address| address.port())
    }

    fn read(&mut self) -> io::Result<Value> {
        self.parser.parse_value(&mut self.stream).map_err(|error| as_io_error(&error))
    }
}

impl Socket {
    /// A TCP socket, without the delay of small packets.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::of(stream))
    }

    /// A unix socket.
    pub fn unix(stream: UnixStream) -> Self {
        Self::of(TcpStream::from(OwnedFd::from(stream)))
    }

    fn of(stream: TcpStream) -> Self {
        Self { stream: Arc::new(stream), waiter: Arc::default() }
    }

    fn set_timeouts(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)?;
        self.stream.set_write_timeout(Some(REPLY_TIMEOUT))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(wait) = &mut *self.waiter.lock().unwrap_or_else(PoisonError::into_inner) {
            wait(self.stream.as_fd())?;
        }
        (&*self.stream).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self.stream).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
