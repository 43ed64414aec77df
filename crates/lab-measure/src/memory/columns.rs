//! A column holds one field of a whole bucket of users: short values side by side, without the field's name.

use lab_runner::{Source, source};
use redis::{Cmd, Pipeline, RedisResult, ToRedisArgs, Value};

use super::document::{Values, unreadable};
use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS, FIELDS};

/// This file, for the screen.
pub static SOURCE: Source = source!("src/memory/columns.rs");

/// Buckets of this many users each.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    pub(super) keys: Keys,
    pub(super) size: u64,
}

impl Buckets {
    /// The bucket of a user, and its place in it.
    pub(super) fn place(&self, number: u64) -> (u64, u64) {
        (number / self.size, number % self.size)
    }
}

/// Where one value is.
pub(super) enum Cell {
    String(String),
    HashField(String, String),
    ListItem(String, u64),
    /// An unsigned number in the bits of a String: the first bit, and how many.
    Bits(String, u64, u64),
}

impl Cell {
    /// The one command that reads it.
    pub(super) fn read(self) -> Cmd {
        let mut command = Cmd::new();
        match self {
            Self::String(key) => command.arg("GET").arg(key),
            Self::HashField(key, field) => command.arg("HGET").arg(key).arg(field),
            Self::ListItem(key, index) => command.arg("LINDEX").arg(key).arg(index),
            Self::Bits(key, first, width) => {
                command.arg("BITFIELD_RO").arg(key).arg("GET").arg(format!("u{width}")).arg(first)
            }
        };
        command
    }

    /// The one command that changes it.
    pub(super) fn change(self, value: impl ToRedisArgs) -> Cmd {
        let mut command = Cmd::new();
        match self {
            Self::String(key) => command.arg("SET").arg(key),
            Self::HashField(key, field) => command.arg("HSET").arg(key).arg(field),
            Self::ListItem(key, index) => command.arg("LSET").arg(key).arg(index),
            // The server would cut off what does not fit. FAIL makes it refuse.
            Self::Bits(key, first, width) => {
                command.arg("BITFIELD").arg(key).arg("OVERFLOW").arg("FAIL").arg("SET");
                command.arg(format!("u{width}")).arg(first)
            }
        };
        command.arg(value);
        command
    }
}

/// What a stored value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Itself.
    Plain,
    /// An index into [`CITIES`].
    City,
    /// An index into [`DEPARTMENTS`].
    Department,
    /// A date: days since 1970, if every month had 31 days.
    Date,
}

impl Code {
    fn of_field(field: usize) -> Self {
        match FIELDS[field] {
            "city" => Self::City,
            "department" => Self::Department,
            "signup" => Self::Date,
            _ => Self::Plain,
        }
    }

    /// The value as it is stored.
    pub(super) fn encode(self, value: &str) -> RedisResult<String> {
        let index = |names: &[&str]| names.iter().position(|name| *name == value);
        let code = match self {
            Self::Plain => return Ok(value.to_owned()),
            Self::City => index(&CITIES),
            Self::Department => index(&DEPARTMENTS),
            Self::Date => date_to_number(value),
        };
        code.map(|code| code.to_string()).ok_or_else(|| unreadable(format!("no code for {value:?}")))
    }

    /// The value from what is stored.
    pub(super) fn decode(self, stored: String) -> RedisResult<String> {
        if self == Self::Plain {
            return Ok(stored);
        }
        let code: usize = stored.parse().map_err(unreadable)?;
        let name = |names: &[&str]| names.get(code).map(|name| (*name).to_owned());
        let value = match self {
            Self::Plain => None,
            Self::City => name(&CITIES),
            Self::Department => name(&DEPARTMENTS),
            Self::Date => Some(number_to_date(code)),
        };
        value.ok_or_else(|| unreadable(format!("no value for code {code}")))
    }
}

fn date_to_number(date: &str) -> Option<usize> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<usize>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_date.then(|| ((year - 1970) * 12 + month - 1) * 31 + day - 1)
}

fn number_to_date(number: usize) -> String {
    let (month, day) = (number / 31, number % 31 + 1);
    format!("{}-{:02}-{day:02}", 1970 + month / 12, month % 12 + 1)
}

/// The columns of an encoding.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Columns {
    /// Hashes, values as they are.
    Plain,
    /// Hashes; what can be a number is one.
    Coded,
    /// Lists; what can be a number is one.
    Listed,
    /// Numbers in bits, text in Lists.
    Packed,
}

/// Bits of one user in [`Columns::Packed`].
pub(super) const BITS_PER_USER: u64 = 56;

/// A column of one field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Fields of a Hash. The field's name is the user's place in the bucket; a listpack keeps it in a byte or two.
    Hash,
    /// Elements of a List. The user's place is the index and takes no memory at all.
    List,
    /// Bits of a String that all such columns share: the first one within a user's bits, and how many.
    Bits(u64, u64),
}

impl Columns {
    /// Widths hold ages to 127, 256 cities, 64 departments, salaries to 1,048,575, and dates to 2057.
    fn column(self, field: usize) -> Column {
        match (self, FIELDS[field]) {
            (Self::Plain | Self::Coded, _) => Column::Hash,
            (Self::Packed, "age") => Column::Bits(0, 7),
            (Self::Packed, "city") => Column::Bits(7, 8),
            (Self::Packed, "department") => Column::Bits(15, 6),
            (Self::Packed, "salary") => Column::Bits(21, 20),
            (Self::Packed, "signup") => Column::Bits(41, 15),
            _ => Column::List,
        }
    }

    fn code(self, field: usize) -> Code {
        if matches!(self, Self::Plain) { Code::Plain } else { Code::of_field(field) }
    }

    fn key(self, buckets: &Buckets, name: &str, field: usize, bucket: u64) -> String {
        match self.column(field) {
            Column::Bits(..) => buckets.keys.memory_bucket(name, bucket),
            _ => buckets.keys.memory_column(name, bucket, FIELDS[field]),
        }
    }

    /// Where a user's field is, and what its value stands for. `name` is the encoding's part of the key.
    pub(super) fn cell(self, buckets: &Buckets, name: &str, field: usize, number: u64) -> (Cell, Code) {
        let (bucket, place) = buckets.place(number);
        let key = self.key(buckets, name, field, bucket);
        let cell = match self.column(field) {
            Column::Hash => Cell::HashField(key, place.to_string()),
            Column::List => Cell::ListItem(key, place),
            Column::Bits(first, width) => Cell::Bits(key, place * BITS_PER_USER + first, width),
        };
        (cell, self.code(field))
    }

    /// The keys of a bucket, each once.
    pub(super) fn keys_of_bucket(self, buckets: &Buckets, name: &str, bucket: u64) -> Vec<String> {
        let mut keys: Vec<String> =
            (0..FIELDS.len()).map(|field| self.key(buckets, name, field, bucket)).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Adds the commands that write a bucket; `users` are all of its users, in order.
    pub(super) fn write_bucket(
        self,
        buckets: &Buckets,
        name: &str,
        users: &[(u64, Values)],
        pipeline: &mut Pipeline,
    ) -> RedisResult<()> {
        let Some(&(number, _)) = users.first() else { return Ok(()) };
        let (bucket, first_place) = buckets.place(number);
        // One command for all numbers of a bucket: the String gets its whole length at once, without a reserve.
        let mut bits = redis::cmd("BITFIELD");
        bits.arg(buckets.keys.memory_bucket(name, bucket)).arg("OVERFLOW").arg("FAIL");
        let mut has_bits = false;
        for field in 0..FIELDS.len() {
            let (column, code) = (self.column(field), self.code(field));
            let mut command = redis::cmd(if column == Column::Hash { "HSET" } else { "RPUSH" });
            command.arg(self.key(buckets, name, field, bucket));
            if column == Column::List {
                // There is no user 0, but a List has no holes.
                (0..first_place).for_each(|_| _ = command.arg(""));
            }
            for (number, values) in users {
                let (_, place) = buckets.place(*number);
                let value = code.encode(&values[field])?;
                match column {
                    Column::Hash => command.arg(place).arg(value),
                    Column::List => command.arg(value),
                    Column::Bits(first, width) => {
                        bits.arg("SET").arg(format!("u{width}")).arg(place * BITS_PER_USER + first).arg(value)
                    }
                };
            }
            match column {
                Column::Bits(..) => has_bits = true,
                _ => _ = pipeline.add_command(command).ignore(),
            }
        }
        if has_bits {
            pipeline.add_command(bits).ignore();
        }
        Ok(())
    }
}

/// A value that a [`Cell`] held, as text. BITFIELD_RO returns a list of one number.
pub(super) fn text(reply: Value) -> RedisResult<String> {
    match reply {
        Value::Array(parts) => Ok(redis::from_redis_value::<[i64; 1]>(Value::Array(parts))?[0].to_string()),
        reply => Ok(redis::from_redis_value(reply)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_date_has_a_number_of_its_own() {
        let mut last = None;
        for (year, month) in (1970..=2057).flat_map(|year| (1..=12).map(move |month| (year, month))) {
            for day in 1..=31 {
                let date = format!("{year}-{month:02}-{day:02}");
                let number = date_to_number(&date);
                assert!(number > last && number < Some(1 << 15), "{date}");
                assert_eq!(number_to_date(number.unwrap()), date);
                last = number;
            }
        }
    }

    #[test]
    fn what_has_no_code_is_refused_both_ways() {
        assert!(Code::City.encode("Atlantis").is_err() && Code::Date.encode("someday").is_err());
        for stored in ["-1", "10", "99999999999999999999", "New York"] {
            assert!(Code::City.decode(stored.into()).is_err(), "{stored}");
        }
        assert_eq!(Code::City.decode(Code::City.encode("Chicago").unwrap()).unwrap(), "Chicago");
    }
}
