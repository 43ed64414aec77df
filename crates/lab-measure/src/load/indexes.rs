//! The indexes of the users, many members to a command: users are taken in chunks, and a chunk makes one command for
//! each city, one for each department, and a few for the salaries.

use bulk_loader::Source;
use bulk_loader::source::{push_argument, push_header};
use bulk_loader::topology::slot_of;

use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS, People, push_number};

/// Users in a chunk.
const CHUNK: u64 = 4_000;
/// Members in one command for salaries; a Sorted Set takes longer for a member than a Set.
const SALARIES: u64 = 500;
/// Commands of a chunk.
pub const PER_CHUNK: u64 = CITIES.len() as u64 + DEPARTMENTS.len() as u64 + CHUNK.div_ceil(SALARIES);

/// Which index a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexOf {
    /// The Set of a city.
    City(usize),
    /// The Set of a department.
    Department(usize),
    /// The Sorted Set of all salaries.
    Salary,
}

/// Writes the members of an index, or asks for them.
type Phrase = fn(IndexOf, &str, &[(u64, u32)], &mut Vec<u8>);

/// One command for each index of each chunk.
pub struct IndexCommands {
    keys: Keys,
    people: People,
    records: u64,
    phrase: Phrase,
    /// The chunk whose groups are known.
    chunk: Option<u64>,
    /// User numbers and salaries, in the order of the chunk's commands.
    groups: Vec<Vec<(u64, u32)>>,
}

impl IndexCommands {
    /// SADD and ZADD of users 1 to `records`.
    #[must_use]
    pub fn new(keys: Keys, records: u64) -> Self {
        Self::phrased(keys, records, add)
    }

    /// The same groups in other commands.
    pub(crate) fn phrased(keys: Keys, records: u64, phrase: Phrase) -> Self {
        Self { keys, people: People::new(), records, phrase, chunk: None, groups: Vec::new() }
    }

    /// Which index a command is about, and its users with their salaries.
    pub fn group(&mut self, command: u64) -> (IndexOf, &[(u64, u32)]) {
        let chunk = command / PER_CHUNK;
        if self.chunk != Some(chunk) {
            self.collect(chunk);
        }
        (index_of(command), &self.groups[within(command)])
    }

    fn collect(&mut self, chunk: u64) {
        self.groups.resize_with(within(PER_CHUNK - 1) + 1, Vec::new);
        self.groups.iter_mut().for_each(Vec::clear);
        let first = chunk * CHUNK + 1;
        for number in first..=self.records.min(first + CHUNK - 1) {
            let user = self.people.user(number);
            let member = (number, user.salary);
            self.groups[user.city].push(member);
            self.groups[CITIES.len() + user.department].push(member);
            let part = within((number - first) / SALARIES);
            self.groups[CITIES.len() + DEPARTMENTS.len() + part].push(member);
        }
        self.chunk = Some(chunk);
    }

    fn key(&self, index: IndexOf) -> String {
        match index {
            IndexOf::City(city) => self.keys.city(CITIES[city]),
            IndexOf::Department(department) => self.keys.department(DEPARTMENTS[department]),
            IndexOf::Salary => self.keys.users_by_salary(),
        }
    }
}

impl Source for IndexCommands {
    fn commands(&self) -> u64 {
        self.records.div_ceil(CHUNK) * PER_CHUNK
    }

    /// The records of a chunk count when its last command is answered.
    fn records_before(&self, command: u64) -> u64 {
        (command / PER_CHUNK * CHUNK).min(self.records)
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        let (index, phrase) = (index_of(command), self.phrase);
        let key = self.key(index);
        let (_, members) = self.group(command);
        phrase(index, &key, members, out);
    }

    fn slot(&mut self, command: u64) -> u16 {
        slot_of(self.key(index_of(command)).as_bytes())
    }

    fn describe(&self, command: u64) -> String {
        self.key(index_of(command))
    }
}

fn within(command: u64) -> usize {
    (command % PER_CHUNK) as usize
}

fn index_of(command: u64) -> IndexOf {
    let within = within(command);
    if within < CITIES.len() {
        IndexOf::City(within)
    } else if within < CITIES.len() + DEPARTMENTS.len() {
        IndexOf::Department(within - CITIES.len())
    } else {
        IndexOf::Salary
    }
}

/// A group without members still needs a command, because every number has one: EXISTS changes nothing.
fn add(index: IndexOf, key: &str, members: &[(u64, u32)], out: &mut Vec<u8>) {
    if members.is_empty() {
        push_header(out, 2);
        push_argument(out, b"EXISTS");
        push_argument(out, key.as_bytes());
        return;
    }
    let scored = index == IndexOf::Salary;
    push_header(out, 2 + members.len() * (1 + usize::from(scored)));
    push_argument(out, if scored { b"ZADD" } else { b"SADD" });
    push_argument(out, key.as_bytes());
    let mut digits = Vec::with_capacity(20);
    for &(number, salary) in members {
        if scored {
            digits.clear();
            push_number(&mut digits, salary.into());
            push_argument(out, &digits);
        }
        digits.clear();
        push_number(&mut digits, number);
        push_argument(out, &digits);
    }
}
