//! A console on a server, which takes commands as `redis-cli` does: at a step of a lesson, and in `cargo server`.
//!
//! In reading order:
//!
//! 1. [`console`]: reads a command, sends it, prints the reply, until the person leaves.
//! 2. `session`: the connection behind it: MULTI, redirections, subscriptions, and Ctrl-C.
//! 3. `editor` and `completion`: the line editor, and what Tab offers. `command_docs` and `syntax` are what the server says about its
//!    commands, `hints` what is still to type.
//! 4. `care`: the commands that ask first, and those whose effect nobody takes back.
//! 5. [`kept_keys`]: the keys of a lesson, put back when the person leaves.
//! 6. [`modes`]: the terminal's modes, restored however the program ends. `print` writes to it.

mod care;
mod command_docs;
mod completion;
pub mod console;
mod editor;
pub mod kept_keys;
pub mod modes;
mod print;
mod session;
mod syntax;

pub use console::{Console, Visit};
pub use kept_keys::KeptKeys;
