//! The servers of an example: fresh, empty, and gone afterwards.

use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;

use lab_connection::raw_client::Client;
use lab_server::{Builder, Choice, Cluster, Error, Replicated, Server};
use redis::Value;
#[cfg(feature = "tls")]
use rustls::{ClientConnection, StreamOwned};

use super::NotExecuted;
#[cfg(feature = "tls")]
use super::certificates::{Certificates, NAME};
use crate::block::{Environment, Layout};

/// Servers that were started for one block, and how to reach them.
pub(super) struct Servers {
    running: Running,
    #[cfg(feature = "tls")]
    certificates: Option<Certificates>,
}

enum Running {
    One(Box<Server>),
    Replicated(Box<Replicated>),
    Cluster(Cluster),
}

impl Servers {
    /// Starts what the block asks for; where it names no release, `choice` decides.
    pub(super) fn start(environment: &Environment, choice: &Choice) -> Result<Self, NotExecuted> {
        if let Some(reason) = &environment.no_run {
            return Err(NotExecuted::Skipped(reason.clone()));
        }
        #[cfg(feature = "tls")]
        let certificates = match environment.tls.then(Certificates::make).transpose() {
            Ok(certificates) => certificates,
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
        let builder = match &certificates {
            Some(certificates) => certificates.shown_by(builder),
            None => builder,
        };
        let running = start(environment, choice, builder).map_err(|error| match error {
            Error::NoTls { .. } => NotExecuted::Skipped("this server was built without TLS".into()),
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
            certificates,
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
        if let Some(certificates) = &self.certificates {
            return Client::connect(port, self.password(), |socket| {
                let name = NAME.try_into().map_err(io::Error::other)?;
                let connection = ClientConnection::new(Arc::clone(&certificates.client), name)
                    .map_err(io::Error::other)?;
                Ok(Box::new(StreamOwned::new(connection, socket)) as _)
            });
        }
        Client::connect(port, self.password(), |socket| Ok(Box::new(socket)))
    }

    /// The port at which a client of this name begins.
    pub(super) fn port_of(&self, client: &str) -> u16 {
        match &self.running {
            Running::One(server) => tls_port(server).unwrap_or_else(|| server.port()),
            Running::Replicated(group) => match (client, group.replicas.first()) {
                ("replica", Some(replica)) => replica.port(),
                _ => group.primary.port(),
            },
            Running::Cluster(cluster) => {
                let index = match client {
                    "node2" => 1,
                    "node3" => 2,
                    _ => 0,
                };
                cluster.nodes()[index].port()
            }
        }
    }

    /// Whether a client of this name goes where MOVED and ASK send it.
    pub(super) fn follows_redirections(&self, client: &str) -> bool {
        matches!(self.running, Running::Cluster(_)) && !["node1", "node2", "node3"].contains(&client)
    }

    /// The node of a cluster that a word such as `<node2>` names.
    pub(super) fn named_node(&self, word: &[u8]) -> Option<&'static str> {
        let names = [("<node1>", "node1"), ("<node2>", "node2"), ("<node3>", "node3")];
        let in_a_cluster = matches!(self.running, Running::Cluster(_));
        names
            .into_iter()
            .find(|(written, _)| in_a_cluster && written.as_bytes() == word)
            .map(|(_, node)| node)
    }

    /// The password of every server.
    pub(super) fn password(&self) -> &str {
        match &self.running {
            Running::One(server) => server.password(),
            Running::Replicated(group) => group.primary.password(),
            Running::Cluster(cluster) => cluster.password(),
        }
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
    if environment.layout == Layout::Cluster {
        let cluster = Cluster::builder().primaries(3).choice(choice);
        let cluster =
            environment.config.iter().fold(cluster, |cluster, (key, value)| cluster.config(key, value));
        return cluster.start().map(Running::Cluster);
    }
    let builder = environment.config.iter().fold(builder, |builder, (key, value)| builder.config(key, value));
    match environment.layout {
        Layout::Replica => {
            Replicated::start_with(builder, 1).map(|group| Running::Replicated(Box::new(group)))
        }
        _ => builder.start().map(|server| Running::One(Box::new(server))),
    }
}

/// The port for TLS, of a server that has one.
fn tls_port(server: &Server) -> Option<u16> {
    server.tls_url()?.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()
}
