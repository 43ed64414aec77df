//! The servers of an example: fresh, empty, and gone afterward.

use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Duration;

use lab_connection::raw_client::Client;
use lab_server::{Builder, Choice, Cluster, Error, Replicated, Sentinels, Server};
use redis::Value;
#[cfg(feature = "tls")]
use rustls::{ClientConnection, StreamOwned};

use super::NotExecuted;
#[cfg(feature = "tls")]
use super::certificates::{NAME, Trust};
use crate::block::{Environment, Layout};

/// Servers that were started for one block, and how to reach them.
pub(super) struct Servers {
    running: Running,
    #[cfg(feature = "tls")]
    trust: Option<Trust>,
}

enum Running {
    /// By their names. A single server has an empty one.
    Named(Vec<(&'static str, Server)>),
    Cluster(Cluster),
}

/// How long a server is silent before the Sentinels take it for down.
const DOWN_AFTER: Duration = Duration::from_secs(1);

impl Servers {
    /// Starts what the block asks for; where it names no release, `choice` decides.
    pub(super) fn start(environment: &Environment, choice: &Choice) -> Result<Self, NotExecuted> {
        if let Some(reason) = &environment.no_run {
            return Err(NotExecuted::Skipped(reason.clone()));
        }
        #[cfg(feature = "tls")]
        let trust = match environment.tls.then(Trust::make).transpose() {
            Ok(trust) => trust,
            Err(error) => return Err(NotExecuted::Failed(format!("certificates: {error}"))),
        };
        #[cfg(not(feature = "tls"))]
        if environment.tls {
            return Err(NotExecuted::Skipped("this program was built without TLS".into()));
        }
        let choice = match environment.release {
            Some(release) => Choice { release: Some(release), program: None, fetch: choice.fetch },
            None => choice.clone(),
        };
        let builder = Server::builder().choice(choice.clone());
        #[cfg(feature = "tls")]
        let builder = match &trust {
            Some(trust) => trust.shown_by(builder),
            None => builder,
        };
        let builder = if environment.power_cut { builder.losable_page_cache() } else { builder };
        let running = start(environment, choice, builder).map_err(|error| match error {
            Error::NoTls { .. } => NotExecuted::Skipped("this server was built without TLS".into()),
            Error::NoFsyncLog { .. } => {
                NotExecuted::Skipped("a power cut needs Linux and a C compiler".into())
            }
            // A release that the block names may not exist for this machine.
            Error::NotInstalled { release, .. }
            | Error::NotForThisPlatform { release, .. }
            | Error::LibcTooOld { release, .. }
            | Error::FetchForbidden { release }
                if environment.release == Some(release) =>
            {
                NotExecuted::Skipped(format!("{release} cannot be had here"))
            }
            Error::Fetch { .. } if environment.release.is_some() => {
                NotExecuted::Skipped("its server could not be fetched".into())
            }
            error => NotExecuted::Failed(error.to_string()),
        })?;
        let servers = Self {
            running,
            #[cfg(feature = "tls")]
            trust,
        };
        servers.check_commands(&environment.needs)?;
        Ok(servers)
    }

    /// Skips a block if the server lacks a command that the block needs.
    pub(super) fn check_commands(&self, commands: &[String]) -> Result<(), NotExecuted> {
        match self.missing(commands)? {
            None => Ok(()),
            Some(command) => Err(NotExecuted::Skipped(format!("this server has no {command}"))),
        }
    }

    /// Connects a client to one of the servers.
    pub(super) fn connect(&self, port: u16) -> io::Result<Client> {
        #[cfg(feature = "tls")]
        if let Some(trust) = &self.trust {
            return Client::connect(port, self.password(), |socket| {
                let name = NAME.try_into().map_err(io::Error::other)?;
                let connection =
                    ClientConnection::new(Arc::clone(&trust.client), name).map_err(io::Error::other)?;
                Ok(Box::new(StreamOwned::new(connection, socket)) as _)
            });
        }
        Client::connect(port, self.password(), |socket| Ok(Box::new(socket)))
    }

    /// The port at which a client of this name begins.
    pub(super) fn port_of(&self, client: &str) -> u16 {
        let server = self.named(client).unwrap_or_else(|| self.first());
        server.tls_port().unwrap_or_else(|| server.port())
    }

    /// Whether a client of this name goes where MOVED and ASK send it.
    pub(super) fn follows_redirections(&self, client: &str) -> bool {
        matches!(self.running, Running::Cluster(_)) && self.named(client).is_none()
    }

    /// Whether nobody but the clients connects to the servers.
    pub(super) fn are_alone(&self) -> bool {
        self.named("sentinel").is_none()
    }

    /// The server of this name; an empty name is that of a single server.
    pub(super) fn named(&self, name: &str) -> Option<&Server> {
        match &self.running {
            Running::Named(servers) => servers.iter().find(|(own, _)| *own == name).map(|(_, server)| server),
            Running::Cluster(cluster) => cluster.nodes().get(node_index(name)?),
        }
    }

    /// The same, to kill and start it.
    pub(super) fn named_mut(&mut self, name: &str) -> Option<&mut Server> {
        match &mut self.running {
            Running::Named(servers) => {
                servers.iter_mut().find(|(own, _)| *own == name).map(|(_, server)| server)
            }
            Running::Cluster(cluster) => cluster.nodes_mut().get_mut(node_index(name)?),
        }
    }

    /// Where every other client begins.
    fn first(&self) -> &Server {
        match &self.running {
            Running::Named(servers) => &servers[0].1,
            Running::Cluster(cluster) => &cluster.nodes()[0],
        }
    }

    /// Product and release of the servers, such as `Valkey 9.1`.
    pub(super) fn product_line(&self) -> String {
        self.first().program().product_line()
    }

    /// The node of a cluster that a word such as `<node2>` names.
    pub(super) fn named_node<'a>(&self, word: &'a [u8]) -> Option<&'a str> {
        let name = str::from_utf8(word).ok()?.strip_prefix('<')?.strip_suffix('>')?;
        self.named(name).filter(|_| matches!(self.running, Running::Cluster(_))).map(|_| name)
    }

    /// A text in which `<node2:port>`, or the name of another server, stands for its port, and `<password>` for the password.
    pub(super) fn filled_in(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            let known = after.split_once('>').and_then(|(word, after)| {
                let value = match word.strip_suffix(":port") {
                    Some(name) => self.named(name)?.port().to_string(),
                    None => (word == "password").then(|| self.password().to_owned())?,
                };
                Some((value, after))
            });
            let (value, after) = known.unwrap_or_else(|| ("<".to_owned(), after));
            filled = filled + before + &value;
            rest = after;
        }
        filled + rest
    }

    /// The password of every server.
    pub(super) fn password(&self) -> &str {
        self.first().password()
    }

    /// The first of the commands that the server does not know.
    fn missing<'a>(&self, commands: &'a [String]) -> Result<Option<&'a String>, NotExecuted> {
        if commands.is_empty() {
            return Ok(None);
        }
        let ask = || {
            let mut client = self.connect(self.port_of(""))?;
            let words = ["COMMAND", "INFO"].into_iter().chain(commands.iter().map(String::as_str));
            client.send(&words.map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())?;
            client.reply(false)
        };
        let reply = ask().map_err(|error| NotExecuted::Failed(format!("asking for commands: {error}")))?;
        let Value::Array(answers) = reply else {
            return Err(NotExecuted::Failed("the server does not say which commands it knows".into()));
        };
        let known = |answer: &Value| matches!(answer, Value::Array(fields) if !fields.is_empty());
        Ok(commands.iter().zip(&answers).find(|(_, answer)| !known(answer)).map(|(command, _)| command))
    }
}

fn start(environment: &Environment, choice: Choice, builder: Builder) -> Result<Running, Error> {
    if matches!(environment.layout, Layout::Cluster | Layout::ClusterReplicas) {
        let replicas = usize::from(environment.layout == Layout::ClusterReplicas);
        let cluster = Cluster::builder().primaries(3).replicas_each(replicas).choice(choice);
        let cluster =
            environment.config.iter().fold(cluster, |cluster, (key, value)| cluster.config(key, value));
        return cluster.start().map(Running::Cluster);
    }
    let builder = environment.config.iter().fold(builder, |builder, (key, value)| builder.config(key, value));
    let (group, sentinels) = match environment.layout {
        Layout::Replica => (Replicated::start_with(builder, 1)?, Vec::new()),
        Layout::Sentinel => {
            let Sentinels { data, sentinels } = Sentinels::start_with(builder, 1, 3, 2, DOWN_AFTER)?;
            (data, sentinels)
        }
        _ => return Ok(Running::Named(vec![("", builder.start()?)])),
    };
    let mut servers = vec![("primary", group.primary)];
    servers.extend(group.replicas.into_iter().map(|server| ("replica", server)));
    servers.extend(sentinels.into_iter().map(|server| ("sentinel", server)));
    Ok(Running::Named(servers))
}

/// From 0, of `node1` and so on.
fn node_index(name: &str) -> Option<usize> {
    name.strip_prefix("node")?.parse::<usize>().ok()?.checked_sub(1)
}
