//! What to send: commands, each made from its number.

use std::ops::RangeInclusive;

use crate::slot::slot_of;

/// Commands numbered from 0. A command is made when it is sent, and made again when it is sent again.
///
/// The same number must always give the same keys and values. That is why a load does not remember what it sent, and can
/// continue after a lost connection or in another process.
pub trait Source {
    /// How many commands there are.
    fn commands(&self) -> u64;

    /// How many records the commands before this one write. By default, each command writes one.
    fn records_before(&self, command: u64) -> u64 {
        command
    }

    /// Appends one command in RESP to `out`. With `again`, the server may have executed it before, and executing it once more
    /// must not change anything.
    fn write(&mut self, command: u64, again: bool, out: &mut Vec<u8>);

    /// The numbers of the records that a command writes, from 1.
    fn records_of(&self, command: u64) -> RangeInclusive<u64> {
        self.records_before(command) + 1..=self.records_before(command + 1)
    }

    /// The slot of the command's key, 0 to 16,383. Used only on a cluster.
    fn slot(&mut self, command: u64) -> u16 {
        slot_of(self.describe(command).as_bytes())
    }

    /// The command's key, for messages.
    fn describe(&self, command: u64) -> String;

    /// Whether a reply that is no error is the expected one. The reply is complete RESP with its last line break.
    fn accepts(&mut self, _command: u64, _reply: &[u8]) -> bool {
        true
    }

    /// What happens if a command is executed twice.
    fn repetition(&self) -> Repetition {
        Repetition::Idempotent
    }

    /// Whether replies are long. Then the loader reads them while it sends, and has fewer commands in flight.
    fn long_replies(&self) -> bool {
        false
    }
}

/// What happens if a command is executed twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// Nothing changes, and the order of the commands doesn't matter.
    Idempotent,
    /// The key gets records twice, as with LPUSH. So all commands go to one key, in order, over one connection. After a lost
    /// connection, the loader asks the server how many records it has, and continues from there.
    Counted {
        /// The command in RESP that returns the number of records, for example LLEN.
        count: Vec<u8>,
        /// The command in RESP that returns the newest record, for example LINDEX. Records must be their own numbers, from 1:
        /// if the newest one isn't the count, some are missing or duplicated.
        newest: Vec<u8>,
    },
}

/// Appends `*<count>`, the header of a command. The command's name is an argument, too.
pub fn push_header(out: &mut Vec<u8>, count: usize) {
    out.push(b'*');
    push_decimal(out, count);
    out.extend_from_slice(b"\r\n");
}

/// Appends one argument.
pub fn push_argument(out: &mut Vec<u8>, argument: &[u8]) {
    out.push(b'$');
    push_decimal(out, argument.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
}

/// Appends a complete command.
pub fn push_command<A: AsRef<[u8]>>(out: &mut Vec<u8>, arguments: &[A]) {
    push_header(out, arguments.len());
    for argument in arguments {
        push_argument(out, argument.as_ref());
    }
}

fn push_decimal(out: &mut Vec<u8>, number: usize) {
    // Nearly all arguments are shorter than a thousand bytes.
    match number {
        0..10 => out.push(digit(number)),
        10..100 => out.extend_from_slice(&[digit(number / 10), digit(number % 10)]),
        100..1000 => {
            out.extend_from_slice(&[digit(number / 100), digit(number / 10 % 10), digit(number % 10)]);
        }
        _ => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "one decimal digit")]
fn digit(number: usize) -> u8 {
    b'0' + number as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        push_command(&mut out, &["SET", "greeting", &"x".repeat(100)]);
        let expected = format!("*3\r\n$3\r\nSET\r\n$8\r\ngreeting\r\n$100\r\n{}\r\n", "x".repeat(100));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = Vec::new();
        push_command(&mut out, &["", "twelve bytes", "\r\n"]);
        assert_eq!(out, b"*3\r\n$0\r\n\r\n$12\r\ntwelve bytes\r\n$2\r\n\r\n\r\n");
    }
}
