//! The indexes of the users, written and read with many members to a command: users are taken in chunks, and a chunk makes one
//! command for each city, one for each department, and a few for the salaries.

use bulk_loader::Source;
use bulk_loader::source::{push_argument, push_command, push_header};

use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS, People, push_number};

/// Users in a chunk.
const CHUNK: u64 = 4_000;
/// Members in one command for salaries; a Sorted Set takes longer for a member than a Set.
const SALARIES: u64 = 500;
/// Commands of a chunk.
const PER_CHUNK: u64 = CITIES.len() as u64 + DEPARTMENTS.len() as u64 + CHUNK.div_ceil(SALARIES);

/// One command for each index of each chunk.
pub struct Indexes {
    keys: Keys,
    people: People,
    records: u64,
    /// Reads the members instead of writing them.
    reads: bool,
    /// The chunk whose groups are known.
    chunk: Option<u64>,
    /// User numbers and salaries, in the order of the chunk's commands.
    groups: Vec<Vec<(u64, u32)>>,
}

impl Indexes {
    /// SADD and ZADD of users 1 to `records`.
    pub fn writes(keys: Keys, records: u64) -> Self {
        Self { keys, people: People::new(), records, reads: false, chunk: None, groups: Vec::new() }
    }

    /// SMISMEMBER and ZMSCORE of the same members, whose replies are checked.
    pub fn reads(keys: Keys, records: u64) -> Self {
        Self { reads: true, ..Self::writes(keys, records) }
    }

    /// The users of a command, with their salaries.
    fn group(&mut self, command: u64) -> &[(u64, u32)] {
        let chunk = command / PER_CHUNK;
        if self.chunk != Some(chunk) {
            self.collect(chunk);
        }
        &self.groups[within(command)]
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
}

impl Source for Indexes {
    fn commands(&self) -> u64 {
        self.records.div_ceil(CHUNK) * PER_CHUNK
    }

    /// The records of a chunk count when its last command is answered.
    fn records_before(&self, command: u64) -> u64 {
        (command / PER_CHUNK * CHUNK).min(self.records)
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        let (key, scored, reads) = (self.describe(command), is_scored(command), self.reads);
        let members = self.group(command);
        if members.is_empty() {
            // A group without members still needs a command, because every number has one: EXISTS changes nothing.
            return push_command(out, &["EXISTS", &key]);
        }
        let name: &[u8] = match (reads, scored) {
            (false, false) => b"SADD",
            (false, true) => b"ZADD",
            (true, false) => b"SMISMEMBER",
            (true, true) => b"ZMSCORE",
        };
        let with_scores = scored && !reads;
        push_header(out, 2 + members.len() * (1 + usize::from(with_scores)));
        push_argument(out, name);
        push_argument(out, key.as_bytes());
        let mut digits = Vec::with_capacity(20);
        for &(number, salary) in members {
            if with_scores {
                digits.clear();
                push_number(&mut digits, salary.into());
                push_argument(out, &digits);
            }
            digits.clear();
            push_number(&mut digits, number);
            push_argument(out, &digits);
        }
    }

    fn describe(&self, command: u64) -> String {
        index_key(&self.keys, within(command))
    }

    /// SMISMEMBER replies 1 for each member, ZMSCORE the score.
    fn accepts(&mut self, command: u64, reply: &[u8]) -> bool {
        let (scored, reads) = (is_scored(command), self.reads);
        let members = self.group(command);
        if !reads || members.is_empty() {
            return true;
        }
        let mut expected = Vec::with_capacity(reply.len());
        push_header(&mut expected, members.len());
        for (_, salary) in members {
            if scored {
                push_argument(&mut expected, salary.to_string().as_bytes());
            } else {
                expected.extend_from_slice(b":1\r\n");
            }
        }
        reply == expected
    }

    fn long_replies(&self) -> bool {
        self.reads
    }
}

fn within(command: u64) -> usize {
    (command % PER_CHUNK) as usize
}

fn is_scored(command: u64) -> bool {
    within(command) >= CITIES.len() + DEPARTMENTS.len()
}

/// Cities, then departments, then the Sorted Set of salaries.
fn index_key(keys: &Keys, index: usize) -> String {
    match (CITIES.get(index), DEPARTMENTS.get(index.saturating_sub(CITIES.len()))) {
        (Some(city), _) => keys.city(city),
        (None, Some(department)) => keys.department(department),
        (None, None) => keys.users_by_salary(),
    }
}

/// Asks how many members each index has, so that there are no others.
pub struct IndexSizes {
    keys: Keys,
    /// Cities, then departments, then salaries.
    sizes: Vec<u64>,
}

impl IndexSizes {
    /// The indexes of users 1 to `records`.
    pub fn new(keys: Keys, records: u64) -> Self {
        let people = People::new();
        let mut sizes = vec![0; CITIES.len() + DEPARTMENTS.len()];
        for number in 1..=records {
            let user = people.user(number);
            sizes[user.city] += 1;
            sizes[CITIES.len() + user.department] += 1;
        }
        sizes.push(records);
        Self { keys, sizes }
    }
}

impl Source for IndexSizes {
    fn commands(&self) -> u64 {
        self.sizes.len() as u64
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        let name = if is_scored(command) { "ZCARD" } else { "SCARD" };
        push_command(out, &[name, &self.describe(command)]);
    }

    fn describe(&self, command: u64) -> String {
        index_key(&self.keys, within(command))
    }

    fn accepts(&mut self, command: u64, reply: &[u8]) -> bool {
        self.sizes.get(within(command)).is_some_and(|size| reply == format!(":{size}\r\n").as_bytes())
    }
}
