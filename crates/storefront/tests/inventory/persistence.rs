//! Clients who ask again, and numbers from a seed.

use std::time::Duration;

use redis::RedisError;
use storefront::{InventoryError, ReserveError, SettleError};
use tokio::time::sleep;

/// Asks until there is an answer, as a client does whose connection is lost: the outcome is unknown, the id is the same.
/// Counts the answers that were lost.
pub async fn persist<T, E: MayBeLost, F: Future<Output = Result<T, E>>>(
    lost: &mut u32,
    ask: impl Fn() -> F,
) -> Result<T, E> {
    loop {
        match ask().await {
            // Any other error is a finding.
            Err(error) if error.connection().is_some_and(is_lost) => {
                *lost += 1;
                sleep(Duration::from_millis(2)).await;
            }
            answer => return answer,
        }
    }
}

fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_timeout()
}

/// An error that can be that of a connection.
pub trait MayBeLost {
    fn connection(&self) -> Option<&RedisError>;
}

impl MayBeLost for ReserveError {
    fn connection(&self) -> Option<&RedisError> {
        self.redis_error()
    }
}

impl MayBeLost for SettleError {
    fn connection(&self) -> Option<&RedisError> {
        self.redis_error()
    }
}

impl MayBeLost for InventoryError {
    fn connection(&self) -> Option<&RedisError> {
        self.redis_error()
    }
}

impl MayBeLost for RedisError {
    fn connection(&self) -> Option<&RedisError> {
        Some(self)
    }
}

/// Numbers from a seed (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
