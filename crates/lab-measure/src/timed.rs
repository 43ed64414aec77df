//! The type of timed futures.

use std::pin::Pin;

/// A future whose code is in this crate, whoever polls it.
pub type Timed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
