//! The type of timed futures.

use std::pin::Pin;

/// A future whose code is compiled in this crate, with optimization, no matter which crate polls it.
pub type Timed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
