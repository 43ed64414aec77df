//! What is tortured: this project's queue, or one of its peers.

use std::time::Duration;

use lab_connection::{Failure, Target, own_keys};
use patterns::script::StoreError;
use redis::RedisResult;
use serde_json::json;

use crate::torture::accounts::Found;
use crate::torture::host::Host;
use crate::torture::peers::{Kind, Peer};
use crate::torture::process::Process;
use crate::torture::queue::{self, QUEUE, failure, queue};
use crate::torture::role::{Part, Role, VARIABLE};
use crate::torture::stream;

/// What is tortured.
#[derive(Clone, Debug)]
pub enum Subject {
    /// `patterns::job_queue`
    JobQueue,
    /// `patterns::stream_worker`
    StreamWorker,
    /// Another queue
    Peer(Peer),
    /// LPUSH and BRPOP, which are only measured
    Bare,
}

impl Subject {
    /// As tables name it.
    pub fn name(&self) -> &str {
        match self {
            Self::JobQueue => "job_queue",
            Self::StreamWorker => "stream_worker",
            Self::Peer(peer) => &peer.name,
            Self::Bare => "bare LPUSH, BRPOP",
        }
    }

    /// A run in which nothing has happened for so long is over, whatever is left.
    pub fn idle_timeout(&self) -> Duration {
        match self {
            Self::JobQueue | Self::StreamWorker | Self::Bare => Duration::from_mins(1),
            Self::Peer(peer) => peer.idle_timeout,
        }
    }

    /// Starts a process that plays a role.
    pub fn start(&self, host: &Host, role: &Role) -> Result<Process, Failure> {
        let mut command = match self {
            Self::JobQueue | Self::StreamWorker | Self::Bare => host.this_program()?,
            Self::Peer(peer) => peer.command(host, role),
        };
        command.env(VARIABLE, json!(role).to_string());
        Process::start(command, &role.journal)
    }

    /// The part of a process that enqueues.
    pub fn producer(&self) -> Part {
        match self {
            Self::Bare => Part::BareProducer,
            Self::StreamWorker => Part::StreamProducer,
            Self::JobQueue | Self::Peer(_) => Part::Producer,
        }
    }

    /// The part of a process that runs jobs.
    pub fn worker(&self) -> Part {
        match self {
            Self::Bare => Part::BareWorker,
            Self::StreamWorker => Part::StreamWorker,
            Self::JobQueue | Self::Peer(_) => Part::Worker,
        }
    }

    /// Whether it can enqueue many jobs in one call.
    pub fn has_bulk(&self) -> bool {
        !matches!(self, Self::StreamWorker | Self::Peer(Peer { kind: Kind::Celery, .. }))
    }

    pub fn has_later(&self) -> bool {
        !matches!(self, Self::StreamWorker | Self::Bare)
    }

    /// Removes what an earlier run left.
    pub async fn clear(&self, target: &Target) -> Result<(), Failure> {
        let mut connection = target.connection();
        let cleared = async {
            for pattern in ["job_queue", "stream"] {
                let pattern = format!("{}{pattern}:*{QUEUE}*", target.prefix());
                let keys = own_keys::matching(&mut connection, &pattern, 100).await?;
                own_keys::unlink(&mut connection, &keys).await?;
            }
            RedisResult::Ok(())
        };
        cleared.await.map_err(|error| target.explain(&error))
    }

    /// Jobs that wait, run, or are for later.
    pub async fn left(&self, host: &Host) -> Result<u64, StoreError> {
        match self {
            Self::JobQueue => Ok(queue(&host.target)?.counts().await?.pending()),
            Self::StreamWorker => stream::left(&host.target).await,
            Self::Peer(peer) => Ok(peer.left(host).await?),
            Self::Bare => Ok(0),
        }
    }

    /// What the server has in the end.
    pub async fn found(&self, host: &Host) -> Result<Found, Failure> {
        let found = match self {
            Self::JobQueue => queue::found(&host.target).await,
            Self::StreamWorker => stream::found(&host.target).await,
            Self::Peer(peer) => peer.found(host).await.map_err(StoreError::from),
            Self::Bare => Ok(Found::default()),
        };
        found.map_err(|error| failure(error, &host.target))
    }
}
