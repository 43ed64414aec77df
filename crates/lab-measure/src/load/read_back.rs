//! Questions about every record. A reply has to be what the record's number says, byte for byte, so nothing is parsed.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use bulk_loader::Source;
use bulk_loader::source::{push_argument, push_header};
use bulk_loader::topology::slot_of;

use super::indexes::{IndexCommands, IndexOf};
use super::sources::{ELEMENTS_PER_COMMAND, Kind, STRINGS_PER_COMMAND};
use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS, FIELDS, People, Record, push_number};
use crate::stored::Content;

/// Asks for records and compares.
pub struct RecordQuestions {
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

impl RecordQuestions {
    /// Questions about records 1 to `records`; on a cluster one at a time, because they live in different slots.
    #[must_use]
    pub fn new(kind: Kind, keys: Keys, records: u64, cluster: bool) -> Self {
        let per_command = match kind {
            Kind::Users => 1,
            Kind::Strings if cluster => 1,
            Kind::Strings => STRINGS_PER_COMMAND,
            Kind::List => ELEMENTS_PER_COMMAND,
        };
        Self {
            kind,
            keys,
            people: People::new(),
            records,
            per_command,
            content: Content::default(),
            record: Record::default(),
            expected: Vec::new(),
            text: Vec::new(),
        }
    }

    fn numbers(&self, command: u64) -> RangeInclusive<u64> {
        self.records_before(command) + 1..=self.records_before(command + 1)
    }

    fn key(&self, command: u64) -> String {
        let first = self.records_before(command) + 1;
        match self.kind {
            Kind::Users => self.keys.user(first),
            Kind::Strings => self.keys.user_text(first),
            Kind::List => self.keys.biglist(),
        }
    }

    /// After the last element of a list: how many there are, so that there are no others.
    fn asks_length(&self, command: u64) -> bool {
        self.kind == Kind::List && command + 1 == self.commands()
    }

    fn expect_and_count(&mut self, command: u64) {
        let numbers = self.numbers(command);
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

impl Source for RecordQuestions {
    fn commands(&self) -> u64 {
        self.records.div_ceil(self.per_command) + u64::from(self.kind == Kind::List)
    }

    fn records_before(&self, command: u64) -> u64 {
        (command * self.per_command).min(self.records)
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        if self.asks_length(command) {
            push_header(out, 2);
            push_argument(out, b"LLEN");
            push_argument(out, self.keys.biglist().as_bytes());
            return;
        }
        let numbers = self.numbers(command);
        match self.kind {
            Kind::Users => {
                push_header(out, 2);
                push_argument(out, b"HGETALL");
                push_argument(out, self.key(command).as_bytes());
            }
            Kind::Strings => {
                push_header(out, 1 + numbers.clone().count());
                push_argument(out, b"MGET");
                for number in numbers {
                    push_argument(out, self.keys.user_text(number).as_bytes());
                }
            }
            Kind::List => {
                push_header(out, 4);
                push_argument(out, b"LRANGE");
                push_argument(out, self.keys.biglist().as_bytes());
                // From the end, where the first numbers are.
                push_argument(out, format!("-{}", numbers.end()).as_bytes());
                push_argument(out, format!("-{}", numbers.start()).as_bytes());
            }
        }
    }

    fn slot(&mut self, command: u64) -> u16 {
        slot_of(self.key(command).as_bytes())
    }

    fn describe(&self, command: u64) -> String {
        self.key(command)
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

/// Whether two replies of HGETALL have the same fields and values: a large Hash tells them in any order.
fn same_fields(one: &[u8], other: &[u8]) -> bool {
    let fields = |reply: &[u8]| -> Option<HashMap<Vec<u8>, Vec<u8>>> {
        redis::from_redis_value(redis::parse_redis_value(reply).ok()?).ok()
    };
    fields(one).is_some_and(|one| Some(one) == fields(other))
}

/// Asks for the members of indexes, as many at a time as were written.
pub struct MemberQuestions {
    commands: IndexCommands,
}

impl MemberQuestions {
    /// Questions about the indexes of users 1 to `records`.
    #[must_use]
    pub fn new(keys: Keys, records: u64) -> Self {
        Self { commands: IndexCommands::phrased(keys, records, ask_for_members) }
    }
}

/// SMISMEMBER answers 1 for each member, ZMSCORE the score.
fn ask_for_members(index: IndexOf, key: &str, members: &[(u64, u32)], out: &mut Vec<u8>) {
    let word: &[u8] = match (members.is_empty(), index) {
        (true, _) => b"EXISTS",
        (false, IndexOf::Salary) => b"ZMSCORE",
        (false, _) => b"SMISMEMBER",
    };
    push_header(out, 2 + members.len());
    push_argument(out, word);
    push_argument(out, key.as_bytes());
    let mut digits = Vec::with_capacity(20);
    for &(number, _) in members {
        digits.clear();
        push_number(&mut digits, number);
        push_argument(out, &digits);
    }
}

impl Source for MemberQuestions {
    fn commands(&self) -> u64 {
        self.commands.commands()
    }

    fn records_before(&self, command: u64) -> u64 {
        self.commands.records_before(command)
    }

    fn write(&mut self, command: u64, again: bool, out: &mut Vec<u8>) {
        self.commands.write(command, again, out);
    }

    fn slot(&mut self, command: u64) -> u16 {
        self.commands.slot(command)
    }

    fn describe(&self, command: u64) -> String {
        self.commands.describe(command)
    }

    fn accepts(&mut self, command: u64, reply: &[u8]) -> bool {
        let (index, members) = self.commands.group(command);
        if members.is_empty() {
            return true;
        }
        let mut expected = Vec::with_capacity(reply.len());
        push_header(&mut expected, members.len());
        for (_, salary) in members {
            match index {
                IndexOf::Salary => push_argument(&mut expected, salary.to_string().as_bytes()),
                _ => expected.extend_from_slice(b":1\r\n"),
            }
        }
        reply == expected
    }

    fn long_replies(&self) -> bool {
        true
    }
}

/// Asks how many members each index has, so that there are no others.
pub struct SizeQuestions {
    keys: Keys,
    /// Cities, then departments, then salaries.
    sizes: Vec<u64>,
}

impl SizeQuestions {
    /// Questions about the indexes of users 1 to `records`.
    #[must_use]
    pub fn new(keys: Keys, records: u64) -> Self {
        let people = People::new();
        let mut sizes = vec![0; CITIES.len() + DEPARTMENTS.len() + 1];
        for number in 1..=records {
            let user = people.user(number);
            sizes[user.city] += 1;
            sizes[CITIES.len() + user.department] += 1;
        }
        sizes[CITIES.len() + DEPARTMENTS.len()] = records;
        Self { keys, sizes }
    }

    fn key(&self, command: u64) -> String {
        let index = usize::try_from(command).unwrap_or(usize::MAX);
        match (CITIES.get(index), DEPARTMENTS.get(index.saturating_sub(CITIES.len()))) {
            (Some(city), _) => self.keys.city(city),
            (None, Some(department)) => self.keys.department(department),
            (None, None) => self.keys.users_by_salary(),
        }
    }
}

impl Source for SizeQuestions {
    fn commands(&self) -> u64 {
        self.sizes.len() as u64
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        let last = command + 1 == self.commands();
        push_header(out, 2);
        push_argument(out, if last { b"ZCARD" } else { b"SCARD" });
        push_argument(out, self.key(command).as_bytes());
    }

    fn slot(&mut self, command: u64) -> u16 {
        slot_of(self.key(command).as_bytes())
    }

    fn describe(&self, command: u64) -> String {
        self.key(command)
    }

    fn accepts(&mut self, command: u64, reply: &[u8]) -> bool {
        let index = usize::try_from(command).unwrap_or(usize::MAX);
        self.sizes.get(index).is_some_and(|size| reply == format!(":{size}\r\n").as_bytes())
    }
}
