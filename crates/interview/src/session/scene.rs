//! The servers of an example: fresh, empty, and gone afterwards.

use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;

use lab_server::{Builder, Choice, Cluster, Error, Replicated, Server};
use redis::Value;
#[cfg(feature = "tls")]
use rustls::{ClientConnection, StreamOwned};

use super::Unable;
#[cfg(feature = "tls")]
use super::certificates::{Certificates, NAME};
use super::client::Client;
use super::stream::Stream;
use crate::block::{Layout, Place};

/// Servers that were started for one block, and how one reaches them.
pub(super) struct Scene {
    servers: Servers,
    #[cfg(feature = "tls")]
    certificates: Option<Certificates>,
}

enum Servers {
    One(Box<Server>),
    Replicated(Box<Replicated>),
    Cluster(Cluster),
}

impl Scene {
    /// Starts what the block asks for; where it names no release, `choice` decides.
    pub(super) fn start(place: &Place, choice: &Choice) -> Result<Self, Unable> {
        if let Some(reason) = &place.never {
            return Err(Unable::Skipped(reason.clone()));
        }
        #[cfg(feature = "tls")]
        let certificates = match place.tls.then(Certificates::make).transpose() {
            Ok(certificates) => certificates,
            Err(error) => return Err(Unable::Failed(format!("certificates: {error}"))),
        };
        #[cfg(not(feature = "tls"))]
        if place.tls {
            return Err(Unable::Skipped("this program was built without TLS".into()));
        }
        let choice = match place.release {
            Some(release) => Choice { release: Some(release), program: None, fetch: choice.fetch },
            None => choice.clone(),
        };
        let builder = Server::builder().choice(choice.clone());
        #[cfg(feature = "tls")]
        let builder = match &certificates {
            Some(certificates) => certificates.shown_by(builder),
            None => builder,
        };
        let servers = servers(place, choice, builder).map_err(|error| match error {
            Error::NoTls { .. } => Unable::Skipped("this server was built without TLS".into()),
            // Whoever asks for another release by name may not have it here.
            Error::NotInstalled { release, .. }
            | Error::NotForThisPlatform { release, .. }
            | Error::LibcTooOld { release, .. }
            | Error::FetchForbidden { release }
                if place.release == Some(release) =>
            {
                Unable::Skipped(format!("{release} cannot be had here"))
            }
            Error::Fetch { .. } if place.release.is_some() => {
                Unable::Skipped("its server could not be fetched".into())
            }
            error => Unable::Failed(error.to_string()),
        })?;
        let scene = Self {
            servers,
            #[cfg(feature = "tls")]
            certificates,
        };
        match scene.missing(&place.needs)? {
            None => Ok(scene),
            Some(command) => Err(Unable::Skipped(format!("this server has no {command}"))),
        }
    }

    /// Connects a client of this name to where it begins.
    pub(super) fn connect(&self, client: &str) -> io::Result<Client> {
        self.connect_to(self.port_of(client))
    }

    /// Connects a client to one of the servers.
    pub(super) fn connect_to(&self, port: u16) -> io::Result<Client> {
        #[cfg(feature = "tls")]
        if let Some(certificates) = &self.certificates {
            return Client::connect(port, self.password(), |socket| {
                let name = NAME.try_into().map_err(io::Error::other)?;
                let connection = ClientConnection::new(Arc::clone(&certificates.client), name)
                    .map_err(io::Error::other)?;
                Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
            });
        }
        Client::connect(port, self.password(), |socket| Ok(Stream::Plain(socket)))
    }

    /// The port at which a client of this name begins.
    pub(super) fn port_of(&self, client: &str) -> u16 {
        match &self.servers {
            Servers::One(server) => tls_port(server).unwrap_or_else(|| server.port()),
            Servers::Replicated(group) => match (client, group.replicas.first()) {
                ("replica", Some(replica)) => replica.port(),
                _ => group.primary.port(),
            },
            Servers::Cluster(cluster) => {
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
    pub(super) fn follows(&self, client: &str) -> bool {
        matches!(self.servers, Servers::Cluster(_)) && !["node1", "node2", "node3"].contains(&client)
    }

    /// The password of every server; nobody has to know it.
    pub(super) fn password(&self) -> &str {
        match &self.servers {
            Servers::One(server) => server.password(),
            Servers::Replicated(group) => group.primary.password(),
            Servers::Cluster(cluster) => cluster.password(),
        }
    }

    /// The first of the commands that the server does not know.
    fn missing<'a>(&self, commands: &'a [String]) -> Result<Option<&'a String>, Unable> {
        if commands.is_empty() {
            return Ok(None);
        }
        let ask = || {
            let mut client = self.connect("")?;
            let words = ["COMMAND", "INFO"].into_iter().chain(commands.iter().map(String::as_str));
            client.send(&words.map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())?;
            client.reply(false)
        };
        let reply = ask().map_err(|error| Unable::Failed(format!("asking for commands: {error}")))?;
        let Value::Array(answers) = reply else {
            return Err(Unable::Failed("the server does not say which commands it knows".into()));
        };
        let known = |answer: &Value| matches!(answer, Value::Array(fields) if !fields.is_empty());
        Ok(commands.iter().zip(&answers).find(|(_, answer)| !known(answer)).map(|(command, _)| command))
    }
}

fn servers(place: &Place, choice: Choice, builder: Builder) -> Result<Servers, Error> {
    if place.layout == Layout::Cluster {
        let cluster = Cluster::builder().primaries(3).choice(choice);
        let cluster = place.config.iter().fold(cluster, |cluster, (key, value)| cluster.config(key, value));
        return cluster.start().map(Servers::Cluster);
    }
    let builder = place.config.iter().fold(builder, |builder, (key, value)| builder.config(key, value));
    match place.layout {
        Layout::Replica => {
            Replicated::start_with(builder, 1).map(|group| Servers::Replicated(Box::new(group)))
        }
        _ => builder.start().map(|server| Servers::One(Box::new(server))),
    }
}

/// The port for TLS, of a server that has one.
fn tls_port(server: &Server) -> Option<u16> {
    server.tls_url()?.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()
}
