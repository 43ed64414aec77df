//! The parts of the shop that need no browser: the wire, the faults, and the buyers.

mod buyers;
mod faults;
mod wire;
