//! What goes wrong.

use clap::ValueEnum;
use serde::Serialize;

use super::Setting;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// kill -9 the primary; its replica is up to date
    Kill,
    /// The link to the replicas is cut half a second before the kill
    CutThenKill,
    /// The primary hangs for longer than the down-after time, then goes on
    Hang,
    /// The replica lags, and somebody promotes it while the primary still takes writes
    EarlyPromotion,
    /// The replica lags, and somebody makes it the primary on purpose, in four ways
    PlannedSwitch,
    /// kill -9 a primary of a cluster while 50 clients write
    ClusterFailover,
    /// kill -9 a single server and start it again
    Restart,
    /// The machine of a single server crashes: the page cache is lost, too
    MachineCrash,
    /// The disk of a single server is full for three seconds
    DiskFull,
    /// The same, and the server is killed before there is space again
    DiskFullThenKill,
    /// The server reaches its maxmemory, and two seconds later it gets more
    MemoryFull,
}

impl Fault {
    /// As the command line names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::CutThenKill => "cut-then-kill",
            Self::Hang => "hang",
            Self::EarlyPromotion => "early-promotion",
            Self::PlannedSwitch => "planned-switch",
            Self::ClusterFailover => "cluster-failover",
            Self::Restart => "restart",
            Self::MachineCrash => "machine-crash",
            Self::DiskFull => "disk-full",
            Self::DiskFullThenKill => "disk-full-then-kill",
            Self::MemoryFull => "memory-full",
        }
    }

    /// What happens, as a heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Kill => "kill -9 the primary, with a replica that is up to date",
            Self::CutThenKill => "the link to the replicas is cut 0.5 s before the kill",
            Self::Hang => "the primary stops for longer than down-after, is replaced, and goes on",
            Self::EarlyPromotion => "a replica that lags 50 ms is promoted by hand",
            Self::PlannedSwitch => "a replica that lags 50 ms becomes the primary, as planned",
            Self::ClusterFailover => "kill -9 one of three primaries of a cluster",
            Self::Restart => "kill -9 a single server, and start it again",
            Self::MachineCrash => "the machine of a single server crashes",
            Self::DiskFull => "the disk of a single server is full for 3 s",
            Self::DiskFullThenKill => {
                "the disk is full for 3 s, then the server is killed, and starts with space again"
            }
            Self::MemoryFull => "maxmemory is reached, and 2 s later there is more",
        }
    }

    /// What helps.
    #[must_use]
    pub fn cure(self) -> &'static str {
        match self {
            Self::Kill => {
                "A healthy replica loses at most what was under way, and mostly nothing. WAIT 1 makes it certain, if the failover takes \
                 that replica. An append-only file of the dead primary does not help: nobody reads it."
            }
            Self::CutThenKill => {
                "WAIT 1: the client learns which writes no replica has. min-replicas-to-write limits the loss to min-replicas-max-lag \
                 plus about a second. Watch the lag and master_link_status."
            }
            Self::Hang => {
                "min-replicas-to-write: the old primary refuses writes when it goes on. WAIT 1: its clients learn that no replica has \
                 them. Clients should look for the primary again after each timeout."
            }
            Self::EarlyPromotion => {
                "Don't promote by REPLICAOF NO ONE while the primary lives. FAILOVER with a TIMEOUT, or CLIENT PAUSE WRITE and equal offsets, loses \
                 nothing (see planned-switch). WAIT 1 protects the writes that matter."
            }
            Self::PlannedSwitch => {
                "FAILOVER with a TIMEOUT does it all: it pauses the writes, waits until the replica has everything, and changes the roles. By \
                 hand: CLIENT PAUSE WRITE, equal offsets, REPLICAOF NO ONE, then the clients. The order is what counts."
            }
            Self::ClusterFailover => {
                "As with Sentinel: WAIT 1 right behind the write, on its connection. A cluster client sends a WAIT that stands alone to every \
                 primary. cluster-require-full-coverage no keeps the other slots in service. The node timeout decides how long the slots of \
                 the dead primary are away."
            }
            Self::Restart => {
                "An append-only file. After kill -9 the kernel still has all that the process wrote, so everysec loses nothing \
                 here, which surprises many. It is no test of a power failure."
            }
            Self::MachineCrash => {
                "AOF always loses nothing and makes each write wait for the disk. AOF everysec loses up to about a second; WAITAOF \
                 tells the client when its write is on the disk. A snapshot is as old as its last save. A replica on another machine, with \
                 WAIT 1, is the other way."
            }
            Self::DiskFull => {
                "Watch the disk. With AOF everysec, the server refuses writes (MISCONF) and goes on within a second after there is space. With \
                 AOF always, it exits, and somebody must start it again. With RDB, it refuses writes until the next snapshot works, and it \
                 tries only every five seconds."
            }
            Self::DiskFullThenKill => {
                "Leave stop-writes-on-bgsave-error on. Without it, the server acknowledges what no file will ever have. AOF everysec answers the \
                 clients of one round before it knows that the write failed. AOF always and WAITAOF acknowledge nothing that the disk did not \
                 take."
            }
            Self::MemoryFull => {
                "noeviction for data, an eviction policy for a cache, and never both on one server: allkeys-lru drops acknowledged writes in \
                 silence, volatile-lru those with a TTL (locks, sessions). Give a replica the same maxmemory: it ignores its own until it is \
                 promoted. Then it evicts or refuses."
            }
        }
    }

    /// The settings that mean something in this fault. A single server has no replica to wait for.
    #[must_use]
    pub fn settings(self) -> &'static [Setting] {
        use Setting::{
            AllkeysLru, AofAlways, AofEverysec, ByHand, Failover, FailoverTimeout, MinReplicas, Noeviction,
            None, PartialCoverage, PauseFirst, Rdb, RdbGoesOn, SmallReplica, SmallReplicaLru, VolatileLru,
            Wait, WaitAof, WaitAofReplica,
        };
        match self {
            Self::Kill | Self::CutThenKill | Self::Hang | Self::EarlyPromotion => {
                &[None, Wait, MinReplicas, AofEverysec, AofAlways, WaitAofReplica]
            }
            Self::PlannedSwitch => &[ByHand, PauseFirst, Failover, FailoverTimeout],
            Self::ClusterFailover => &[None, Wait, PartialCoverage, WaitAofReplica],
            Self::Restart | Self::MachineCrash => &[None, Rdb, AofEverysec, WaitAof, AofAlways],
            Self::DiskFull => &[None, Rdb, RdbGoesOn, AofEverysec, AofAlways],
            Self::DiskFullThenKill => &[None, Rdb, RdbGoesOn, AofEverysec, WaitAof, AofAlways],
            Self::MemoryFull => &[Noeviction, AllkeysLru, VolatileLru, SmallReplica, SmallReplicaLru],
        }
    }

    /// Whether a single server is hurt, which then comes back.
    pub(super) fn is_of_one_server(self) -> bool {
        matches!(self, Self::Restart | Self::MachineCrash) || self.fills_the_disk()
    }

    /// Whether the server has a small disk of its own.
    pub(super) fn fills_the_disk(self) -> bool {
        matches!(self, Self::DiskFull | Self::DiskFullThenKill)
    }

    /// Whether this setting promises that nothing acknowledged is lost. The primary has one replica, so the failover takes the one that
    /// WAIT counted.
    #[must_use]
    pub fn loses_nothing_with(self, setting: Setting) -> bool {
        match setting {
            // A server that goes on has everything in memory.
            _ if self == Self::DiskFull => true,
            Setting::Wait | Setting::WaitAofReplica => !self.is_of_one_server(),
            Setting::AofAlways | Setting::WaitAof => self.is_of_one_server(),
            Setting::Noeviction
            | Setting::SmallReplica
            | Setting::PauseFirst
            | Setting::Failover
            | Setting::FailoverTimeout => true,
            _ => false,
        }
    }

    /// Trials that run at the same time. They mostly wait, but the six nodes of a cluster take others for dead if they get no time.
    pub(super) fn at_once(self) -> usize {
        match self {
            Self::ClusterFailover => 2,
            Self::Hang => 6,
            _ => 4,
        }
    }
}
