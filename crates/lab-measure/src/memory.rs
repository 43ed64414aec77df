//! Fifteen ways to store the same users: written, read, changed, and timed. The lesson `memory` weighs them.
//!
//! In reading order:
//!
//! 1. `encoding`: the ways. `document` is a whole user, and `codec` turns it into bytes, with `compression` where it is built in;
//!    `columns` keeps one field of many users side by side.
//! 2. `store`: users written, read, and changed in every encoding.
//! 3. `access`: what that takes in time.

mod access;
mod codec;
mod columns;
mod compression;
mod document;
mod encoding;
mod store;

pub use self::access::{Access, EncodingAccess, changes_are_kept, measure};
pub use self::columns::SOURCE as COLUMNS;
pub use self::compression::Zstd;
pub use self::document::Values;
pub use self::encoding::Encoding;
pub use self::store::Store;
