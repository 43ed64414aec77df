//! Locking, also after a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lock of a mutex whose holder may have panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Who panicked while holding it has already said so.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
