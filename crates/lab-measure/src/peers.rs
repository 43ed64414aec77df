//! The records as other programs take them: commands in RESP, and plain values for programs that make their own commands.

use std::io::{self, Write};

use bulk_loader::Source;

use crate::keys::Keys;
use crate::load::Users;
use crate::people::{People, Record};

/// Written at once: as much as a pipe holds on Linux.
const CHUNK: usize = 64 * 1_024;

/// Writes an HSET for each of users 1 to `records`, as `redis-cli --pipe` reads them.
pub fn write_hsets(keys: &Keys, records: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut users = Users::new(keys.clone(), records, None);
    in_chunks(records, out, &mut |number, bytes| users.write(number - 1, false, bytes))
}

/// Writes the values of each of users 1 to `records`: one user per line, separated by tabs. No value holds a tab or a line break.
pub fn write_values(people: &People, records: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut record = Record::default();
    in_chunks(records, out, &mut |number, bytes| {
        record.write(&people.user(number));
        bytes.extend_from_slice(&record.values().join(&b'\t'));
        bytes.push(b'\n');
    })
}

fn in_chunks(records: u64, out: &mut dyn Write, push: &mut dyn FnMut(u64, &mut Vec<u8>)) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CHUNK + 1_024);
    for number in 1..=records {
        push(number, &mut bytes);
        if bytes.len() >= CHUNK {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    out.write_all(&bytes)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::hset;

    #[test]
    fn the_commands_are_those_that_redis_rs_would_send() {
        let (keys, people) = (Keys::new("lab:"), People::new());
        let mut written = Vec::new();
        write_hsets(&keys, 1_000, &mut written).unwrap();
        let expected: Vec<u8> =
            (1..=1_000).flat_map(|number| hset(&keys, &people, number).get_packed_command()).collect();
        assert!(written == expected);
    }

    #[test]
    fn a_line_of_values_is_a_user() {
        let people = People::new();
        let mut written = Vec::new();
        write_values(&people, 1_000, &mut written).unwrap();
        let lines: Vec<&str> = std::str::from_utf8(&written).unwrap().lines().collect();
        assert_eq!(lines.len(), 1_000);
        for (number, line) in (1..).zip(lines) {
            assert_eq!(line.split('\t').collect::<Vec<_>>(), people.user(number).values());
        }
    }
}
