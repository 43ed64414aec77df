//! The rights of a user, recorded from what a server was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use futures_util::StreamExt;
use lab_server::Server;
use lab_testing::TestConnection;
use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Pipeline, Value};
use tokio::task::JoinHandle;

/// Commands, keys, and channels, without the prefix of the keys and channels.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rights {
    /// In lower case, `xgroup|create` for a subcommand.
    pub commands: BTreeSet<String>,
    /// Commands that a script which was run has, but did not send.
    pub rare_commands: BTreeSet<String>,
    /// The glob, and whether it is read and written.
    pub keys: BTreeMap<String, (bool, bool)>,
    pub channels: BTreeSet<String>,
}

impl Rights {
    /// The rules of `ACL SETUSER`. `%R~` is a key that is only read, `%W~` one that is only written.
    pub fn rules(&self, prefix: &str) -> Vec<String> {
        // The glob ends with `:*`.
        let glob = patterns::key::scan_pattern(prefix, "");
        let prefix = &glob[..glob.len() - 2];
        let commands: BTreeSet<_> = self.commands.union(&self.rare_commands).collect();
        let mut rules: Vec<String> = commands.into_iter().map(|command| format!("+{command}")).collect();
        for (key, (read, write)) in &self.keys {
            let tilde = match (read, write) {
                (true, false) => "%R~",
                (false, true) => "%W~",
                _ => "~",
            };
            rules.push(format!("{tilde}{prefix}{key}"));
        }
        rules.extend(self.channels.iter().map(|channel| format!("&{prefix}{channel}")));
        rules
    }

    /// The rights in a line of acl.txt.
    pub fn parse(line: &str) -> Self {
        let mut rights = Self::default();
        for rule in line.split_whitespace() {
            if let Some(command) = rule.strip_prefix('+') {
                rights.commands.insert(command.to_owned());
            } else if let Some(channel) = rule.strip_prefix('&') {
                rights.channels.insert(channel.to_owned());
            } else if let Some((sigil, key)) = rule.split_once('~') {
                rights.keys.insert(key.to_owned(), (sigil != "%W", sigil != "%R"));
            }
        }
        rights
    }

    /// These and those.
    pub fn with(mut self, others: Self) -> Self {
        self.commands.extend(others.commands);
        self.rare_commands.extend(others.rare_commands);
        self.channels.extend(others.channels);
        for (key, (read, write)) in others.keys {
            let right = self.keys.entry(key).or_default();
            *right = (right.0 || read, right.1 || write);
        }
        self
    }

    /// The line of acl.txt.
    pub fn line(&self, pattern: &str) -> String {
        let mut line = format!("{pattern}:");
        for rule in self.rules("") {
            // Writing to a String cannot fail.
            let _ = write!(line, " {rule}");
        }
        line
    }

    /// Each right in words, with the rights that are left without it. Rare commands stay.
    pub fn each_without_one(&self) -> Vec<(String, Self)> {
        let mut without = Vec::new();
        for command in &self.commands {
            let mut left = self.clone();
            left.commands.remove(command);
            without.push((format!("+{command}"), left));
        }
        for (key, (read, write)) in &self.keys {
            for (name, right) in [("reading", (false, *write)), ("writing", (*read, false))] {
                if right == (*read, *write) {
                    continue;
                }
                let mut left = self.clone();
                if right == (false, false) {
                    left.keys.remove(key);
                } else {
                    left.keys.insert(key.clone(), right);
                }
                without.push((format!("{name} {key}"), left));
            }
        }
        for channel in &self.channels {
            let mut left = self.clone();
            left.channels.remove(channel);
            without.push((format!("channel {channel}"), left));
        }
        without
    }
}

/// Records what a server is sent, with MONITOR.
pub struct Recording {
    /// Each command once, with the address of the client that it came from.
    commands: JoinHandle<BTreeSet<(String, Vec<String>)>>,
}

/// What ends a recording.
const END: &str = "end of the recording";

impl Recording {
    /// Records all commands, those of scripts too.
    pub async fn start(server: &Server) -> Self {
        let monitor = server.client().get_async_monitor().await.unwrap();
        let commands = tokio::spawn(async move {
            let mut messages = monitor.into_on_message::<String>();
            let (mut commands, mut address) = (BTreeSet::new(), String::new());
            while let Some(line) = messages.next().await {
                if line.contains(END) {
                    break;
                }
                // `1700000000.123456 [0 127.0.0.1:1234] "GET" "key"`. A script's calls follow it, and come from `lua`.
                let Some((source, command)) = line.split_once("] ") else { continue };
                if let Some((_, from)) = source.rsplit_once(' ').filter(|(_, from)| *from != "lua") {
                    from.clone_into(&mut address);
                }
                commands.insert((address.clone(), words(command)));
            }
            commands
        });
        Self { commands }
    }

    /// The rights that all of it needs, of those addresses that `is_meant` accepts. Every key and channel must begin with the
    /// prefix.
    pub async fn end(
        self,
        admin: &TestConnection,
        prefix: &str,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<Rights, String> {
        let _: String = admin.send(&["ECHO", END]).await;
        let commands = self.commands.await.map_err(|error| error.to_string())?;
        let commands: BTreeSet<Vec<String>> =
            commands.into_iter().filter(|(address, _)| is_meant(address)).map(|(_, words)| words).collect();
        let kinds = kinds_of(&commands, admin).await?;
        let mut rights = Rights::default();
        let mut keyed = Vec::new();
        for words in commands {
            let name = words[0].to_lowercase();
            let Some(kind) = kinds.get(&name) else { return Err(format!("the server does not know {name}")) };
            // AUTH and HELLO need no right. redis-rs introduces itself, and goes on if that is refused.
            if kind.needs_no_right || name == "client" {
                continue;
            }
            let published = if name.ends_with("publish") { 1..2 } else { 1..words.len() };
            if name.ends_with("publish") || name.ends_with("subscribe") {
                for channel in &words[published] {
                    rights.channels.insert(glob(channel, prefix)?);
                }
            }
            if name == "eval" {
                rights.rare_commands.extend(commands_in_script(&words[1]));
            }
            let subcommand = kind.has_subcommands.then(|| words.get(1)).flatten();
            rights.commands.insert(match subcommand {
                Some(subcommand) => format!("{name}|{}", subcommand.to_lowercase()),
                None => name,
            });
            keyed.push(words);
        }
        // A command with subcommands is in `commands` only with one of them.
        let has =
            |name: &String| rights.commands.iter().any(|command| command.split('|').next() == Some(name));
        rights.rare_commands.retain(|name| !has(name));
        for chunk in keyed.chunks(1_000) {
            for (key, read, write) in keys_of(chunk, admin).await? {
                let right = rights.keys.entry(glob(&key, prefix)?).or_default();
                *right = (right.0 || read || !write, right.1 || write);
            }
        }
        Ok(rights)
    }
}

/// The commands in `call('X'`, and those in `require_commands('X', 'Y')`, in lower case.
pub fn commands_in_script(source: &str) -> BTreeSet<String> {
    let mut commands = crate::engine::commands_of(source);
    let required = source.split("require_commands(").skip(1).filter_map(|after| after.split(')').next());
    commands.extend(required.flat_map(|names| names.split('\'').skip(1).step_by(2)).map(str::to_owned));
    commands.into_iter().map(|command| command.to_lowercase()).collect()
}

/// What the server says about a command.
struct Kind {
    has_subcommands: bool,
    needs_no_right: bool,
}

async fn kinds_of(
    commands: &BTreeSet<Vec<String>>,
    admin: &TestConnection,
) -> Result<BTreeMap<String, Kind>, String> {
    let names: BTreeSet<String> = commands.iter().map(|words| words[0].to_lowercase()).collect();
    let mut ask = vec!["COMMAND", "INFO"];
    ask.extend(names.iter().map(String::as_str));
    let replies: Vec<Option<Vec<Value>>> = admin.send(&ask).await;
    let mut kinds = BTreeMap::new();
    for (name, reply) in names.into_iter().zip(replies) {
        let Some(reply) = reply else { continue };
        let flags: Vec<String> = part(&reply, 2)?;
        let subcommands: Vec<Value> = part(&reply, 9)?;
        let needs_no_right = flags.iter().any(|flag| flag == "no_auth");
        kinds.insert(name, Kind { has_subcommands: !subcommands.is_empty(), needs_no_right });
    }
    Ok(kinds)
}

fn part<T: FromRedisValue>(reply: &[Value], at: usize) -> Result<T, String> {
    T::from_redis_value(reply.get(at).cloned().unwrap_or(Value::Nil)).map_err(|error| error.to_string())
}

/// The keys of these commands, and whether each is read and written: the server says so.
async fn keys_of(
    commands: &[Vec<String>],
    admin: &TestConnection,
) -> Result<BTreeSet<(String, bool, bool)>, String> {
    let mut ask = Pipeline::new();
    for words in commands {
        ask.cmd("COMMAND").arg("GETKEYSANDFLAGS").arg(words);
    }
    let replies = admin.clone().req_packed_commands(&ask, 0, commands.len()).await;
    let mut keys = BTreeSet::new();
    for reply in replies.map_err(|error| error.to_string())? {
        // An error says that the command has no keys.
        let Ok(named) = Vec::<(String, Vec<String>)>::from_redis_value(reply) else { continue };
        for (key, flags) in named {
            let has = |wanted: &[&str]| flags.iter().any(|flag| wanted.contains(&flag.as_str()));
            keys.insert((key, has(&["access"]), has(&["insert", "delete", "update"])));
        }
    }
    Ok(keys)
}

/// `cart:*` for `test1:cart:{test1:cart:1}:prices` with the prefix `test1:`: IDs are any text.
fn glob(name: &str, prefix: &str) -> Result<String, String> {
    let own = name.strip_prefix(prefix).ok_or_else(|| format!("{name} does not begin with the prefix"))?;
    Ok(own.split_once(':').map_or_else(|| own.to_owned(), |(namespace, _)| format!("{namespace}:*")))
}

/// The words of a line of MONITOR: `"SET" "user:1" "a\x00\"b\\"`.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted => {
                words.push(std::mem::take(&mut word));
                quoted = false;
            }
            '"' => quoted = true,
            '\\' => match characters.next() {
                // Keys have no such bytes here, so what they stand for does not matter.
                Some('x') => word.extend(['\\', 'x']),
                Some(escaped) => word.push(escaped),
                None => {}
            },
            _ if quoted => word.push(character),
            _ => {}
        }
    }
    words
}
