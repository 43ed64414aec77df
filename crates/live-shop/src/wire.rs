//! THE WIRE: every command that one request sent, in order, as the server got it.
//!
//! The patterns are built once and shared by all requests, so the recording is not in them. It is in the task: the connection of the
//! shop notes each command in the [`Recording`] that the current task has. Without one, as in the worker, it notes nothing.
//!
//! - **Complete**: each argument is kept byte for byte, up to [`KEPT_BYTES`] for a request and [`KEPT_COMMANDS`] commands. What is cut
//!   says so. A script's source is kept as a reference to the script.
//! - **In order**: a command is noted just before it is handed to the connection.
//! - **Bounded**: [`Wire`] keeps the last [`KEPT_REQUESTS`] requests of each session and [`KEPT_IN_ALL`] of all sessions, so at most
//!   32 MB.
//! - **No secrets**: [`Recording::hide`] replaces a token wherever it would be shown.

mod keys;
mod scripts;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lab_connection::transcript::{command_line, for_terminal, reply_text};
use patterns::script::Script;
use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, Pipeline, RedisError, RedisFuture, Value};

pub use self::keys::{KeyInfo, key_info};
pub use self::scripts::script;
use crate::link::Link;
use crate::lock;

/// How many commands of one request are kept.
pub const KEPT_COMMANDS: usize = 200;
/// How many bytes of arguments and replies of one request are kept.
pub const KEPT_BYTES: usize = 64 * 1024;
/// What an argument counts in addition to its bytes.
const ARGUMENT_BYTES: usize = 32;
/// How many requests of one session are kept.
pub const KEPT_REQUESTS: usize = 20;
/// How many requests are kept in all.
pub const KEPT_IN_ALL: usize = 500;

/// The connection of the shop: every command on it goes into the recording of the task that sent it, if that has one.
pub type Redis = Recorded<Link>;

tokio::task_local! {
    static RECORDING: Recording;
}

/// The requests that the panel shows. Clones share them.
#[derive(Clone, Default)]
pub struct Wire {
    requests: Arc<Mutex<VecDeque<Request>>>,
    last_id: Arc<AtomicU64>,
}

/// One request of a session.
#[derive(Clone)]
pub struct Request {
    /// Larger than that of any earlier request, of any session.
    pub id: u64,
    /// What was requested, such as `POST /cart`.
    pub title: String,
    /// What it sent.
    pub recording: Recording,
    session: String,
}

impl Wire {
    /// Keeps a request of this session and forgets those that are too many. `session` is any text that names the session.
    pub fn keep(&self, session: &str, title: impl Into<String>, recording: Recording) -> Request {
        let mut requests = lock(&self.requests);
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let request = Request { id, title: title.into(), recording, session: session.to_owned() };
        let of_session = requests.iter().filter(|request| request.session == session).count();
        if of_session >= KEPT_REQUESTS
            && let Some(oldest) = requests.iter().position(|request| request.session == session)
        {
            requests.remove(oldest);
        }
        if requests.len() >= KEPT_IN_ALL {
            requests.pop_front();
        }
        requests.push_back(request.clone());
        request
    }

    /// The requests of this session that are kept, latest first.
    pub fn requests(&self, session: &str) -> Vec<Request> {
        let requests = lock(&self.requests);
        requests.iter().rev().filter(|request| request.session == session).cloned().collect()
    }

    /// The request with this number, if it is of this session and still kept.
    pub fn request(&self, session: &str, id: u64) -> Option<Request> {
        self.requests(session).into_iter().find(|request| request.id == id)
    }
}

/// All commands of one request. Clones share them.
#[derive(Clone, Default)]
pub struct Recording {
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    commands: Vec<Command>,
    /// How many commands were sent after the last one that is kept.
    more: usize,
    bytes: usize,
    hidden: Vec<String>,
}

/// One command as it was sent.
struct Command {
    arguments: Vec<Argument>,
    sent: Instant,
    /// None while the request waits for it.
    answer: Option<(String, Duration)>,
}

enum Argument {
    Bytes(Vec<u8>),
    /// The source of a script.
    Source(&'static Script),
    /// This many bytes, which are not kept.
    Cut(usize),
}

/// One command, to be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sent {
    /// As one types it in `redis-cli`. A script has its name in place of its hash or source.
    pub command: String,
    /// As `redis-cli` prints it; empty while the request waits for it.
    pub reply: String,
    /// From before the command was sent until its reply was there; commands of one pipeline share it.
    pub elapsed: Duration,
    /// The script's name.
    pub script: Option<&'static str>,
    /// The script's hash, for [`script`].
    pub hash: Option<&'static str>,
    /// The keys it touched, in order, as they may be shown. [`Recording::keys`] has them as they are.
    pub keys: Vec<String>,
}

impl Recording {
    /// Runs `work` with this recording. A task that `work` spawns has none, unless it runs with this again.
    pub async fn of<F: Future>(&self, work: F) -> F::Output {
        RECORDING.scope(self.clone(), work).await
    }

    /// The recording of the current task.
    pub fn current() -> Option<Self> {
        RECORDING.try_with(Self::clone).ok()
    }

    /// Never shows this text, of at least four bytes: the panel has `(hidden)` in its place. Call it with each session token, up to its
    /// first dot: nobody who reads the page of a session may get its cookie.
    pub fn hide(&self, secret: &str) {
        let mut noted = lock(&self.noted);
        if secret.len() >= 4 && !noted.hidden.iter().any(|hidden| hidden == secret) {
            noted.hidden.push(secret.to_owned());
        }
    }

    /// The commands so far, in order.
    pub fn commands(&self) -> Vec<Sent> {
        let noted = lock(&self.noted);
        noted.commands.iter().map(|command| command.shown(&noted.hidden)).collect()
    }

    /// How many commands were sent after the last one that is kept.
    pub fn more(&self) -> usize {
        lock(&self.noted).more
    }

    /// The arguments of each command as the server got them, its name included; `None` in place of a command that was too long.
    pub fn arguments(&self) -> Vec<Option<Vec<Vec<u8>>>> {
        lock(&self.noted).commands.iter().map(Command::bytes).collect()
    }

    /// The keys that were touched, each once, in order. They may hold secrets: see [`Recording::shown`].
    pub fn keys(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for key in lock(&self.noted).commands.iter().flat_map(Command::keys) {
            if !all.contains(&key) {
                all.push(key);
            }
        }
        all
    }

    /// This text as it may be shown.
    pub fn shown(&self, text: &str) -> String {
        without(text, &lock(&self.noted).hidden)
    }

    /// Notes commands that are about to be sent together. Returns the numbers of those that are kept.
    fn note(&self, commands: Vec<Vec<Argument>>) -> std::ops::Range<usize> {
        let mut noted = lock(&self.noted);
        let first = noted.commands.len();
        for arguments in commands {
            if noted.commands.len() == KEPT_COMMANDS || noted.more > 0 {
                noted.more += 1;
                continue;
            }
            let arguments = noted.within_limit(arguments);
            noted.commands.push(Command { arguments, sent: Instant::now(), answer: None });
        }
        first..noted.commands.len()
    }

    fn answer(&self, numbers: std::ops::Range<usize>, replies: impl Iterator<Item = String>) {
        let mut noted = lock(&self.noted);
        for (number, reply) in numbers.zip(replies) {
            let left = KEPT_BYTES.saturating_sub(noted.bytes);
            let reply = if reply.len() <= left { reply } else { format!("… ({} bytes)", reply.len()) };
            noted.bytes += reply.len();
            if let Some(command) = noted.commands.get_mut(number) {
                command.answer = Some((reply, command.sent.elapsed()));
            }
        }
    }
}

impl Noted {
    /// The arguments until the limit is reached, and then one that says how much is cut.
    fn within_limit(&mut self, arguments: Vec<Argument>) -> Vec<Argument> {
        let mut kept = Vec::new();
        let mut cut = 0;
        for argument in arguments {
            let length = argument.len();
            if cut == 0 && self.bytes + length + ARGUMENT_BYTES <= KEPT_BYTES {
                self.bytes += length + ARGUMENT_BYTES;
                kept.push(argument);
            } else {
                cut += length.max(1);
            }
        }
        if cut > 0 {
            kept.push(Argument::Cut(cut));
        }
        kept
    }
}

impl Argument {
    /// The bytes that are kept of it.
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Source(_) => 0,
            Self::Cut(length) => *length,
        }
    }
}

impl Command {
    fn shown(&self, hidden: &[String]) -> Sent {
        let script = self.script();
        let mut line = redis::Cmd::new();
        for (index, argument) in self.arguments.iter().enumerate() {
            match (argument, script) {
                (_, Some(script)) if index == 1 => line.arg(script.name()),
                (Argument::Bytes(bytes), _) => line.arg(bytes),
                (Argument::Source(script), _) => line.arg(script.name()),
                (Argument::Cut(length), _) => line.arg(format!("… ({length} bytes)")),
            };
        }
        let (reply, elapsed) = self.answer.clone().unwrap_or_else(|| (String::new(), self.sent.elapsed()));
        Sent {
            command: without(&command_line(&line), hidden),
            reply: without(&reply, hidden),
            elapsed,
            script: script.map(Script::name),
            hash: script.map(Script::hash),
            keys: self.keys().map(|key| without(&key, hidden)).collect(),
        }
    }

    /// The script that it runs, if it is one of a pattern.
    fn script(&self) -> Option<&'static Script> {
        match self.arguments.as_slice() {
            [_, Argument::Source(script), ..] => Some(script),
            [Argument::Bytes(name), Argument::Bytes(hash), ..] if name.eq_ignore_ascii_case(b"EVALSHA") => {
                scripts::with_hash(hash)
            }
            _ => None,
        }
    }

    fn bytes(&self) -> Option<Vec<Vec<u8>>> {
        let bytes = |argument: &Argument| match argument {
            Argument::Bytes(bytes) => Some(bytes.clone()),
            Argument::Source(script) => Some(script.source().into()),
            Argument::Cut(_) => None,
        };
        self.arguments.iter().map(bytes).collect()
    }

    fn keys(&self) -> impl Iterator<Item = String> {
        let words = self.arguments.iter().map(|argument| match argument {
            Argument::Bytes(bytes) => bytes.as_slice(),
            _ => b"",
        });
        keys::of(&words.collect::<Vec<_>>()).into_iter().map(|key| String::from_utf8_lossy(key).into_owned())
    }
}

/// A connection that notes every command in the recording of the task that sends it, if that has one.
#[derive(Clone)]
pub struct Recorded<C> {
    connection: C,
}

impl<C> Recorded<C> {
    /// Wraps a connection.
    pub fn new(connection: C) -> Self {
        Self { connection }
    }

    /// The connection itself, for commands that are not recorded, such as those of the panel.
    pub fn unrecorded(&self) -> &C {
        &self.connection
    }
}

impl<C: ConnectionLike + Send> ConnectionLike for Recorded<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let note = Note::start(|| vec![arguments(cmd)]);
            let answer = self.connection.req_packed_command(cmd).await;
            note.finish(|| match &answer {
                Ok(value) => vec![reply_text(value)],
                Err(error) => vec![error_text(error)],
            });
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let note = Note::start(|| all_arguments(pipeline));
            let answer = self.connection.req_packed_commands(pipeline, offset, count).await;
            note.finish(|| replies(pipeline, &answer));
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

/// Commands under way, and where they are noted. If it is dropped before the reply, the caller has given up: the server may still
/// execute them, and the recording says so.
struct Note(Option<(Recording, std::ops::Range<usize>)>);

impl Note {
    fn start(commands: impl FnOnce() -> Vec<Vec<Argument>>) -> Self {
        Self(Recording::current().map(|recording| {
            let numbers = recording.note(commands());
            (recording, numbers)
        }))
    }

    fn finish(mut self, replies: impl FnOnce() -> Vec<String>) {
        if let Some((recording, numbers)) = self.0.take() {
            recording.answer(numbers, replies().into_iter());
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some((recording, numbers)) = self.0.take() {
            recording.answer(numbers, std::iter::repeat("(no reply) the request stopped waiting".to_owned()));
        }
    }
}

fn arguments(cmd: &Cmd) -> Vec<Argument> {
    let plain = cmd.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => Some(bytes.to_vec()),
        // The value of a cursor is private to redis-rs, and `Arg` may grow.
        _ => None,
    });
    let plain: Option<Vec<_>> = plain.collect();
    let arguments = plain.unwrap_or_else(|| unpack(&cmd.get_packed_command()));
    let script = match arguments.as_slice() {
        [name, source, ..] if name.eq_ignore_ascii_case(b"EVAL") => scripts::with_source(source),
        _ => None,
    };
    let mut arguments: Vec<_> = arguments.into_iter().map(Argument::Bytes).collect();
    if let Some(script) = script {
        arguments[1] = Argument::Source(script);
    }
    arguments
}

/// Reads the arguments back from the bytes that go to the server: `*2\r\n$4\r\nSCAN\r\n$1\r\n0\r\n`.
fn unpack(packed: &[u8]) -> Vec<Vec<u8>> {
    let items = match redis::parse_redis_value(packed) {
        Ok(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let bytes = |item| match item {
        Value::BulkString(bytes) => bytes,
        _ => Vec::new(),
    };
    items.into_iter().map(bytes).collect()
}

fn all_arguments(pipeline: &Pipeline) -> Vec<Vec<Argument>> {
    let mut commands: Vec<_> = pipeline.cmd_iter().map(arguments).collect();
    if pipeline.is_transaction() {
        let word = |word: &str| vec![Argument::Bytes(word.into())];
        commands.insert(0, word("MULTI"));
        commands.push(word("EXEC"));
    }
    commands
}

/// One text for each command of a pipeline. A pipeline that failed as a whole has one reason for all.
fn replies(pipeline: &Pipeline, answer: &Result<Vec<Value>, RedisError>) -> Vec<String> {
    let commands = pipeline.len();
    match answer {
        Ok(values) if pipeline.is_transaction() => {
            let queued = std::iter::repeat_n("QUEUED".to_owned(), commands);
            let result = values.last().map_or_else(String::new, reply_text);
            std::iter::once("OK".to_owned()).chain(queued).chain([result]).collect()
        }
        Ok(values) => values.iter().map(reply_text).collect(),
        Err(error) => {
            let count = if pipeline.is_transaction() { commands + 2 } else { commands };
            vec![error_text(error); count]
        }
    }
}

/// `(error) WRONGTYPE Operation against a key holding the wrong kind of value`, or why there is no reply.
fn error_text(error: &RedisError) -> String {
    let text = match error.clone().into_server_errors().as_deref() {
        Some([(_, error), ..]) => format!("(error) {} {}", error.code(), error.details().unwrap_or_default()),
        _ => format!("(no reply) {error}"),
    };
    for_terminal(text.trim_end()).into_owned()
}

fn without(text: &str, hidden: &[String]) -> String {
    hidden.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "(hidden)"))
}
