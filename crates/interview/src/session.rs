//! A block, executed: servers, clients, commands, and the replies that really came.

#[cfg(feature = "tls")]
mod certificates;
mod client;
mod reply;
mod scene;
mod stream;

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use lab_server::Choice;
use redis::Value;

use self::client::Client;
use self::reply::Redirection;
use self::scene::Scene;
use crate::block::{Block, Command, Entry, Place, Step};
use crate::matching::Alignment;

/// How long `~>` repeats a command.
const RETRIED_FOR: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);
/// How long a command that is not waited for may take to reach the server.
const SETTLED_WITHIN: Duration = Duration::from_millis(500);
/// A cluster that is well sends one on once or twice.
const MOST_REDIRECTIONS: usize = 5;

/// Why a block is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unable {
    /// It cannot be, here; the reason.
    Skipped(String),
    /// It should have been; what went wrong.
    Failed(String),
}

/// What happened, in the order in which it did.
#[derive(Clone, Debug)]
pub enum Heard<'a> {
    /// A comment of the block.
    Comment(&'a str),
    /// A step, just before its command is sent.
    Asked(&'a Step),
    /// The reply to the step asked last.
    Answered(Answer<'a>),
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
    #[must_use]
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
    met: HashSet<u16>,
    scene: Scene,
}

impl Session {
    /// Starts fresh, empty servers, as the block wants them; `choice` decides where it names no release.
    pub fn start(place: &Place, choice: &Choice) -> Result<Self, Unable> {
        let scene = Scene::start(place, choice)?;
        Ok(Self { clients: HashMap::new(), observer: None, met: HashSet::new(), scene })
    }

    /// Executes a block and tells `hear` everything as it happens. A connection that falls silent ends it; a wrong reply
    /// does not. Returns the answers.
    pub fn execute<'a>(&mut self, block: &'a Block, hear: &mut dyn FnMut(&Heard<'a>)) -> Vec<Answer<'a>> {
        let mut answers = Vec::new();
        for entry in &block.entries {
            let step = match entry {
                Entry::Comment(text) => {
                    hear(&Heard::Comment(text));
                    continue;
                }
                Entry::Step(step) => step,
            };
            hear(&Heard::Asked(step));
            let outcome = self.take(step);
            let silent = outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
            let lines = outcome.unwrap_or_else(|error| {
                self.clients.remove(&step.client);
                Some(vec![silence(&error)])
            });
            if let Some(lines) = lines {
                let lines: Vec<String> = lines.into_iter().map(|line| self.without_password(line)).collect();
                let alignment = aligned(step, &lines);
                let answer = Answer { step, lines, alignment };
                hear(&Heard::Answered(answer.clone()));
                answers.push(answer);
            }
            if silent {
                break;
            }
        }
        answers
    }

    /// One step; the lines of its reply, if it waits for one.
    fn take(&mut self, step: &Step) -> io::Result<Option<Vec<String>>> {
        let Some(command) = &step.command else {
            let heard = self.client(&step.client)?.next()?;
            return Ok(Some(reply::lines(None, &heard)));
        };
        if step.expected.is_empty() {
            self.client(&step.client)?.send(&command.words)?;
            self.settle(&step.client);
            return Ok(None);
        }
        let since = Instant::now();
        loop {
            let lines = self.ask(&step.client, command)?;
            if !step.retried || since.elapsed() > RETRIED_FOR || aligned(step, &lines).fits() {
                return Ok(Some(lines));
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
    }

    /// Sends a command and waits for its reply, at another node if one is sent there.
    fn ask(&mut self, name: &str, command: &Command) -> io::Result<Vec<String>> {
        let follows = self.scene.follows(name);
        let mut lines = Vec::new();
        self.client(name)?.send(&command.words)?;
        for _ in 0..MOST_REDIRECTIONS {
            let value = self.client(name)?.reply(reply::subscribes(command))?;
            let Some(redirection) = Redirection::of(&value).filter(|_| follows) else {
                lines.extend(reply::lines(Some(command), &value));
                if command.says(0, "RESET") {
                    // It logs one out, too; on a server without a password one would not notice.
                    let password = self.scene.password().to_owned();
                    self.client(name)?.log_in(&password)?;
                }
                return self.rest(name, command, &value, lines);
            };
            lines.push(redirection.line());
            let mut client = connect(&self.scene, &mut self.met, redirection.port)?;
            if redirection.asks {
                client.send(&[b"ASKING".to_vec()])?;
                client.reply(false)?;
            }
            client.send(&command.words)?;
            self.clients.insert(name.to_owned(), client);
        }
        Err(io::Error::other("the nodes send each other's clients around in a circle"))
    }

    /// The other replies of a command that gets several.
    fn rest(
        &mut self,
        name: &str,
        command: &Command,
        first: &Value,
        mut lines: Vec<String>,
    ) -> io::Result<Vec<String>> {
        if !matches!(first, Value::Array(_) | Value::Push { .. }) {
            return Ok(lines);
        }
        for _ in 1..reply::count(command) {
            let value = self.client(name)?.reply(true)?;
            lines.extend(reply::lines(Some(command), &value));
        }
        Ok(lines)
    }

    fn client(&mut self, name: &str) -> io::Result<&mut Client> {
        use std::collections::hash_map::Entry;
        match self.clients.entry(name.to_owned()) {
            Entry::Occupied(client) => Ok(client.into_mut()),
            Entry::Vacant(place) => {
                let client = connect(&self.scene, &mut self.met, self.scene.port_of(name))?;
                Ok(place.insert(client))
            }
        }
    }

    /// Waits until a command that nobody waits for has reached the server: it was answered, or it blocks there. Commands
    /// of other clients would overtake it otherwise.
    fn settle(&mut self, name: &str) {
        let since = Instant::now();
        while since.elapsed() < SETTLED_WITHIN {
            let client = &self.clients[name];
            if client.has_heard(Duration::from_millis(2)) || self.blocks(name) == Some(true) {
                return;
            }
        }
    }

    /// Whether the server says of a client that it is blocked; `None` when the server does not answer.
    fn blocks(&mut self, name: &str) -> Option<bool> {
        let port = self.clients.get(name)?.own_port()?;
        if self.observer.is_none() {
            let observer = self.scene.connect(name).ok()?;
            observer.set_patience(SETTLED_WITHIN).ok()?;
            self.observer = Some(observer);
        }
        let observer = self.observer.as_mut()?;
        let asked =
            observer.send(&[b"CLIENT".to_vec(), b"LIST".to_vec()]).and_then(|()| observer.reply(false));
        let Ok(Value::BulkString(list)) = asked else {
            // A server that is busy with this very command answers nobody.
            self.observer = None;
            return Some(true);
        };
        let list = String::from_utf8_lossy(&list).into_owned();
        let line = list.lines().find(|line| line.contains(&format!(" addr=127.0.0.1:{port} ")))?;
        let flags = line.split(' ').find_map(|field| field.strip_prefix("flags="))?;
        Some(flags.contains('b'))
    }

    /// The servers' password is nobody's business, and differs in every run.
    fn without_password(&self, line: String) -> String {
        match self.scene.password() {
            "" => line,
            password => line.replace(password, "(redacted)"),
        }
    }
}

/// Connects to one of the servers; the first client waits until it is alone there.
fn connect(scene: &Scene, met: &mut HashSet<u16>, port: u16) -> io::Result<Client> {
    let mut client = scene.connect_to(port)?;
    if met.insert(port) {
        wait_to_be_alone(&mut client)?;
    }
    Ok(client)
}

/// Waits until the startup check has disconnected, because an example that counts clients would see it.
fn wait_to_be_alone(client: &mut Client) -> io::Result<()> {
    let since = Instant::now();
    let list = ["CLIENT", "LIST", "TYPE", "normal"].map(|word| word.as_bytes().to_vec());
    while since.elapsed() < client::PATIENCE {
        client.send(&list)?;
        match client.reply(false)? {
            Value::BulkString(clients) if String::from_utf8_lossy(&clients).lines().nth(1).is_some() => {}
            _ => return Ok(()),
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    Err(io::Error::other("somebody else is connected to this server of the example's own"))
}

/// redis-cli prints a redirection, but the guide may leave it out.
fn aligned(step: &Step, lines: &[String]) -> Alignment {
    let told = |lines: &[String]| lines.first().is_some_and(|line| line.starts_with("-> Redirected"));
    let skipped = if told(&step.expected) {
        0
    } else {
        lines.iter().take_while(|line| told(&[(*line).clone()])).count()
    };
    Alignment::of(&step.expected, &lines[skipped..])
}

/// What stands in the place of a reply that did not come; a closed connection in redis-cli's words.
fn silence(error: &io::Error) -> String {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
            "Error: Server closed the connection".into()
        }
        TimedOut => format!("(no reply within {} s)", client::PATIENCE.as_secs()),
        _ => format!("(no reply) {error}"),
    }
}
