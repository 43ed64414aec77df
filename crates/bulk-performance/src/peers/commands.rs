//! The records as other programs take them: commands in RESP, and plain values for those that make their own.

use std::io::{self, Write};

use crate::keys::Keys;
use crate::people::{FIELDS, People, Record, push_number};

/// Written at once: as much as a pipe holds on Linux.
const CHUNK: usize = 64 * 1_024;

/// Writes an HSET for each of users 1 to `records`, as `redis-cli --pipe` wants them.
pub(crate) fn write_hsets(
    keys: &Keys,
    people: &People,
    records: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut key = Vec::new();
    for_each(people, records, out, |bytes, number, record| {
        key.clear();
        keys.push_user(&mut key, number);
        push_head(bytes, b'*', 2 + 2 * FIELDS.len());
        push_argument(bytes, b"HSET");
        push_argument(bytes, &key);
        for (field, value) in FIELDS.iter().zip(record.values()) {
            push_argument(bytes, field.as_bytes());
            push_argument(bytes, value);
        }
    })
}

/// Writes the values of each of users 1 to `records`, one user a line, separated by tabs; no value holds either.
pub(crate) fn write_values(people: &People, records: u64, out: &mut impl Write) -> io::Result<()> {
    for_each(people, records, out, |bytes, _number, record| {
        bytes.extend_from_slice(&record.values().join(&b'\t'));
        bytes.push(b'\n');
    })
}

fn for_each(
    people: &People,
    records: u64,
    out: &mut impl Write,
    mut push: impl FnMut(&mut Vec<u8>, u64, &Record),
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CHUNK + 1_024);
    let mut record = Record::default();
    for number in 1..=records {
        record.write(&people.user(number));
        push(&mut bytes, number, &record);
        if bytes.len() >= CHUNK {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    out.write_all(&bytes)?;
    out.flush()
}

fn push_argument(bytes: &mut Vec<u8>, argument: &[u8]) {
    push_head(bytes, b'$', argument.len());
    bytes.extend_from_slice(argument);
    bytes.extend_from_slice(b"\r\n");
}

fn push_head(bytes: &mut Vec<u8>, mark: u8, length: usize) {
    bytes.push(mark);
    push_number(bytes, length as u64);
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::hset;

    #[test]
    fn the_commands_are_those_that_redis_rs_would_send() {
        let (keys, people) = (Keys::new("lab:"), People::new());
        let mut written = Vec::new();
        write_hsets(&keys, &people, 1_000, &mut written).unwrap();
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
