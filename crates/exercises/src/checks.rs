//! The checks of commands and Lua, one file each. A check judges what an answer does, never how it looks.

pub mod credit_once;
pub mod extend_your_lock;
pub mod keep_the_top_ten;
pub mod limit_requests;
pub mod name_no_keys;
pub mod rebuild_once;
pub mod refill_the_bucket;
pub mod refuse_a_stale_writer;
pub mod release_a_lock;
pub mod reserve_all_or_nothing;
pub mod sell_one_ticket;
pub mod take_a_job;
pub mod total_of_a_cart;
