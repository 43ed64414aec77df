//! The modes of the terminal, which a console changes for as long as it is open.

use std::io::{IsTerminal, Write, stdin, stdout};
use std::sync::{Mutex, PoisonError};

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// How the terminal was before the first change; `None` while it is as it was.
static ORIGINAL: Mutex<Option<Termios>> = Mutex::new(None);
/// Ends the mode in which the terminal marks what is pasted.
const END_OF_MARKED_PASTES: &[u8] = b"\x1b[?2004l";

/// Whether a person at a terminal can type here: input and output are a terminal, and this program is in its foreground.
#[must_use]
pub fn is_interactive() -> bool {
    let foreground = || tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp());
    stdin().is_terminal() && stdout().is_terminal() && foreground()
}

/// Keys are not shown, and Ctrl-C is a byte, until it is dropped.
pub(crate) struct Quiet(());

/// Begins it. The line editor changes more for the time of a line, and comes back to this.
pub(crate) fn quiet() -> Quiet {
    // On a terminal that can't move its cursor, the editor reads whole lines and leaves the echo to the terminal.
    let term = std::env::var("TERM").unwrap_or_default().to_lowercase();
    if ["dumb", "cons25", "emacs"].contains(&term.as_str()) {
        return Quiet(());
    }
    if let Ok(now) = tcgetattr(stdin()) {
        let mut modes = now.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
        set(&modes);
    }
    Quiet(())
}

impl Drop for Quiet {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal if a console changed it: also for a program that ends while a console is open.
pub fn restore() {
    let original = ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(original) = original {
        set(&original);
        // A terminal that has gone needs nothing.
        let _ = stdout().write_all(END_OF_MARKED_PASTES).and_then(|()| stdout().flush());
    }
}

fn set(modes: &Termios) {
    // A terminal that has gone needs nothing.
    let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
}
