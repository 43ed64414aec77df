//! The servers of an example: fresh, empty, and gone afterwards.

use lab_server::{Choice, Cluster, Error, Replicated, Server};
use redis::Value;

use super::Unable;
use super::client::Client;
use crate::block::{Layout, Place};

/// Servers that were started for one block.
pub(super) enum Scene {
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
        if place.tls {
            return Err(Unable::Skipped("it needs a server with TLS, and certificates".into()));
        }
        let choice = match place.release {
            Some(release) => Choice { release: Some(release), program: None, fetch: choice.fetch },
            None => choice.clone(),
        };
        let scene = Self::set(place, choice).map_err(|error| match error {
            // Whoever asks for another release by name may not have it here.
            Error::NotInstalled { release, .. }
            | Error::NotForThisPlatform { release, .. }
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
        match scene.missing(&place.needs)? {
            None => Ok(scene),
            Some(command) => Err(Unable::Skipped(format!("this server has no {command}"))),
        }
    }

    fn set(place: &Place, choice: Choice) -> Result<Self, Error> {
        if place.layout == Layout::Cluster {
            let cluster = Cluster::builder().primaries(3).choice(choice);
            let cluster =
                place.config.iter().fold(cluster, |cluster, (key, value)| cluster.config(key, value));
            return cluster.start().map(Self::Cluster);
        }
        let builder = Server::builder().choice(choice);
        let builder = place.config.iter().fold(builder, |builder, (key, value)| builder.config(key, value));
        match place.layout {
            Layout::Replica => {
                Replicated::start_with(builder, 1).map(|group| Self::Replicated(Box::new(group)))
            }
            _ => builder.start().map(|server| Self::One(Box::new(server))),
        }
    }

    /// The port at which a client of this name begins.
    pub(super) fn port_of(&self, client: &str) -> u16 {
        match self {
            Self::One(server) => server.port(),
            Self::Replicated(group) => match (client, group.replicas.first()) {
                ("replica", Some(replica)) => replica.port(),
                _ => group.primary.port(),
            },
            Self::Cluster(cluster) => {
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
        matches!(self, Self::Cluster(_)) && !["node1", "node2", "node3"].contains(&client)
    }

    /// The password of every server; nobody has to know it.
    pub(super) fn password(&self) -> &str {
        match self {
            Self::One(server) => server.password(),
            Self::Replicated(group) => group.primary.password(),
            Self::Cluster(cluster) => cluster.password(),
        }
    }

    /// The first of the commands that the server does not know.
    fn missing<'a>(&self, commands: &'a [String]) -> Result<Option<&'a String>, Unable> {
        if commands.is_empty() {
            return Ok(None);
        }
        let ask = || {
            let mut client = Client::connect(self.port_of(""), self.password())?;
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
