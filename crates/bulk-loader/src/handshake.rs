//! Opens a connection: connects, logs in, and asks a few questions before anything is streamed.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::endpoint::{Address, Endpoint};
use crate::reply::{self, ServerError};
use crate::socket::Socket;
use crate::source::push_command;

/// The server reads 16 kB at a time by default. This is more, but not so much that other clients have to wait long while
/// the server executes what it has read.
const SERVER_READ_BUFFER: usize = 256 * 1024;

/// Why a connection could not be opened.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// Worth a retry: nothing listens there yet, or the server is loading its data.
    Temporary(String),
    /// A retry won't help: wrong password, no permission.
    Refused(String),
    /// The server's data isn't what this load could have written.
    Conflict(String),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        let why = match error.kind() {
            // Systems report a timeout of a read or write as either.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".into(),
            _ => error.to_string(),
        };
        // rustls reports a bad certificate as invalid data.
        if error.kind() == io::ErrorKind::InvalidData { Self::Refused(why) } else { Self::Temporary(why) }
    }
}

/// What the server said in the handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub software: Software,
    pub round_trip: Duration,
    /// Changes when the server restarts. None if the server doesn't report it.
    pub run_id: Option<String>,
    /// The server's ID of the connection. Only if there is a fence.
    pub client_id: Option<u64>,
    /// The replies to the questions in RESP.
    pub replies: Vec<Vec<u8>>,
}

/// What the server calls itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Software {
    #[default]
    Unknown,
    Redis,
    Valkey,
}

/// Makes sure that only one connection at a time executes commands. The server may still execute what it got over a
/// connection that looks dead to us.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fence<'a> {
    /// The server's ID of the previous connection.
    pub previous: Option<u64>,
    /// The run of the server that gave it. Another run gives the same ID to somebody else.
    pub run_id: Option<&'a str>,
}

/// Connects, logs in, kills the previous connection if there is a fence, and asks `questions`, which are commands in RESP.
/// The socket still blocks.
pub(crate) fn open(
    address: &Address,
    endpoint: &Endpoint,
    fence: Option<Fence<'_>>,
    questions: &[Vec<u8>],
) -> Result<(Socket, Greeting), HandshakeError> {
    let mut dialog = Dialog::new(Socket::connect(address, endpoint)?);
    if let Some(password) = &endpoint.password {
        let user = endpoint.user.as_deref();
        let words: Vec<&str> = ["AUTH"].into_iter().chain(user).chain([password.as_str()]).collect();
        dialog.expect_ok(&words)?;
    }
    if endpoint.db != 0 && !endpoint.cluster {
        dialog.expect_ok(&["SELECT", &endpoint.db.to_string()])?;
    }
    let asked = Instant::now();
    let info = dialog.ask(&["INFO", "server"])?;
    let round_trip = asked.elapsed();
    // A user without permission for INFO can still load. Other errors mean that the server is not ready.
    if info.starts_with(b"-") && !info.starts_with(b"-NOPERM") {
        return Err(HandshakeError::Temporary(error_text(&info)));
    }
    let info = String::from_utf8_lossy(&info);
    let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:").map(|id| id.trim().to_owned()));
    let mut client_id = None;
    if let Some(fence) = fence {
        client_id = Some(dialog.expect_number(&["CLIENT", "ID"])?);
        if let Some(previous) = fence.previous.filter(|_| fence.run_id == run_id.as_deref()) {
            // Replies 0 if it is gone already.
            dialog.expect_number(&["CLIENT", "KILL", "ID", &previous.to_string()])?;
        }
    }
    let mut replies = Vec::with_capacity(questions.len());
    for question in questions {
        replies.push(no_error(dialog.ask_raw(question)?)?);
    }
    let greeting = Greeting { software: software(&info), round_trip, run_id, client_id, replies };
    Ok((dialog.socket, greeting))
}

/// Sends one command over a socket that still blocks, and returns its reply.
pub(crate) fn ask(socket: Socket, words: &[&str]) -> Result<Vec<u8>, HandshakeError> {
    Dialog::new(socket).ask(words)
}

/// Makes the server read more at a time, so that it spends less time on reading and on sending replies. After an argument
/// of this size, Redis and Valkey keep a read buffer of the same size for the connection.
pub(crate) fn enlarge_reads(socket: Socket) -> Result<Socket, HandshakeError> {
    let mut dialog = Dialog::new(socket);
    // If the user may not ECHO, the reply is an error, and the buffer grows all the same.
    dialog.ask(&["ECHO", &"-".repeat(SERVER_READ_BUFFER)])?;
    Ok(dialog.socket)
}

/// Valkey's INFO has both lines.
fn software(info: &str) -> Software {
    if info.contains("valkey_version:") {
        Software::Valkey
    } else if info.contains("redis_version:") {
        Software::Redis
    } else {
        Software::Unknown
    }
}

/// Commands and their replies, one at a time.
struct Dialog {
    socket: Socket,
    input: Vec<u8>,
}

impl Dialog {
    fn new(socket: Socket) -> Self {
        Self { socket, input: Vec::new() }
    }

    fn expect_ok(&mut self, words: &[&str]) -> Result<(), HandshakeError> {
        let reply = self.ask(words)?;
        if !reply.starts_with(b"-") {
            return Ok(());
        }
        let error = error_text(&reply);
        // Some servers repeat the arguments of an unknown command, and the password is one of them.
        let error = error.split(", with args").next().unwrap_or_default().to_owned();
        let temporary = error.contains("max number of clients");
        Err(if temporary { HandshakeError::Temporary(error) } else { HandshakeError::Refused(error) })
    }

    /// A refusal names the command.
    fn expect_number(&mut self, words: &[&str]) -> Result<u64, HandshakeError> {
        let refused =
            |error| HandshakeError::Refused(format!("{error}. This load needs {}", words[..2].join(" ")));
        let reply = no_error(self.ask(words)?).map_err(|error| match error {
            HandshakeError::Refused(error) => refused(error),
            other => other,
        })?;
        number(&reply).ok_or_else(|| refused(error_text(&reply)))
    }

    fn ask(&mut self, words: &[&str]) -> Result<Vec<u8>, HandshakeError> {
        let mut command = Vec::new();
        push_command(&mut command, words);
        self.ask_raw(&command)
    }

    fn ask_raw(&mut self, command: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        self.socket.write_all(command)?;
        self.socket.flush()?;
        loop {
            match reply::length(&self.input) {
                Ok(Some(length)) => return Ok(self.input.drain(..length).collect()),
                Ok(None) => {}
                Err(_malformed) => {
                    return Err(HandshakeError::Refused(
                        "the server there doesn't speak the Redis protocol".into(),
                    ));
                }
            }
            let mut part = [0; 4096];
            match self.socket.read(&mut part)? {
                0 => return Err(HandshakeError::Temporary("the connection was closed".into())),
                bytes => self.input.extend_from_slice(&part[..bytes]),
            }
        }
    }
}

/// The reply, unless it is an error.
fn no_error(reply: Vec<u8>) -> Result<Vec<u8>, HandshakeError> {
    if !reply.starts_with(b"-") {
        return Ok(reply);
    }
    Err(match ServerError::parse(&reply) {
        ServerError::Permanent(error) => HandshakeError::Refused(error),
        _ => HandshakeError::Temporary(error_text(&reply)),
    })
}

fn error_text(reply: &[u8]) -> String {
    String::from_utf8_lossy(&reply[1..]).trim_end().to_owned()
}

/// The number in an integer reply.
fn number(reply: &[u8]) -> Option<u64> {
    std::str::from_utf8(reply.strip_prefix(b":")?).ok()?.trim_end().parse().ok()
}
