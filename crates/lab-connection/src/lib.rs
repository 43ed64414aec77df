//! The common connection crate: every binary of the workspace reaches Redis through it.
//!
//! In reading order:
//!
//! 1. [`args`]: the flags, named as in `redis-cli`, and what they say about the server to use.
//! 2. [`address`]: flags, environment and the machine itself become one address.
//! 3. [`target`]: an opened server, and the connections it hands out.
//!    [`read_only`] opens one to be looked at.
//! 4. [`connection`]: standalone and cluster behind one type, with timeouts and reconnection set on purpose.
//! 5. [`server_info`] and [`capabilities`]: who is answering, and what it can do.
//! 6. [`guard`] and [`own_keys`]: other people's data is never touched; our own can be cleaned up.
//! 7. [`transcript`]: what was said, as `redis-cli` would show it.
//! 8. [`raw_client`]: a socket of its own for any command and any reply, for examples and consoles.
//! 9. [`failure`]: what went wrong, why, and what to do next.
//!
//! ```
//! use lab_connection::args::TargetArgs;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), lab_connection::failure::Failure> {
//! // No flags: `REDIS_URL`, else a server on 127.0.0.1:6379, else a private one.
//! # let args = TargetArgs::private();
//! # #[cfg(any())]
//! let args = TargetArgs::default();
//! let target = args.open().await?;
//! let mut connection = target.connection();
//! redis::cmd("SET").arg("greeting").arg("hello").exec_async(&mut connection).await
//!     .map_err(|error| target.explain(&error))?;
//! assert!(target.can("HSET").await);
//! # Ok(())
//! # }
//! ```

pub mod address;
pub mod args;
pub mod capabilities;
pub mod connection;
mod dialer;
pub mod failure;
pub mod guard;
pub mod own_keys;
pub mod raw_client;
pub mod read_only;
pub mod server_info;
pub mod target;
#[cfg(feature = "tls")]
mod tls;
pub mod transcript;

pub use args::TargetArgs;
pub use connection::Connection;
pub use failure::Failure;
pub use read_only::ReadOnlyTarget;
pub use target::Target;
pub use transcript::Transcript;
