//! Which server program to use.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::{Error, Release};

/// Names a release: `valkey-9.1`, `redis-7.0`, `redis-8.2`, `redis-8.2-modules`, or `redis-8.10`.
pub const SERVER_VARIABLE: &str = "REDIS_LAB_SERVER";
/// Names the program: a path to a `redis-server` or `valkey-server`.
pub const PROGRAM_VARIABLE: &str = "REDIS_LAB_PROGRAM";
/// Forbids fetching when set to anything but the empty string, `0` or `false`.
pub const NO_FETCH_VARIABLE: &str = "REDIS_LAB_NO_FETCH";

/// Which server program to use. By default: from PATH, then from the cache, then fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The release asked for by name, if any.
    pub release: Option<Release>,
    /// The program. It has precedence over `release`.
    pub program: Option<PathBuf>,
    /// Whether a program that is not on this machine may be fetched.
    pub fetch: bool,
}

impl Default for Choice {
    fn default() -> Self {
        Self { release: None, program: None, fetch: true }
    }
}

impl Choice {
    /// What `REDIS_LAB_SERVER`, `REDIS_LAB_PROGRAM`, and `REDIS_LAB_NO_FETCH` say. An empty variable counts as unset.
    pub fn from_env() -> Result<Self, Error> {
        let release = match set(SERVER_VARIABLE) {
            Some(name) => Some(name.to_string_lossy().parse()?),
            None => None,
        };
        Ok(Self { release, program: set(PROGRAM_VARIABLE).map(PathBuf::from), fetch: env_allows_fetch() })
    }

    /// What the flags say, or the environment where they say nothing. A program or a release in a flag overrides both of their
    /// variables. Fetching is forbidden if a flag or the environment forbids it.
    pub fn from_flags(
        release: Option<Release>,
        program: Option<PathBuf>,
        no_fetch: bool,
    ) -> Result<Self, Error> {
        if release.is_some() || program.is_some() {
            return Ok(Self { release, program, fetch: !no_fetch && env_allows_fetch() });
        }
        let choice = Self::from_env()?;
        Ok(Self { fetch: choice.fetch && !no_fetch, ..choice })
    }

    /// A release by name, which may be fetched.
    #[must_use]
    pub fn release(release: Release) -> Self {
        Self { release: Some(release), ..Self::default() }
    }
}

fn env_allows_fetch() -> bool {
    set(NO_FETCH_VARIABLE).is_none_or(|value| value == "0" || value == "false")
}

fn set(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
