//! The parts of the shop that need no browser: the wire, the faults, the buyers, and the numbers of a day.

mod buyers;
mod faults;
mod numbers;
mod wire;
