//! What is sent: commands made one by one from their number.

/// Commands numbered from 0, each made when it is its turn, and again when it has to be sent again.
///
/// The number stands for the command: whoever asks twice gets the same keys and values. That is why a load needs no
/// memory of what it sent, and can go on after a lost connection, or in another process.
pub trait Source {
    /// How many commands there are.
    fn commands(&self) -> u64;

    /// How many records the commands before this one write; for progress, and to find one's place again. One record
    /// for each command, unless the source says otherwise.
    fn records_before(&self, command: u64) -> u64 {
        command
    }

    /// Appends one command in RESP to `out`. With `again` the server may have executed it before, and executing it once
    /// more must not change anything.
    fn write(&mut self, command: u64, again: bool, out: &mut Vec<u8>);

    /// The slot of the command's key, 0 to 16,383. Only asked for on a cluster.
    fn slot(&mut self, command: u64) -> u16;

    /// What the command is about, for a message: its key.
    fn describe(&self, command: u64) -> String;

    /// Whether a reply that is no error is the right one. The reply is complete RESP, with its last line break.
    fn accepts(&mut self, _command: u64, _reply: &[u8]) -> bool {
        true
    }

    /// Whether a command may be sent twice, or must not.
    fn repetition(&self) -> Repetition {
        Repetition::Harmless
    }

    /// Whether replies are long, so that they have to be read while sending goes on, and fewer are awaited at a time.
    fn long_replies(&self) -> bool {
        false
    }
}

/// What happens when a command is executed twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// Nothing: it sets a state. Order does not matter either.
    Harmless,
    /// Too much is written, as by LPUSH. After a lost connection the server is asked how many records it has, and sending
    /// goes on from there: so all commands go to one key, in order, over one connection.
    Counted {
        /// The command that asks, in RESP; its reply is the number of records, for example LLEN.
        ask: Vec<u8>,
        /// The command that asks for the newest record, in RESP, for example LINDEX. Records are their own numbers here,
        /// from 1, so the reply has to be the same number: else something is missing, or there twice.
        newest: Vec<u8>,
    },
}

/// Appends `*<count>`, the beginning of a command of `count` arguments.
pub fn push_header(out: &mut Vec<u8>, count: usize) {
    out.push(b'*');
    push_decimal(out, count);
    out.extend_from_slice(b"\r\n");
}

/// Appends an argument.
pub fn push_argument(out: &mut Vec<u8>, argument: &[u8]) {
    out.push(b'$');
    push_decimal(out, argument.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
}

/// Appends a whole command.
pub fn push_command<A: AsRef<[u8]>>(out: &mut Vec<u8>, arguments: &[A]) {
    push_header(out, arguments.len());
    for argument in arguments {
        push_argument(out, argument.as_ref());
    }
}

fn push_decimal(out: &mut Vec<u8>, number: usize) {
    // Shorter than a thousand bytes is nearly everything.
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
