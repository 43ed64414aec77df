//! What should save the writes.

use std::time::Duration;

use lab_server::Builder;
use redis::Cmd;
use serde::Serialize;

/// A setting of the servers or of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
    /// An append-only file that is synced to the disk once a second.
    AofEverysec,
    /// The same, and the client sends WAITAOF 1 0 right after each write, and takes only what is on the disk for acknowledged.
    WaitAof,
    /// An append-only file that is synced before each reply.
    AofAlways,
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
            Self::AofEverysec => "AOF everysec",
            Self::WaitAof => "AOF everysec, WAITAOF 1 0",
            Self::AofAlways => "AOF always",
        }
    }

    /// Servers with this setting.
    #[must_use]
    pub(super) fn apply(self, builder: Builder) -> Builder {
        match self {
            Self::None | Self::Wait => builder,
            Self::MinReplicas => {
                builder.config("min-replicas-to-write", "1").config("min-replicas-max-lag", "1")
            }
            Self::Rdb => builder.config("save", "1 1"),
            Self::AofEverysec | Self::WaitAof => {
                builder.config("appendonly", "yes").config("appendfsync", "everysec")
            }
            Self::AofAlways => builder.config("appendonly", "yes").config("appendfsync", "always"),
        }
    }

    /// The command that clients send right after each write, and which says how many servers have it.
    pub(super) fn confirmation(self) -> Option<Cmd> {
        let mut command = match self {
            Self::Wait => redis::cmd("WAIT"),
            Self::WaitAof => redis::cmd("WAITAOF"),
            _ => return None,
        };
        command.arg(1);
        if self == Self::WaitAof {
            // No replica needs to have it on its disk.
            command.arg(0);
        }
        command.arg(u64::try_from(self.confirmed_within().as_millis()).unwrap_or(u64::MAX));
        Some(command)
    }

    /// How long the client waits for the confirmation.
    pub(super) fn confirmed_within(self) -> Duration {
        if self == Self::WaitAof { Duration::from_secs(5) } else { Duration::from_millis(200) }
    }

    /// How many acknowledged writes show that the service is back. With WAITAOF, each client has about one in a second.
    pub(super) fn recovered(self) -> usize {
        if self == Self::WaitAof { 8 } else { 200 }
    }

    /// A command that not every server has, and without which the setting means nothing.
    pub(super) fn need(self) -> Option<&'static str> {
        (self == Self::WaitAof).then_some("WAITAOF")
    }
}
