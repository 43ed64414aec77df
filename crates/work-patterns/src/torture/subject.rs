//! What is tortured: this project's queue, or one of its peers.

use std::process::Command;
use std::time::Duration;

use lab_connection::{Failure, Target, own_keys};
use patterns::script::StoreError;
use redis::RedisResult;

use crate::torture::accounts::Found;
use crate::torture::host::Host;
use crate::torture::peers::{Kind, Peer};
use crate::torture::queue::{self, QUEUE, failure, queue};
use crate::torture::role::{Part, Role};
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
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::JobQueue => "job_queue",
            Self::StreamWorker => "stream_worker",
            Self::Peer(peer) => &peer.name,
            Self::Bare => "bare LPUSH, BRPOP",
        }
    }

    /// A run in which nothing has happened for so long is over, whatever is left.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        match self {
            Self::JobQueue | Self::StreamWorker | Self::Bare => Duration::from_mins(1),
            Self::Peer(peer) => peer.idle_timeout,
        }
    }

    /// The program for a role, without the role.
    pub fn command(&self, host: &Host, role: &Role) -> Result<Command, Failure> {
        match self {
            Self::JobQueue | Self::StreamWorker | Self::Bare => host.this_program(),
            Self::Peer(peer) => Ok(peer.command(host, role)),
        }
    }

    /// The part of a process that enqueues.
    #[must_use]
    pub fn producer(&self) -> Part {
        match self {
            Self::Bare => Part::BareProducer,
            Self::StreamWorker => Part::StreamProducer,
            Self::JobQueue | Self::Peer(_) => Part::Producer,
        }
    }

    /// The part of a process that runs jobs.
    #[must_use]
    pub fn worker(&self) -> Part {
        match self {
            Self::Bare => Part::BareWorker,
            Self::StreamWorker => Part::StreamWorker,
            Self::JobQueue | Self::Peer(_) => Part::Worker,
        }
    }

    /// Whether it can enqueue many jobs in one call.
    #[must_use]
    pub fn has_bulk(&self) -> bool {
        !matches!(self, Self::StreamWorker | Self::Peer(Peer { kind: Kind::Celery, .. }))
    }

    /// Whether it has jobs for later.
    #[must_use]
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
            Ok(())
        };
        let cleared: RedisResult<()> = cleared.await;
        cleared.map_err(|error| target.explain(&error))
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
        match self {
            Self::JobQueue => queue::found(&host.target).await.map_err(|error| failure(error, &host.target)),
            Self::StreamWorker => {
                stream::found(&host.target).await.map_err(|error| failure(error, &host.target))
            }
            Self::Peer(peer) => peer.found(host).await.map_err(|error| host.target.explain(&error)),
            Self::Bare => Ok(Found::default()),
        }
    }
}
