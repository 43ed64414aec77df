//! Single keys from a terminal, without Enter.

use std::io::stdin;
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::terminal::Terminal;

/// What a person pressed or typed at a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Enter.
    Enter,
    /// A key that means something by itself: a space, `a`, `b`, `q`, `?`, `>`, and the number of a choice.
    Char(char),
    /// Anything else, up to Enter: `:7`, `counters`.
    Line(String),
    /// The end of the input.
    End,
}

/// The keys that need no Enter.
const SINGLE: &[u8] = b" abq?>";
/// An Enter that follows a single key so soon belongs to it.
const BELONGS: Duration = Duration::from_millis(50);
/// What a key that sends several bytes begins with.
const ESCAPE: u8 = 27;
/// A longer line is no lesson's name.
const LONGEST_LINE: usize = 100;

/// How the terminal was before a key was awaited.
static ORIGINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// Shows a prompt and waits for a key, on its own thread, so Ctrl-C still works. The digits from 1 to `choices` need no Enter.
pub(crate) async fn key(prompt: String, choices: usize) -> Key {
    let key = tokio::task::spawn_blocking(move || read_key(&prompt, choices)).await.unwrap_or(Key::End);
    restore();
    key
}

/// Brings the terminal back to how it was: after a key, and when the program ends while it waits for one.
pub(crate) fn restore() {
    if let Ok(mut original) = ORIGINAL.lock()
        && let Some(original) = original.take()
    {
        // A terminal that has gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &original);
    }
}

fn read_key(prompt: &str, choices: usize) -> Key {
    let Ok(original) = tcgetattr(stdin()) else { return Key::End };
    let mut single_keys = original.clone();
    single_keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
    if let Ok(mut kept) = ORIGINAL.lock() {
        *kept = Some(original);
    }
    if tcsetattr(stdin(), OptionalActions::Now, &single_keys).is_err() {
        return Key::End;
    }
    // From here on, the terminal itself shows no key that is pressed.
    Terminal.prompt(prompt);
    loop {
        match read_byte() {
            Some(b'\n' | b'\r') => return Key::Enter,
            // Ctrl-D, which is a byte like any other in this mode.
            None | Some(4) => return Key::End,
            Some(byte) if SINGLE.contains(&byte) || (b'1'..).take(choices).any(|digit| digit == byte) => {
                skip_the_rest();
                return Key::Char(byte.into());
            }
            Some(byte) if byte.is_ascii_graphic() => return read_line(byte),
            Some(ESCAPE) => skip_escape_sequence(),
            Some(_) => {}
        }
    }
}

/// Skips the rest of what an arrow, for example, sends: `ESC [ A`, or `ESC [ 5 ~`.
fn skip_escape_sequence() {
    if arrives_within(BELONGS) && matches!(read_byte(), Some(b'[' | b'O')) {
        while arrives_within(BELONGS) && read_byte().is_some_and(|byte| !(b'@'..=b'~').contains(&byte)) {}
    }
}

/// Skips what belongs to a key: the bytes that arrive with it, and an Enter right after it.
fn skip_the_rest() {
    while arrives_within(BELONGS) && read_byte().is_some_and(|byte| byte != b'\n') {}
}

/// The rest of a line, shown as it is typed.
fn read_line(first: u8) -> Key {
    let mut line = vec![first];
    Terminal.prompt(&String::from_utf8_lossy(&line));
    loop {
        match read_byte() {
            None | Some(4) => return Key::End,
            Some(b'\n' | b'\r') => return Key::Line(String::from_utf8_lossy(&line).into_owned()),
            // Backspace.
            Some(8 | 127) => {
                if line.pop().is_some() {
                    Terminal.prompt("\u{8} \u{8}");
                }
            }
            Some(byte) if byte.is_ascii_graphic() && line.len() < LONGEST_LINE => {
                line.push(byte);
                Terminal.prompt(&char::from(byte).to_string());
            }
            Some(_) => {}
        }
    }
}

fn read_byte() -> Option<u8> {
    let mut byte = [0];
    loop {
        match rustix::io::read(stdin(), &mut byte) {
            Ok(1) => return Some(byte[0]),
            Err(rustix::io::Errno::INTR) => {}
            _ => return None,
        }
    }
}

fn arrives_within(time: Duration) -> bool {
    let Ok(timeout) = Timespec::try_from(time) else { return false };
    let stdin = stdin();
    let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
    poll(&mut waiting, Some(&timeout)).is_ok_and(|ready| ready > 0)
}
