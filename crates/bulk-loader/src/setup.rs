//! What every connection begins with, before anything is streamed: connect, log in, ask what is there.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::endpoint::{Address, Endpoint};
use crate::reply::{self, Refusal};
use crate::source::push_command;
use crate::stream::Stream;

/// Larger than what the server reads at once by default, 16 kB, and small enough that other clients do not notice the time
/// that it takes to execute so many commands.
const READ_BUFFER: usize = 256 * 1024;

/// Why a connection could not be set up.
#[derive(Debug)]
pub(crate) enum SetupError {
    /// Worth another try: nobody listens, the server loads its data.
    Later(String),
    /// Not worth it: wrong password, not allowed.
    Never(String),
    /// The data are not what this load could have made.
    Disturbed(String),
}

impl From<io::Error> for SetupError {
    fn from(error: io::Error) -> Self {
        let why = match error.kind() {
            // What a read or write that timed out is called depends on the system.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".into(),
            _ => error.to_string(),
        };
        // A certificate that does not fit will not fit later either; rustls reports it as invalid data.
        if error.kind() == io::ErrorKind::InvalidData { Self::Never(why) } else { Self::Later(why) }
    }
}

/// What the server calls itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Software {
    #[default]
    Unknown,
    Redis,
    Valkey,
}

/// Who answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub software: Software,
    /// How long a question and its answer took.
    pub round_trip: Duration,
    /// Changes when the server starts anew; none if the server does not tell.
    pub run_id: Option<String>,
    /// The server's number of the connection, if it tells.
    pub client_id: Option<u64>,
    /// The replies to the questions, complete RESP.
    pub answers: Vec<Vec<u8>>,
}

/// Only one connection at a time may execute commands: a connection that seems lost to us may still execute what is on
/// its way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fence {
    /// The server's number of the connection before this one.
    pub previous: Option<u64>,
}

/// Connects, logs in, puts up the fence, and asks `questions`, each in RESP. The stream still blocks.
pub(crate) fn open(
    address: &Address,
    endpoint: &Endpoint,
    fence: Option<Fence>,
    questions: &[Vec<u8>],
) -> Result<(Stream, Greeting), SetupError> {
    let mut stream = Stream::connect(address, endpoint)?;
    let mut conversation = Conversation { stream: &mut stream, input: Vec::new() };
    if let Some(password) = &endpoint.password {
        let user = endpoint.user.as_deref();
        let words: Vec<&str> = ["AUTH"].into_iter().chain(user).chain([password.as_str()]).collect();
        conversation.must(&words)?;
    }
    if endpoint.db != 0 && !endpoint.cluster {
        conversation.must(&["SELECT", &endpoint.db.to_string()])?;
    }
    let mut info = Vec::new();
    push_command(&mut info, &["INFO", "server"]);
    let asked = Instant::now();
    let info = conversation.ask(&info)?;
    let round_trip = asked.elapsed();
    // Whoever may not ask INFO is told so with every answer; anything else is a server that is not ready.
    if info.starts_with(b"-") && !info.starts_with(b"-NOPERM") {
        return Err(SetupError::Later(String::from_utf8_lossy(&info[1..]).trim_end().to_owned()));
    }
    let info = String::from_utf8_lossy(&info);
    // Valkey has both lines.
    let software = if info.contains("valkey_version:") {
        Software::Valkey
    } else if info.contains("redis_version:") {
        Software::Redis
    } else {
        Software::Unknown
    };
    let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:").map(|id| id.trim().to_owned()));
    let mut client_id = None;
    if let Some(Fence { previous }) = fence {
        client_id = conversation.number(&["CLIENT", "ID"])?;
        if let Some(previous) = previous {
            // It may be gone already.
            conversation.number(&["CLIENT", "KILL", "ID", &previous.to_string()])?;
        }
    }
    let mut answers = Vec::with_capacity(questions.len());
    for question in questions {
        let answer = conversation.ask(question)?;
        if answer.starts_with(b"-") {
            return Err(match Refusal::read(&answer) {
                Refusal::Never(error) => SetupError::Never(error),
                _ => SetupError::Later(String::from_utf8_lossy(&answer[1..]).trim_end().to_owned()),
            });
        }
        answers.push(answer);
    }
    Ok((stream, Greeting { software, round_trip, run_id, client_id, answers }))
}

/// Makes the server read more at a time, so that it spends less time on reading and on sending replies. After an argument
/// of this size, Redis and Valkey keep a read buffer of the same size for the connection, and fill it with each read.
pub(crate) fn enlarge_reads(stream: &mut Stream) -> Result<(), SetupError> {
    let mut command = Vec::new();
    push_command(&mut command, &[&b"ECHO"[..], &[0; READ_BUFFER]]);
    // A user who may not ECHO gets an error, and the buffer all the same.
    Conversation { stream, input: Vec::new() }.ask(&command)?;
    Ok(())
}

struct Conversation<'a> {
    stream: &'a mut Stream,
    input: Vec<u8>,
}

impl Conversation<'_> {
    /// Sends a command that has to be answered with OK.
    fn must(&mut self, words: &[&str]) -> Result<(), SetupError> {
        let mut command = Vec::new();
        push_command(&mut command, words);
        let answer = self.ask(&command)?;
        if answer.starts_with(b"-") {
            let error = String::from_utf8_lossy(&answer[1..]).trim_end().to_owned();
            // Some servers repeat the arguments of a command that they do not know, and a password is one of them.
            let error = error.split(", with args").next().unwrap_or_default().to_owned();
            let later = error.contains("max number of clients");
            return Err(if later { SetupError::Later(error) } else { SetupError::Never(error) });
        }
        Ok(())
    }

    /// Asks for a number; none if the server does not tell.
    fn number(&mut self, words: &[&str]) -> Result<Option<u64>, SetupError> {
        let mut command = Vec::new();
        push_command(&mut command, words);
        let answer = self.ask(&command)?;
        let digits = answer.strip_prefix(b":").unwrap_or_default();
        Ok(std::str::from_utf8(digits).ok().and_then(|text| text.trim_end().parse().ok()))
    }

    fn ask(&mut self, command: &[u8]) -> Result<Vec<u8>, SetupError> {
        self.stream.write_all(command)?;
        self.stream.flush()?;
        loop {
            match reply::length(&self.input) {
                Ok(Some(length)) => return Ok(self.input.drain(..length).collect()),
                Ok(None) => {}
                Err(_malformed) => return Err(SetupError::Never("what answers there is not Redis".into())),
            }
            let mut part = [0; 4096];
            match self.stream.read(&mut part)? {
                0 => return Err(SetupError::Later("the connection was closed".into())),
                bytes => self.input.extend_from_slice(&part[..bytes]),
            }
        }
    }
}
