//! Many operations in flight: closed and open loops of clients that check every reply. The lesson `concurrency` runs them.
//!
//! In reading order: `load` times loads in interleaved rounds. `closed_loop` and `open_loop` are the two kinds; `workload` is
//! what a client sends and whether the reply is right, `stats` what was counted. `stall` makes a server stand still.

mod closed_loop;
mod load;
mod open_loop;
mod stall;
mod stats;
mod workload;

pub use self::closed_loop::SOURCE as CLOSED_LOOP;
pub use self::load::{Load, Plan, measure};
pub use self::open_loop::SOURCE as OPEN_LOOP;
pub use self::stall::Stall;
pub use self::stats::LoadStats;
