//! The commands that write records, and that remove them.

use bulk_loader::dump::Dump;
use bulk_loader::source::{push_argument, push_command, push_header};
use bulk_loader::topology::slot_of;
use bulk_loader::{Repetition, Source};

use super::{Indexes, Kind};
use crate::keys::Keys;
use crate::people::{FIELDS, People, Record, push_number};

/// Keys in one UNLINK.
const KEYS_PER_UNLINK: u64 = 100;

/// Users as Hashes, one command each, and then their indexes: one load with one journal.
pub struct Users {
    keys: Keys,
    people: People,
    records: u64,
    /// Makes values as the server stores them; without it, HSET sends the fields.
    dump: Option<Dump>,
    indexes: Option<Indexes>,
    record: Record,
    key: Vec<u8>,
}

impl Users {
    /// Users 1 to `records` without indexes, as HSET, or as RESTORE of what `dump` makes.
    pub fn new(keys: Keys, records: u64, dump: Option<Dump>) -> Self {
        let (people, record) = (People::new(), Record::default());
        Self { keys, people, records, dump, indexes: None, record, key: Vec::new() }
    }

    /// The same users, and then `indexes`.
    #[must_use]
    pub fn with_indexes(self, indexes: Option<Indexes>) -> Self {
        Self { indexes, ..self }
    }
}

impl Source for Users {
    fn commands(&self) -> u64 {
        self.records + self.indexes.as_ref().map_or(0, Source::commands)
    }

    /// An index is no further record.
    fn records_before(&self, command: u64) -> u64 {
        command.min(self.records)
    }

    fn write(&mut self, command: u64, again: bool, out: &mut Vec<u8>) {
        if let (Some(command), Some(indexes)) = (command.checked_sub(self.records), &mut self.indexes) {
            return indexes.write(command, again, out);
        }
        let number = command + 1;
        self.key.clear();
        self.keys.push_user(&mut self.key, number);
        self.record.write(&self.people.user(number));
        let values = self.record.values();
        if let Some(dump) = &mut self.dump {
            out.extend_from_slice(if again {
                b"*5\r\n$7\r\nRESTORE\r\n"
            } else {
                b"*4\r\n$7\r\nRESTORE\r\n"
            });
            push_argument(out, &self.key);
            out.extend_from_slice(b"$1\r\n0\r\n");
            push_argument(out, dump.hash(FIELDS.iter().zip(values)));
            if again {
                out.extend_from_slice(b"$7\r\nREPLACE\r\n");
            }
        } else {
            out.extend_from_slice(b"*18\r\n$4\r\nHSET\r\n");
            push_argument(out, &self.key);
            for (field, value) in FIELDS.iter().zip(values) {
                push_argument(out, field.as_bytes());
                push_argument(out, value);
            }
        }
    }

    fn slot(&mut self, command: u64) -> u16 {
        if let (Some(command), Some(indexes)) = (command.checked_sub(self.records), &mut self.indexes) {
            return indexes.slot(command);
        }
        self.key.clear();
        self.keys.push_user(&mut self.key, command + 1);
        slot_of(&self.key)
    }

    fn describe(&self, command: u64) -> String {
        match (command.checked_sub(self.records), &self.indexes) {
            (Some(command), Some(indexes)) => indexes.describe(command),
            _ => self.keys.user(command + 1),
        }
    }
}

/// The same values as Strings.
pub struct Strings {
    keys: Keys,
    people: People,
    records: u64,
    per_command: u64,
    record: Record,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Strings {
    /// Strings 1 to `records`; on a cluster one at a time, because they live in different slots.
    pub fn new(keys: Keys, records: u64, cluster: bool) -> Self {
        let per_command = Kind::Strings.per_command(cluster);
        let (people, record) = (People::new(), Record::default());
        Self { keys, people, records, per_command, record, key: Vec::new(), value: Vec::new() }
    }

    /// The name of the command.
    pub fn command(&self) -> &'static str {
        if self.per_command == 1 { "SET" } else { "MSET" }
    }
}

impl Source for Strings {
    fn commands(&self) -> u64 {
        self.records.div_ceil(self.per_command)
    }

    fn records_before(&self, command: u64) -> u64 {
        (command * self.per_command).min(self.records)
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        let numbers = self.records_of(command);
        push_header(out, 1 + 2 * numbers.clone().count());
        push_argument(out, self.command().as_bytes());
        for number in numbers {
            self.key.clear();
            self.keys.push_user_text(&mut self.key, number);
            push_argument(out, &self.key);
            self.record.write(&self.people.user(number));
            self.value.clear();
            self.record.push_text(&mut self.value);
            push_argument(out, &self.value);
        }
    }

    fn slot(&mut self, command: u64) -> u16 {
        let first = self.records_before(command) + 1;
        self.key.clear();
        self.keys.push_user_text(&mut self.key, first);
        slot_of(&self.key)
    }

    fn describe(&self, command: u64) -> String {
        self.keys.user_text(self.records_before(command) + 1)
    }
}

/// The numbers from 1 on, pushed onto one List.
pub struct ListElements {
    key: String,
    records: u64,
    per_command: u64,
    value: Vec<u8>,
}

impl ListElements {
    /// Numbers 1 to `records`.
    pub fn new(keys: &Keys, records: u64) -> Self {
        Self { key: keys.biglist(), records, per_command: Kind::List.per_command(false), value: Vec::new() }
    }
}

impl Source for ListElements {
    fn commands(&self) -> u64 {
        self.records.div_ceil(self.per_command)
    }

    fn records_before(&self, command: u64) -> u64 {
        (command * self.per_command).min(self.records)
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        let numbers = self.records_of(command);
        push_header(out, 2 + numbers.clone().count());
        push_argument(out, b"LPUSH");
        push_argument(out, self.key.as_bytes());
        for number in numbers {
            self.value.clear();
            push_number(&mut self.value, number);
            push_argument(out, &self.value);
        }
    }

    fn describe(&self, _command: u64) -> String {
        self.key.clone()
    }

    /// LPUSH replies with the new length: anything else means that another client pushes or pops.
    fn accepts(&mut self, command: u64, reply: &[u8]) -> bool {
        let length = self.records_before(command + 1);
        self.value.clear();
        self.value.push(b':');
        push_number(&mut self.value, length);
        self.value.extend_from_slice(b"\r\n");
        reply == self.value
    }

    fn repetition(&self) -> Repetition {
        let mut count = Vec::new();
        push_command(&mut count, &["LLEN", &self.key]);
        let mut newest = Vec::new();
        push_command(&mut newest, &["LINDEX", &self.key, "0"]);
        Repetition::Counted { count, newest }
    }
}

/// Removes users or strings again.
pub struct Unlink {
    /// The names of the keys.
    pub keys: Keys,
    /// Users or strings; a list is one key.
    pub kind: Kind,
    /// How many records.
    pub records: u64,
    /// On a cluster one key at a time, because they live in different slots.
    pub cluster: bool,
}

impl Unlink {
    fn per_command(&self) -> u64 {
        if self.cluster { 1 } else { KEYS_PER_UNLINK }
    }

    fn push_key(&self, number: u64, key: &mut Vec<u8>) {
        match self.kind {
            Kind::Strings => self.keys.push_user_text(key, number),
            Kind::Users | Kind::List => self.keys.push_user(key, number),
        }
    }
}

impl Source for Unlink {
    fn commands(&self) -> u64 {
        self.records.div_ceil(self.per_command())
    }

    fn records_before(&self, command: u64) -> u64 {
        (command * self.per_command()).min(self.records)
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        let numbers = self.records_of(command);
        push_header(out, 1 + numbers.clone().count());
        push_argument(out, b"UNLINK");
        let mut key = Vec::new();
        for number in numbers {
            key.clear();
            self.push_key(number, &mut key);
            push_argument(out, &key);
        }
    }

    fn describe(&self, command: u64) -> String {
        let mut key = Vec::new();
        self.push_key(self.records_before(command) + 1, &mut key);
        String::from_utf8_lossy(&key).into_owned()
    }
}
