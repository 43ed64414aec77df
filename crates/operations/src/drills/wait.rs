//! Waiting for what a fault and its repair bring about.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_connection::failure::Class;
use tokio::time::sleep;

/// Whatever takes longer does not come. A Sentinel that finds its machine too busy does nothing for half a minute (TILT).
const TIMEOUT: Duration = Duration::from_mins(2);

/// Waits until something holds, at most two minutes.
pub async fn poll_until(what: &str, held: impl AsyncFnMut() -> bool) -> Result<(), Failure> {
    poll_within(TIMEOUT, what, held).await
}

/// The same, at most this long.
pub async fn poll_within(
    limit: Duration,
    what: &str,
    mut held: impl AsyncFnMut() -> bool,
) -> Result<(), Failure> {
    let begun = Instant::now();
    while !held().await {
        if begun.elapsed() > limit {
            let why = format!("It did not within {} s.", limit.as_secs());
            return Err(Failure::new(Class::Timeout, format!("A drill waited until {what}."), why));
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
