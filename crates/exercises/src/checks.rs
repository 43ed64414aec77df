//! The checks of commands and Lua, one file each. A check judges what an answer does, never how it looks.

pub mod release_a_lock;
pub mod sell_one_ticket;
