//! A block, executed: servers, clients, commands, and the replies that really came.

mod actions;
#[cfg(feature = "tls")]
mod certificates;
mod expected;
mod servers;

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab_connection::raw_client::{
    Client, REPLY_TIMEOUT, Redirection, changes_subscriptions, reply_count, reply_lines,
};
use lab_server::Choice;
use redis::Value;

use self::servers::Servers;
use crate::block::{Block, Command, Entry, Environment, Step};
use crate::matching::Alignment;

/// How long `~>` repeats a command.
const RETRIED_FOR: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);
/// How long a command that is not waited for may take to reach the server.
const SETTLED_WITHIN: Duration = Duration::from_millis(500);
/// A healthy cluster redirects a client once or twice.
const MOST_REDIRECTIONS: usize = 5;

/// Why a block is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotExecuted {
    /// It cannot be, here; the reason.
    Skipped(String),
    /// It should have been; what went wrong.
    Failed(String),
}

/// What happened, in the order in which it did.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A comment of the block.
    Comment(&'a str),
    /// A step, just before its command is sent.
    Sending(&'a Step),
    /// The reply to the last step.
    Replied(Answer<'a>),
}

/// A reply that came, beside the expected one.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// The step.
    pub step: &'a Step,
    /// What came, as redis-cli prints it.
    pub lines: Vec<String>,
    /// The expected lines and these, side by side.
    pub alignment: Alignment,
}

impl Answer<'_> {
    /// Whether the reply is the expected one.
    pub fn fits(&self) -> bool {
        self.alignment.fits()
    }
}

/// Servers and clients of one block, and of the `same` blocks after it.
pub struct Session {
    // Dropped in this order: connections are closed before their servers end.
    clients: HashMap<String, Client>,
    /// Asks a server what a client is doing; made when it is first needed.
    observer: Option<Client>,
    /// The servers, by their port, on which a client found itself alone.
    visited: HashSet<u16>,
    servers: Servers,
}

impl Session {
    /// Starts fresh, empty servers, as the block wants them; `choice` decides where it names no release.
    pub fn start(environment: &Environment, choice: &Choice) -> Result<Self, NotExecuted> {
        let servers = Servers::start(environment, choice)?;
        Ok(Self { clients: HashMap::new(), observer: None, visited: HashSet::new(), servers })
    }

    /// Skips a `same` block if the server lacks a command that the block needs.
    pub(crate) fn check_commands(&self, commands: &[String]) -> Result<(), NotExecuted> {
        self.servers.check_commands(commands)
    }

    /// Executes a block, reports everything to `listen` as it happens, and returns the answers. A connection that falls silent ends
    /// it; a wrong reply does not.
    pub fn execute<'a>(&mut self, block: &'a Block, listen: &mut dyn FnMut(&Event<'a>)) -> Vec<Answer<'a>> {
        let mut answers = Vec::new();
        for entry in &block.entries {
            let step = match entry {
                Entry::Comment(text) => {
                    listen(&Event::Comment(text));
                    continue;
                }
                Entry::Step(step) => step,
            };
            listen(&Event::Sending(step));
            let reply = self.execute_step(step);
            let silent = reply.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
            let lines = reply.unwrap_or_else(|error| {
                self.clients.remove(&step.client);
                Some(vec![in_place_of_a_reply(&error)])
            });
            if let Some(lines) = lines {
                let lines: Vec<String> = lines.into_iter().map(|line| self.without_password(line)).collect();
                let answer = Answer { step, alignment: self.aligned(step, &lines), lines };
                listen(&Event::Replied(answer.clone()));
                answers.push(answer);
            }
            if silent {
                break;
            }
        }
        answers
    }

    /// The lines of the reply, if the step waits for one.
    fn execute_step(&mut self, step: &Step) -> io::Result<Option<Vec<String>>> {
        if let Some(action) = &step.action {
            return self.act(action).map(|()| None);
        }
        let Some(command) = &step.command else {
            let reply = self.client(&step.client)?.next()?;
            return Ok(Some(reply_lines(&[], &reply)));
        };
        if step.is_raw() {
            let bytes = self.client(&step.client)?.exchange(&command.words.concat())?;
            return Ok(Some(reply_lines(&[], &Value::BulkString(bytes))));
        }
        if step.expected.is_empty() {
            self.client(&step.client)?.send(&command.words)?;
            self.settle(&step.client);
            return Ok(None);
        }
        let since = Instant::now();
        loop {
            let asked = self.ask(&step.client, command);
            let fits = asked.as_ref().is_ok_and(|lines| self.aligned(step, lines).fits());
            let silent = asked.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
            if fits || silent || !step.retried || since.elapsed() > RETRIED_FOR {
                return asked.map(Some);
            }
            // The next try begins where this one did: at another node, it would not be redirected. And a server that
            // becomes a replica closes its connections.
            if asked.map_or(true, |lines| lines.iter().any(|line| is_redirection(line))) {
                self.clients.remove(&step.client);
            }
            sleep(BETWEEN_TRIES);
        }
    }

    /// Sends a command and waits for its replies, at another node if it is redirected.
    fn ask(&mut self, name: &str, command: &Command) -> io::Result<Vec<String>> {
        let follows = self.servers.follows_redirections(name);
        let words = self.filled_in(&command.words)?;
        let mut lines = Vec::new();
        self.client(name)?.send(&words)?;
        for _ in 0..MOST_REDIRECTIONS {
            let value = self.client(name)?.reply(changes_subscriptions(&command.words))?;
            let Some(redirection) = Redirection::of(&value).filter(|_| follows) else {
                lines.extend(reply_lines(&command.words, &value));
                if command.has_word(0, &["RESET"]) {
                    // It logs the client out, too; on a server without a password you would not notice.
                    let password = self.servers.password().to_owned();
                    self.client(name)?.log_in(None, &password)?;
                }
                if matches!(value, Value::Array(_) | Value::Push { .. }) {
                    for _ in 1..reply_count(&command.words) {
                        let value = self.client(name)?.reply(true)?;
                        lines.extend(reply_lines(&command.words, &value));
                    }
                }
                return Ok(lines);
            };
            lines.push(redirection.line());
            let mut client = connect(&self.servers, &mut self.visited, redirection.port)?;
            if redirection.asks {
                client.send(&[b"ASKING".to_vec()])?;
                client.reply(false)?;
            }
            client.send(&words)?;
            self.clients.insert(name.to_owned(), client);
        }
        Err(io::Error::other("the nodes redirect the client in a circle"))
    }

    /// The words to send: `<node2>` becomes the ID of that node, `<node2:port>` its port, and `<password>` the password.
    fn filled_in(&self, words: &[Vec<u8>]) -> io::Result<Vec<Vec<u8>>> {
        let id_of = |word: &[u8]| {
            let Some(node) = self.servers.named_node(word) else {
                let text = str::from_utf8(word);
                return Ok(text.map_or_else(|_| word.to_owned(), |text| self.servers.filled_in(text).into()));
            };
            let mut client = self.servers.connect(self.servers.port_of(node))?;
            client.send(&[b"CLUSTER".to_vec(), b"MYID".to_vec()])?;
            match client.reply(false)? {
                Value::BulkString(id) => Ok(id),
                other => Err(io::Error::other(format!("CLUSTER MYID replied {other:?}"))),
            }
        };
        words.iter().map(|word| id_of(word)).collect()
    }

    fn client(&mut self, name: &str) -> io::Result<&mut Client> {
        match self.clients.entry(name.to_owned()) {
            MapEntry::Occupied(client) => Ok(client.into_mut()),
            MapEntry::Vacant(vacant) => {
                let port = self.servers.port_of(name);
                Ok(vacant.insert(connect(&self.servers, &mut self.visited, port)?))
            }
        }
    }

    /// Waits until a command that nobody waits for has reached the server: it was answered, or it blocks there. Commands
    /// of other clients would overtake it otherwise.
    fn settle(&mut self, name: &str) {
        let since = Instant::now();
        while since.elapsed() < SETTLED_WITHIN {
            let client = &self.clients[name];
            if client.has_data(Duration::from_millis(2)) || self.is_blocked(name) == Some(true) {
                return;
            }
        }
    }

    /// Whether the server says that a client is blocked; `None` when the server does not answer.
    fn is_blocked(&mut self, name: &str) -> Option<bool> {
        let port = self.clients.get(name)?.own_port()?;
        if self.observer.is_none() {
            let observer = self.servers.connect(self.servers.port_of(name)).ok()?;
            observer.set_reply_timeout(Some(SETTLED_WITHIN)).ok()?;
            self.observer = Some(observer);
        }
        let observer = self.observer.as_mut()?;
        let reply =
            observer.send(&[b"CLIENT".to_vec(), b"LIST".to_vec()]).and_then(|()| observer.reply(false));
        let Ok(Value::BulkString(list)) = reply else {
            // A server that is busy with this very command answers nobody.
            self.observer = None;
            return Some(true);
        };
        let list = String::from_utf8_lossy(&list);
        let line = list.lines().find(|line| line.contains(&format!(" addr=127.0.0.1:{port} ")))?;
        let flags = line.split(' ').find_map(|field| field.strip_prefix("flags="))?;
        Some(flags.contains('b'))
    }

    /// What came beside what is expected on this server. redis-cli prints a redirection, but the guide may leave it out.
    fn aligned(&self, step: &Step, lines: &[String]) -> Alignment {
        let expected = expected::lines(&step.expected, &self.servers.product_line());
        let expected: Vec<String> = expected.iter().map(|line| self.servers.filled_in(line)).collect();
        let skipped = if expected.first().is_some_and(|line| is_redirection(line)) {
            0
        } else {
            lines.iter().take_while(|line| is_redirection(line)).count()
        };
        Alignment::of(&expected, &lines[skipped..])
    }

    /// Passwords are not printed, and they differ in every run.
    fn without_password(&self, line: String) -> String {
        match self.servers.password() {
            "" => line,
            password => line.replace(password, "(redacted)"),
        }
    }
}

/// Whether redis-cli says here that it goes to another node.
pub(crate) fn is_redirection(line: &str) -> bool {
    line.starts_with("-> Redirected")
}

/// Connects to one of the servers. The first client waits until the startup check has disconnected, because an example that counts
/// clients would see it.
fn connect(servers: &Servers, visited: &mut HashSet<u16>, port: u16) -> io::Result<Client> {
    let mut client = servers.connect(port)?;
    if !visited.insert(port) || !servers.are_alone() {
        return Ok(client);
    }
    let since = Instant::now();
    let list = ["CLIENT", "LIST", "TYPE", "normal"].map(|word| word.as_bytes().to_vec());
    while since.elapsed() < REPLY_TIMEOUT {
        client.send(&list)?;
        match client.reply(false)? {
            Value::BulkString(clients) if String::from_utf8_lossy(&clients).lines().nth(1).is_some() => {}
            _ => return Ok(client),
        }
        sleep(BETWEEN_TRIES);
    }
    Err(io::Error::other("somebody else is connected to this server of the example's own"))
}

/// What to show if no reply came: of a closed connection, what redis-cli says.
fn in_place_of_a_reply(error: &io::Error) -> String {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
            "Error: Server closed the connection".into()
        }
        TimedOut => format!("(no reply within {} s)", REPLY_TIMEOUT.as_secs()),
        _ => format!("(no reply) {error}"),
    }
}
