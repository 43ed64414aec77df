//! A command as one would type it in `redis-cli`.

use std::borrow::Cow;
use std::fmt::Write;

use redis::{Arg, Cmd};

use super::{SHOWN_ARGUMENTS, quote, secret};

/// The line that makes `redis-cli` send the same command. Passwords are replaced by `(redacted)`, and long
/// arguments and long lists of arguments are cut.
#[must_use]
pub fn command_line(cmd: &Cmd) -> String {
    let arguments = first_arguments(cmd, SHOWN_ARGUMENTS);
    let mut line = String::new();
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        if secret::is_secret(&arguments, index) {
            line.push_str(secret::REDACTED);
        } else {
            line.push_str(&quote::argument(argument));
        }
    }
    let hidden = cmd.args_iter().len() - arguments.len();
    if hidden > 0 {
        // Writing to a String cannot fail.
        let _ = write!(line, " {}", more(hidden, "argument"));
    }
    line
}

/// `… 94 more commands`.
pub fn more(count: usize, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        _ if count == 1 => noun.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    };
    format!("… {count} more {plural}")
}

/// The first `limit` arguments, the command's name being the first of them.
pub fn first_arguments(cmd: &Cmd, limit: usize) -> Vec<Cow<'_, [u8]>> {
    let plain: Option<Vec<_>> = cmd
        .args_iter()
        .take(limit)
        .map(|argument| match argument {
            Arg::Simple(bytes) => Some(Cow::Borrowed(bytes)),
            // `Arg` may grow, and a cursor's value is private to redis-rs.
            _ => None,
        })
        .collect();
    plain.unwrap_or_else(|| unpack(&cmd.get_packed_command(), limit))
}

/// Reads arguments back from the bytes that go over the wire: `*2\r\n$4\r\nSCAN\r\n$1\r\n0\r\n`.
fn unpack(packed: &[u8], limit: usize) -> Vec<Cow<'static, [u8]>> {
    let mut arguments = Vec::new();
    let mut rest = after_line(packed).unwrap_or_default().1;
    while arguments.len() < limit
        && let Some((header, body)) = after_line(rest)
        && let Some(length) = std::str::from_utf8(&header[1..]).ok().and_then(|digits| digits.parse().ok())
        && let Some((argument, tail)) = body.split_at_checked(length)
    {
        arguments.push(Cow::Owned(argument.to_vec()));
        rest = tail.strip_prefix(b"\r\n").unwrap_or_default();
    }
    arguments
}

/// A header line, which has at least one byte, and what follows it.
fn after_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").filter(|&end| end > 0)?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_shows_the_value_that_is_sent() {
        let mut scan = redis::cmd("SCAN");
        scan.cursor_arg(17).arg("MATCH").arg("cart:*").arg("COUNT").arg(100);
        assert_eq!(command_line(&scan), "SCAN 17 MATCH cart:* COUNT 100");
    }

    #[test]
    fn a_long_list_of_arguments_is_cut_with_a_count() {
        let keys: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
        let line = command_line(redis::cmd("MGET").arg(&keys));
        assert!(line.starts_with("MGET k0 k1 "), "{line}");
        assert!(line.ends_with(" k18 … 81 more arguments"), "{line}");
    }
}
