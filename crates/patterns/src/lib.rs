//! Redis patterns for a service: each is one file that reads from top to bottom, with its script beside it.
//!
//! In reading order:
//!
//! 1. [`key`] and [`script`]: how keys are named and scripts are run. Every pattern uses these two, and nothing else is shared.
pub mod checkout;
pub mod inventory;
pub mod key;
pub mod money;
pub mod recent_views;
pub mod script;
