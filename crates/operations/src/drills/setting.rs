//! What should save the writes.

use lab_server::Builder;
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
    /// An append-only file that is synced to the disk once a second.
    AofEverysec,
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
            Self::AofEverysec => "AOF everysec",
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
            Self::AofEverysec => builder.config("appendonly", "yes").config("appendfsync", "everysec"),
            Self::AofAlways => builder.config("appendonly", "yes").config("appendfsync", "always"),
        }
    }
}
