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
    /// kill -9 a single server and start it again
    Restart,
    /// The machine of a single server crashes: the page cache is lost, too
    MachineCrash,
}

impl Fault {
    /// All, in the order of the table.
    pub const ALL: [Self; 6] =
        [Self::Kill, Self::CutThenKill, Self::Hang, Self::EarlyPromotion, Self::Restart, Self::MachineCrash];

    /// As the command line names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::CutThenKill => "cut-then-kill",
            Self::Hang => "hang",
            Self::EarlyPromotion => "early-promotion",
            Self::Restart => "restart",
            Self::MachineCrash => "machine-crash",
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
            Self::Restart => "kill -9 a single server, and start it again",
            Self::MachineCrash => "the machine of a single server crashes",
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
                "Don't promote by REPLICAOF NO ONE while the primary lives. FAILOVER, or CLIENT PAUSE WRITE and equal offsets, loses \
                 nothing. WAIT 1 protects the writes that matter."
            }
            Self::Restart => {
                "An append-only file. After kill -9 the kernel still has all that the process wrote, so everysec loses nothing \
                 here, which surprises many. It is no test of a power failure."
            }
            Self::MachineCrash => {
                "AOF always loses nothing and makes each write wait for the disk. AOF everysec loses up to about a second; WAITAOF \
                 tells the client when its write is on the disk. A replica on another machine, with WAIT 1, is the other way."
            }
        }
    }

    /// The settings that mean something in this fault. A single server has no replica to wait for.
    #[must_use]
    pub fn settings(self) -> &'static [Setting] {
        use Setting::{AofAlways, AofEverysec, MinReplicas, None, Rdb, Wait, WaitAof};
        match self {
            Self::Kill | Self::CutThenKill | Self::Hang | Self::EarlyPromotion => {
                &[None, Wait, MinReplicas, AofEverysec, AofAlways]
            }
            Self::Restart => &[None, Rdb, AofEverysec, WaitAof, AofAlways],
            // A snapshot's child outlives a killed server, but not a machine. So a snapshot would survive here that must not.
            Self::MachineCrash => &[None, AofEverysec, WaitAof, AofAlways],
        }
    }

    /// Whether a single server is hurt, which then comes back.
    pub(super) fn is_of_one_server(self) -> bool {
        matches!(self, Self::Restart | Self::MachineCrash)
    }

    /// Whether this setting promises that nothing acknowledged is lost. The primary has one replica, so the failover takes the one that
    /// WAIT counted.
    #[must_use]
    pub fn loses_nothing_with(self, setting: Setting) -> bool {
        match setting {
            Setting::Wait => !self.is_of_one_server(),
            Setting::AofAlways | Setting::WaitAof => self.is_of_one_server(),
            _ => false,
        }
    }
}
