//! The cart application; `cargo cart` runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lab_runner::start::start(shopping_cart::run)
}
