//! Reads of every record. A reply has to be what the record's number says, byte for byte, so nothing is parsed.

use std::collections::HashMap;

use bulk_loader::Source;
use bulk_loader::source::{push_argument, push_command, push_header};

use super::Kind;
use crate::keys::Keys;
use crate::people::{FIELDS, People, Record, push_number};
use crate::stored::Content;

/// Reads records and compares them.
pub struct RecordReads {
    kind: Kind,
    keys: Keys,
    people: People,
    records: u64,
    per_command: u64,
    /// What was found so far.
    pub content: Content,
    record: Record,
    expected: Vec<u8>,
    text: Vec<u8>,
}

impl RecordReads {
    /// Reads of records 1 to `records`.
    pub fn new(kind: Kind, keys: Keys, records: u64, cluster: bool) -> Self {
        Self {
            kind,
            keys,
            people: People::new(),
            records,
            per_command: kind.per_command(cluster),
            content: Content::default(),
            record: Record::default(),
            expected: Vec::new(),
            text: Vec::new(),
        }
    }

    /// After the last element of a list: how many there are, so that there are no others.
    fn asks_length(&self, command: u64) -> bool {
        self.kind == Kind::List && command + 1 == self.commands()
    }

    fn expect_and_count(&mut self, command: u64) {
        let numbers = self.records_of(command);
        let count = numbers.clone().count();
        self.expected.clear();
        match self.kind {
            Kind::Users => {
                let number = *numbers.start();
                self.record.write(&self.people.user(number));
                let values = self.record.values();
                push_header(&mut self.expected, 2 * values.len());
                for (field, value) in FIELDS.iter().zip(values) {
                    push_argument(&mut self.expected, field.as_bytes());
                    push_argument(&mut self.expected, value);
                }
                self.content.add(number, &values);
            }
            Kind::Strings => {
                push_header(&mut self.expected, count);
                for number in numbers {
                    self.record.write(&self.people.user(number));
                    self.text.clear();
                    self.record.push_text(&mut self.text);
                    push_argument(&mut self.expected, &self.text);
                    self.content.add(number, &[&self.text]);
                }
            }
            Kind::List => {
                push_header(&mut self.expected, count);
                // The last number pushed stands first.
                for number in numbers.rev() {
                    self.text.clear();
                    push_number(&mut self.text, number);
                    push_argument(&mut self.expected, &self.text);
                    self.content.add(number, &[&self.text]);
                }
            }
        }
    }
}

impl Source for RecordReads {
    fn commands(&self) -> u64 {
        self.records.div_ceil(self.per_command) + u64::from(self.kind == Kind::List)
    }

    fn records_before(&self, command: u64) -> u64 {
        (command * self.per_command).min(self.records)
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        let key = self.describe(command);
        if self.asks_length(command) {
            return push_command(out, &["LLEN", &key]);
        }
        let numbers = self.records_of(command);
        match self.kind {
            Kind::Users => push_command(out, &["HGETALL", &key]),
            Kind::Strings => {
                push_header(out, 1 + numbers.clone().count());
                push_argument(out, b"MGET");
                for number in numbers {
                    push_argument(out, self.keys.user_text(number).as_bytes());
                }
            }
            Kind::List => {
                // From the end, where the first numbers are.
                let (start, stop) = (format!("-{}", numbers.end()), format!("-{}", numbers.start()));
                push_command(out, &["LRANGE", &key, &start, &stop]);
            }
        }
    }

    fn describe(&self, command: u64) -> String {
        let first = self.records_before(command) + 1;
        match self.kind {
            Kind::Users => self.keys.user(first),
            Kind::Strings => self.keys.user_text(first),
            Kind::List => self.keys.biglist(),
        }
    }

    fn accepts(&mut self, command: u64, reply: &[u8]) -> bool {
        if self.asks_length(command) {
            return reply == format!(":{}\r\n", self.records).as_bytes();
        }
        self.expect_and_count(command);
        reply == self.expected || self.kind == Kind::Users && same_fields(reply, &self.expected)
    }

    fn long_replies(&self) -> bool {
        true
    }
}

/// Whether two replies of HGETALL have the same fields and values: a large Hash returns them in any order.
fn same_fields(one: &[u8], other: &[u8]) -> bool {
    let fields = |reply: &[u8]| -> Option<HashMap<Vec<u8>, Vec<u8>>> {
        redis::from_redis_value(redis::parse_redis_value(reply).ok()?).ok()
    };
    fields(one).is_some_and(|one| Some(one) == fields(other))
}
