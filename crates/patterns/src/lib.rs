//! Redis patterns for a service: each is one file that reads from top to bottom, with its script beside it.
//!
//! In reading order:
//!
//! 1. [`key`] and [`script`]: how keys are named and scripts are run. Every pattern uses these two, and nothing else is shared.
//! 2. [`recent_views`]: the simplest pattern.
//! 3. [`flash_sale`], [`notifications`], [`stores`], [`stock_feed`]: what happens now.
pub mod flash_sale;
pub mod key;
pub mod money;
pub mod notifications;
pub mod recent_views;
pub mod script;
pub mod stock_feed;
pub mod stores;
