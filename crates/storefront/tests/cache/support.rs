//! What the tests of the cache share.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;

use redis::Value;
use storefront::cache::{Cache, CacheKey};
use storefront::{Keys, Layout};
use tokio::time::sleep;

use crate::shop::Wire;

const LONG: Duration = Duration::from_mins(10);

/// A cache whose loaders have time enough on a machine that stands still, and those who wait for them patience enough.
pub fn patient(wire: Wire, keys: Keys) -> Cache<Wire> {
    Cache::new(wire, keys, sleep).with_load_time(LONG).with_wait(LONG)
}

pub fn product(keys: &Keys, id: &str) -> CacheKey {
    keys.cached_product(&id.parse().unwrap())
}

/// Loads a number and nothing else.
pub fn number(number: u64) -> Ready<Result<Option<u64>, Infallible>> {
    ready(Ok(Some(number)))
}

pub async fn another(layout: Layout) -> Wire {
    match layout {
        Layout::Standalone => Wire::standalone().await,
        Layout::Cluster => Wire::cluster().await,
    }
}

pub async fn pttl(wire: &Wire, key: &str) -> u64 {
    match wire.send(&["PTTL", key]).await {
        Value::Int(ttl) => ttl.try_into().unwrap(),
        other => panic!("{other:?}"),
    }
}
