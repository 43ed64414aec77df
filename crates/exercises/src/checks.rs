//! The checks of commands and Lua, one file each. A check judges what an answer does, never how it looks.

pub mod add_up_the_sales;
pub mod change_a_profile;
pub mod count_each_visitor_once;
pub mod credit_once;
pub mod delete_a_big_list;
pub mod extend_your_lock;
pub mod finish_what_you_began;
pub mod keep_hashes_small;
pub mod keep_the_last_hundred;
pub mod keep_the_time_to_live;
pub mod keep_the_top_ten;
pub mod limit_requests;
pub mod move_the_money;
pub mod name_no_keys;
pub mod put_keys_in_one_slot;
pub mod read_the_next_page;
pub mod rebuild_once;
pub mod refill_the_bucket;
pub mod refuse_a_stale_writer;
pub mod release_a_lock;
pub mod reserve_a_seat;
pub mod reserve_all_or_nothing;
pub mod sell_one_ticket;
pub mod store_the_work;
pub mod take_a_job;
pub mod total_of_a_cart;
