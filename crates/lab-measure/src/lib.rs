//! What bulk-performance times: the only lesson code that is compiled with optimization. The lessons themselves are compiled without, so the first
//! build is quick.
//!
//! Two rules keep timed code inside this crate, because the compiler puts generic code, and the body of an `async fn`, into the
//! crate that calls it:
//!
//! - Public functions are not generic. They name [`lab_connection::Connection`] and `Transcript<Connection>` themselves.
//! - Public functions that wait return a boxed future: [`Timed`].
//!
//! In reading order:
//!
//! 1. [`people`]: the data set, users made from their number. [`keys`] has every key name; [`stored`] writes users and reads them
//!    back.
//! 2. [`insert`]: the ways to write many records. [`load`]: what the loader sends. [`peers`]: the records
//!    for other programs.
//! 3. [`query`]: questions about the users, and approaches to each. [`concurrency`]: many operations in flight. [`memory`]: ways
//!    to store a user.

#![expect(clippy::must_use_candidate, reason = "nobody outside this workspace calls it")]

pub mod concurrency;
pub mod insert;
pub mod keys;
pub mod load;
pub mod memory;
pub mod peers;
pub mod people;
pub mod query;
pub mod stored;

use std::pin::Pin;

/// A future whose code is compiled in this crate, with optimization, no matter which crate polls it.
pub type Timed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
