//! What every connection begins with, before anything is streamed: connect, log in, ask what is there.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::endpoint::{Address, Endpoint};
use crate::reply::{self, Refusal};
use crate::source::push_command;
use crate::stream::Stream;

/// Why a connection could not be set up.
#[derive(Debug)]
pub(crate) enum SetupError {
    /// Worth another try: nobody listens, the server loads its data.
    Later(String),
    /// Not worth it: wrong password, not allowed.
    Never(String),
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

/// Who answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// How long a question and its answer took.
    pub round_trip: Duration,
    /// Changes when the server starts anew; none if the server does not tell.
    pub run_id: Option<String>,
    /// The replies to the questions, complete RESP.
    pub answers: Vec<Vec<u8>>,
}

/// Connects, logs in, and asks `questions`, each in RESP. The stream still blocks.
pub(crate) fn open(
    address: &Address,
    endpoint: &Endpoint,
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
    let run_id = String::from_utf8_lossy(&info)
        .lines()
        .find_map(|line| line.strip_prefix("run_id:").map(|id| id.trim().to_owned()));
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
    Ok((stream, Greeting { round_trip, run_id, answers }))
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
            return Err(SetupError::Never(error));
        }
        Ok(())
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
