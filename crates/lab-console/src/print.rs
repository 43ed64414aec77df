//! The one place that writes to the terminal.

use std::io::{Write, stdout};

/// Prints a line. If the terminal has gone, nobody misses it.
pub(crate) fn print(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}
