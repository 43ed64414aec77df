//! The servers that you can ask for by name.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::version::{Product, Version};

/// A server that you can ask for by name. The lessons run on each of them, so you see what a newer or a different server changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Release {
    /// Valkey 9.1, the BSD-licensed fork. It is fetched if nothing is installed.
    #[value(name = "valkey-9.1")]
    Valkey91,
    /// Redis 7.0, as Debian 12 packages it. It is never fetched.
    #[value(name = "redis-7.0")]
    Redis70,
    /// Redis 8.2: `HSETEX`, vector sets.
    #[value(name = "redis-8.2")]
    Redis82,
    /// Redis 8.2 with JSON, Search, and Bloom loaded as modules.
    #[value(name = "redis-8.2-modules")]
    Redis82Modules,
    /// Redis 8.10: `INCREX`, `DELEX`, `MSETEX`, arrays. It needs glibc 2.38.
    #[value(name = "redis-8.10")]
    Redis810,
}

impl Release {
    /// Every release, oldest protocol features first.
    pub const ALL: [Self; 5] =
        [Self::Redis70, Self::Valkey91, Self::Redis82, Self::Redis82Modules, Self::Redis810];

    /// The name that `--server` takes, for example `redis-8.2`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valkey91 => "valkey-9.1",
            Self::Redis70 => "redis-7.0",
            Self::Redis82 => "redis-8.2",
            Self::Redis82Modules => "redis-8.2-modules",
            Self::Redis810 => "redis-8.10",
        }
    }

    /// Whether an installed program is this release. The one with modules is never taken from PATH, because `redis-server` does not say
    /// which modules its package would load.
    pub(crate) fn is(self, product: Product, version: Version) -> bool {
        let line = (version.major, version.minor);
        match self {
            Self::Valkey91 => product == Product::Valkey && line == (9, 1),
            Self::Redis70 => product == Product::Redis && line == (7, 0),
            Self::Redis82 => product == Product::Redis && line == (8, 2),
            Self::Redis82Modules => false,
            Self::Redis810 => product == Product::Redis && line == (8, 10),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Release {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|release| release.name() == name)
            .ok_or_else(|| Error::UnknownRelease { name: name.to_owned() })
    }
}
