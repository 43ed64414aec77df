//! What should save the writes.

use std::time::Duration;

use clap::ValueEnum;
use redis::Cmd;
use serde::Serialize;

/// A setting of the servers or of the clients, or a way to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// The defaults of a server that saves nothing.
    None,
    /// The client sends WAIT 1 right after each write, and takes only what a replica has for acknowledged.
    Wait,
    /// The primary refuses writes if no replica has reported within a second.
    MinReplicas,
    /// A snapshot, taken again as soon as the last one is a second old and something has changed.
    Rdb,
    /// The same, and the server takes writes even if it could not save them.
    RdbGoesOn,
    /// An append-only file that is synced to the disk once a second.
    AofEverysec,
    /// The same, and the client sends WAITAOF 1 0 right after each write, and takes only what is on the disk for acknowledged.
    WaitAof,
    /// The same with WAITAOF 1 1: on the disk of the primary and of a replica.
    WaitAofReplica,
    /// An append-only file that is synced before each reply.
    AofAlways,
    /// A cluster whose other slots stay in service when some have no primary.
    PartialCoverage,
    /// The replica gets REPLICAOF NO ONE, then the clients move, then the old primary follows.
    ByHand,
    /// First CLIENT PAUSE WRITE, and equal offsets.
    PauseFirst,
    /// The primary gets FAILOVER without a TIMEOUT.
    Failover,
    /// The primary gets FAILOVER with a TIMEOUT, again if it gives up.
    FailoverTimeout,
    /// A full server refuses what needs memory.
    Noeviction,
    /// A full server drops what was not used for long.
    AllkeysLru,
    /// The same, but only keys with a TTL. Every other write has one.
    VolatileLru,
    /// noeviction, and the replica's limit is half of what it holds. The primary has no limit, and the replica takes over as planned.
    SmallReplica,
    /// The same with allkeys-lru.
    SmallReplicaLru,
}

impl Setting {
    /// As the table shows it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Wait => "WAIT 1",
            Self::MinReplicas => "min-replicas-to-write 1",
            Self::Rdb => "RDB, save 1 1",
            Self::RdbGoesOn => "RDB, stop-writes-on-bgsave-error no",
            Self::AofEverysec => "AOF everysec",
            Self::WaitAof => "AOF everysec, WAITAOF 1 0",
            Self::WaitAofReplica => "AOF everysec, WAITAOF 1 1",
            Self::AofAlways => "AOF always",
            Self::PartialCoverage => "cluster-require-full-coverage no",
            Self::ByHand => "REPLICAOF by hand",
            Self::PauseFirst => "CLIENT PAUSE, equal offsets",
            Self::Failover => "FAILOVER",
            Self::FailoverTimeout => "FAILOVER with TIMEOUT",
            Self::Noeviction => "noeviction",
            Self::AllkeysLru => "allkeys-lru",
            Self::VolatileLru => "volatile-lru",
            Self::SmallReplica => "noeviction, smaller replica",
            Self::SmallReplicaLru => "allkeys-lru, smaller replica",
        }
    }

    /// What servers with this setting have in their configuration.
    pub(super) fn config(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::None
            | Self::Wait
            | Self::ByHand
            | Self::PauseFirst
            | Self::Failover
            | Self::FailoverTimeout => &[],
            Self::MinReplicas => &[("min-replicas-to-write", "1"), ("min-replicas-max-lag", "1")],
            Self::Rdb => &[("save", "1 1")],
            Self::RdbGoesOn => &[("save", "1 1"), ("stop-writes-on-bgsave-error", "no")],
            Self::AofEverysec | Self::WaitAof | Self::WaitAofReplica => {
                &[("appendonly", "yes"), ("appendfsync", "everysec")]
            }
            Self::AofAlways => &[("appendonly", "yes"), ("appendfsync", "always")],
            Self::PartialCoverage => &[("cluster-require-full-coverage", "no")],
            Self::Noeviction | Self::SmallReplica => &[("maxmemory-policy", "noeviction")],
            Self::AllkeysLru | Self::SmallReplicaLru => &[("maxmemory-policy", "allkeys-lru")],
            Self::VolatileLru => &[("maxmemory-policy", "volatile-lru")],
        }
    }

    /// The command that clients send right after each write, and which says how many servers have it.
    pub(super) fn confirmation(self) -> Option<Cmd> {
        let mut command = match self {
            Self::Wait => redis::cmd("WAIT"),
            Self::WaitAof | Self::WaitAofReplica => redis::cmd("WAITAOF"),
            _ => return None,
        };
        command.arg(1);
        match self {
            // How many replicas need to have it on their disks.
            Self::WaitAof => command.arg(0),
            Self::WaitAofReplica => command.arg(1),
            _ => &mut command,
        };
        command.arg(u64::try_from(self.confirmed_within().as_millis()).unwrap_or(u64::MAX));
        Some(command)
    }

    /// How long the client waits for the confirmation.
    pub(super) fn confirmed_within(self) -> Duration {
        if self.waits_for_a_disk() { Duration::from_secs(5) } else { Duration::from_millis(200) }
    }

    /// How many acknowledged writes show that the service is back. With WAITAOF, each client has about one in a second.
    pub(super) fn recovered(self) -> usize {
        if self.waits_for_a_disk() { 8 } else { 200 }
    }

    /// A command that not every server has, and without which the setting means nothing.
    pub(super) fn need(self) -> Option<&'static str> {
        match self {
            Self::Failover | Self::FailoverTimeout => Some("FAILOVER"),
            _ => self.waits_for_a_disk().then_some("WAITAOF"),
        }
    }

    /// Whether the replica has less memory than the primary.
    pub(super) fn has_a_smaller_replica(self) -> bool {
        matches!(self, Self::SmallReplica | Self::SmallReplicaLru)
    }

    pub(super) fn waits_for_a_disk(self) -> bool {
        matches!(self, Self::WaitAof | Self::WaitAofReplica)
    }
}
