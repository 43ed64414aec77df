//! A file of commands, as you would type them into redis-cli, and clients that send them.

use lab_connection::transcript::{for_terminal, whole_reply_text, words};
use redis::aio::MultiplexedConnection;
use redis::{Client, Value};

use crate::lab::{LabServer, connect};
use crate::verdict::{Fault, error_text};

/// The commands of a file. Empty lines, and lines that begin with `#`, are left out.
#[derive(Clone, Debug)]
pub struct Commands {
    lines: Vec<Line>,
}

/// One command.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it is in the file, from 1.
    pub number: usize,
    /// The command and its arguments.
    pub words: Vec<String>,
}

impl Commands {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (number, line) = (index + 1, line.trim());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words = words::split(line)
                .ok_or_else(|| Fault::new(format!("Line {number}: a quote is not closed: {line}")))?;
            let words = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            lines.push(Line { number, words });
        }
        if lines.is_empty() {
            return Err(Fault::new("The file has no command yet."));
        }
        Ok(Self { lines })
    }

    /// The same with a value in place of each `$name`.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut commands = self.clone();
        let words = commands.lines.iter_mut().flat_map(|line| &mut line.words);
        words.for_each(|word| *word = word.replace(name, value));
        commands
    }

    /// The commands.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The first of them: what a client sends that dies after this many.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self { lines: self.lines.iter().take(count).cloned().collect() }
    }

    /// One client sends them all. Returns the replies; an error of the server is one, too.
    pub async fn play(&self, client: &mut Player) -> Result<Vec<Value>, Fault> {
        let mut replies = Vec::new();
        for line in &self.lines {
            replies.push(client.send(line).await?);
        }
        Ok(replies)
    }
}

/// Several clients send their commands in turn, line by line: the order that hurts a client that reads first and writes later.
pub async fn interleave(clients: &mut [(Commands, Player)]) -> Result<(), Fault> {
    let most = clients.iter().map(|(commands, _)| commands.lines.len()).max().unwrap_or_default();
    for index in 0..most {
        for (commands, client) in &mut *clients {
            if let Some(line) = commands.lines.get(index) {
                client.send(line).await?;
            }
        }
    }
    Ok(())
}

/// What several clients sent and got, in the order in which [`interleave`] sent it.
#[must_use]
pub fn interleaving(clients: &[(Commands, Player)]) -> Vec<String> {
    let most = clients.iter().map(|(_, client)| client.log.len()).max().unwrap_or_default();
    (0..most)
        .flat_map(|index| clients.iter().filter_map(move |(_, client)| client.log.get(index).cloned()))
        .collect()
}

/// A client with a connection of its own, which remembers what it sent.
pub struct Player {
    name: String,
    connection: MultiplexedConnection,
    /// What it sent and got, a line each: `A> GET tickets: "10"`.
    pub log: Vec<String>,
}

impl Player {
    /// Connects. The name is what the log shows.
    pub async fn connect(server: &LabServer, name: impl Into<String>) -> Result<Self, Fault> {
        Self::at(&server.client(), name).await
    }

    /// The same, for a node of a cluster.
    pub async fn at(client: &Client, name: impl Into<String>) -> Result<Self, Fault> {
        Ok(Self { name: name.into(), connection: connect(client).await?, log: Vec::new() })
    }

    /// Sends one command. An error of the server is a reply; a lost connection or a reply that does not come is a fault.
    pub async fn send(&mut self, line: &Line) -> Result<Value, Fault> {
        let mut command = redis::Cmd::new();
        for word in &line.words {
            command.arg(word);
        }
        let reply = match command.query_async::<Value>(&mut self.connection).await {
            Ok(reply) => reply,
            Err(error) if error.is_timeout() || error.is_connection_dropped() || error.is_io_error() => {
                let fault = Fault::from(error);
                let what = format!("Line {}, {}: {}", line.number, shown(line), fault.what);
                return Err(Fault::new(what).observed(self.log.clone()));
            }
            Err(error) => {
                self.log.push(format!("{}> {}: (error) {}", self.name, shown(line), error_text(&error)));
                return Ok(Value::SimpleString(format!("(error) {}", error_text(&error))));
            }
        };
        let text = whole_reply_text(&reply).lines().map(str::trim).collect::<Vec<_>>().join(", ");
        self.log.push(format!("{}> {}: {}", self.name, shown(line), text));
        Ok(reply)
    }
}

fn shown(line: &Line) -> String {
    for_terminal(&line.words.join(" ")).into_owned()
}
