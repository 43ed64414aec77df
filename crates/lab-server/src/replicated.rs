//! A primary with replicas.

use crate::readiness::{Observation, wait_for};
use crate::{Builder, Choice, Error, Server};

/// A primary and its replicas, all with one password. Dropping it ends them all.
#[derive(Debug)]
pub struct Replicated {
    /// Takes the writes.
    pub primary: Server,
    /// Follow it. Each was in sync when [`start`](Self::start) returned.
    pub replicas: Vec<Server>,
}

impl Replicated {
    /// A primary and `replicas` replicas with the program that the environment chooses.
    pub fn start(replicas: usize) -> Result<Self, Error> {
        Self::start_with(Server::builder().choice(Choice::from_env()?), replicas)
    }

    /// The same with the settings of a builder for all of them. A port is for the primary only.
    pub fn start_with(builder: Builder, replicas: usize) -> Result<Self, Error> {
        let primary = builder.clone().start()?;
        let builder = builder.any_port();
        // One after the other. A replica that asks while another is being served waits for a second.
        let replicas = (0..replicas)
            .map(|_| builder.clone().replica_of(&primary).start_program(primary.program().clone()))
            .collect::<Result<_, _>>()?;
        Ok(Self { primary, replicas })
    }
}

/// Waits until a replica has the primary's data and follows its writes.
pub(crate) fn wait_for_link(replica: &Server) -> Result<(), Error> {
    let asking = "asking a replica whether it is in sync";
    let mut connection = replica.client().get_connection().map_err(Error::redis(asking))?;
    wait_for("the replica", asking, || {
        let info: String = redis::cmd("INFO").arg("replication").query(&mut connection)?;
        let done = info.lines().any(|line| line == "master_link_status:up");
        let last = info.lines().filter(|line| line.starts_with("master_")).collect::<Vec<_>>().join(", ");
        Ok(Observation { done, last })
    })
}
