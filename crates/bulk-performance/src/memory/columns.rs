//! A column holds one field of a whole bucket of users: short values side by side, without the field's name.

use redis::{Cmd, Pipeline, RedisResult};

use super::buckets::Buckets;
use super::codes::Code;
use super::document::Values;
use crate::people::FIELDS;

/// Where a field's values are within a bucket. `name` is that of the encoding, a part of the key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// Fields of a Hash; the field's name is the user's place in the bucket, which a listpack keeps in one byte or two.
    Hash(Code),
    /// Elements of a List; the user's place is the index and takes no memory at all.
    List(Code),
    /// Bits of a String that several columns share: the first one within a user's share, and how many.
    Bits(u64, u64, Code),
}

/// Bits of one user in the String of [`Column::packed`].
pub(crate) const BITS_OF_A_USER: u64 = 56;

impl Column {
    /// Every field in Hashes, values as they are.
    pub(crate) fn plain(_field: usize) -> Self {
        Self::Hash(Code::Plain)
    }

    /// Every field in Hashes; what can be a number is one.
    pub(crate) fn coded(field: usize) -> Self {
        Self::Hash(code(field))
    }

    /// Every field in Lists; what can be a number is one.
    pub(crate) fn listed(field: usize) -> Self {
        Self::List(code(field))
    }

    /// Numbers in bits, text in Lists. Widths hold ages to 127, 256 cities, 64 departments, salaries to 1,048,575 and
    /// dates to 2059.
    pub(crate) fn packed(field: usize) -> Self {
        match FIELDS.get(field) {
            Some(&"age") => Self::Bits(0, 7, Code::Plain),
            Some(&"city") => Self::Bits(7, 8, Code::City),
            Some(&"department") => Self::Bits(15, 6, Code::Department),
            Some(&"salary") => Self::Bits(21, 20, Code::Plain),
            Some(&"signup") => Self::Bits(41, 15, Code::Day),
            _ => Self::List(Code::Plain),
        }
    }

    fn code(self) -> Code {
        match self {
            Self::Hash(code) | Self::List(code) | Self::Bits(_, _, code) => code,
        }
    }

    fn key(self, buckets: &Buckets, name: &str, field: usize, bucket: u64) -> String {
        match self {
            Self::Bits(..) => buckets.keys.memory_bucket(name, bucket),
            _ => buckets.keys.memory_column(name, bucket, FIELDS[field]),
        }
    }

    /// The one command that reads the field of a user.
    pub(crate) fn read(self, buckets: &Buckets, name: &str, field: usize, number: u64) -> Cmd {
        let (bucket, place) = buckets.place(number);
        let key = self.key(buckets, name, field, bucket);
        let mut command = Cmd::new();
        match self {
            Self::Hash(_) => command.arg("HGET").arg(key).arg(place),
            Self::List(_) => command.arg("LINDEX").arg(key).arg(place),
            Self::Bits(first, width, _) => command
                .arg("BITFIELD_RO")
                .arg(key)
                .arg("GET")
                .arg(format!("u{width}"))
                .arg(place * BITS_OF_A_USER + first),
        };
        command
    }

    /// The one command that changes the field of a user.
    pub(crate) fn change(
        self,
        buckets: &Buckets,
        name: &str,
        field: usize,
        number: u64,
        value: &str,
    ) -> RedisResult<Cmd> {
        let (bucket, place) = buckets.place(number);
        let key = self.key(buckets, name, field, bucket);
        let value = self.code().encode(value)?;
        let mut command = Cmd::new();
        match self {
            Self::Hash(_) => command.arg("HSET").arg(key).arg(place).arg(value),
            Self::List(_) => command.arg("LSET").arg(key).arg(place).arg(value),
            Self::Bits(first, width, _) => {
                // The server would cut off what does not fit; FAIL makes it refuse.
                command.arg("BITFIELD").arg(key).arg("OVERFLOW").arg("FAIL").arg("SET");
                command.arg(format!("u{width}")).arg(place * BITS_OF_A_USER + first).arg(value)
            }
        };
        Ok(command)
    }

    /// What a reply to [`read`](Self::read) means.
    pub(crate) fn value(self, reply: redis::Value) -> RedisResult<String> {
        let stored: String = match self {
            Self::Bits(..) => redis::from_redis_value::<[i64; 1]>(reply)?[0].to_string(),
            _ => redis::from_redis_value(reply)?,
        };
        self.code().decode(stored)
    }
}

/// Adds the commands that write a bucket; `users` are all of its users, in order, the first at place `first`.
pub(crate) fn write_bucket(
    buckets: &Buckets,
    name: &str,
    column: fn(usize) -> Column,
    users: &[(u64, Values)],
    pipeline: &mut Pipeline,
) -> RedisResult<()> {
    let Some(&(number, _)) = users.first() else { return Ok(()) };
    let (bucket, first) = buckets.place(number);
    let mut bits = Cmd::new();
    bits.arg("BITFIELD");
    let mut has_bits = false;
    for field in 0..FIELDS.len() {
        let column = column(field);
        let key = column.key(buckets, name, field, bucket);
        let mut command = Cmd::new();
        match column {
            Column::Hash(_) => command.arg("HSET").arg(&key),
            Column::List(_) => command.arg("RPUSH").arg(&key),
            // One command for all of a bucket's numbers: the String gets its whole length at once, and no reserve.
            Column::Bits(..) if has_bits => &mut bits,
            Column::Bits(..) => bits.arg(&key).arg("OVERFLOW").arg("FAIL"),
        };
        has_bits |= matches!(column, Column::Bits(..));
        if matches!(column, Column::List(_)) {
            // There is no user 0, but a List has no holes.
            for _hole in 0..first {
                command.arg("");
            }
        }
        for (number, values) in users {
            let (_, place) = buckets.place(*number);
            let value = column.code().encode(&values[field])?;
            match column {
                Column::Hash(_) => command.arg(place).arg(value),
                Column::List(_) => command.arg(value),
                Column::Bits(offset, width, _) => {
                    bits.arg("SET").arg(format!("u{width}")).arg(place * BITS_OF_A_USER + offset).arg(value)
                }
            };
        }
        if !matches!(column, Column::Bits(..)) {
            pipeline.add_command(command).ignore();
        }
    }
    if has_bits {
        pipeline.add_command(bits).ignore();
    }
    Ok(())
}

/// The keys of a bucket, each once.
pub(crate) fn keys_of_bucket(
    buckets: &Buckets,
    name: &str,
    column: fn(usize) -> Column,
    bucket: u64,
) -> Vec<String> {
    let mut keys: Vec<String> =
        (0..FIELDS.len()).map(|field| column(field).key(buckets, name, field, bucket)).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn code(field: usize) -> Code {
    match FIELDS.get(field) {
        Some(&"city") => Code::City,
        Some(&"department") => Code::Department,
        Some(&"signup") => Code::Day,
        _ => Code::Plain,
    }
}
