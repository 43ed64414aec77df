//! The modes of the terminal, which the line editor and a running command change.

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

/// The terminal's modes may change from here on. Dropping it restores them.
pub(crate) struct Changed(());

impl Changed {
    pub(crate) fn begin() -> Self {
        if let Ok(now) = tcgetattr(stdin()) {
            ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
        }
        Self(())
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let original = ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner).take();
        set(original.as_ref());
    }
}

/// Keys are not shown, and Ctrl-C is a byte, until it is dropped. For the time of a command.
pub(crate) fn quiet() -> Changed {
    let changed = Changed::begin();
    let quiet = tcgetattr(stdin()).ok().map(|mut modes| {
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        modes
    });
    set(quiet.as_ref());
    changed
}

/// Restores the terminal if a console changed it: for a program that ends while a console is open.
pub fn restore() {
    let original = ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner).take();
    if original.is_some() {
        set(original.as_ref());
        // A terminal that has gone needs nothing.
        let _ = stdout().write_all(END_OF_MARKED_PASTES).and_then(|()| stdout().flush());
    }
}

fn set(modes: Option<&Termios>) {
    if let Some(modes) = modes {
        // A terminal that has gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
    }
}
