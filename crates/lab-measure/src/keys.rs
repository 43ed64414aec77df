//! The only place where the key names of `bulk-performance` are spelled.

use crate::people::push_number;

/// Builds key names, each behind the prefix of the target.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

/// Defines a function for each name; what is in braces is an argument.
macro_rules! names {
    ($($(#[$doc:meta])* $function:ident($($argument:ident: $type:ty),*) = $name:literal;)*) => {
        impl Keys {
            $(
                $(#[$doc])*
                pub fn $function(&self, $($argument: $type),*) -> String {
                    format!("{}{}", self.prefix, format_args!($name))
                }
            )*
        }
    };
}

names! {
    /// Hash: a user.
    user(number: u64) = "user:{number}";
    /// What the names of all users begin with.
    user_prefix() = "user:";
    /// What KEYS and SCAN look for to find every user. A prefix holds no character with a meaning in patterns.
    users_pattern() = "user:*";
    /// String: a user as plain text; what `--kind strings` writes.
    user_text(number: u64) = "user_text:{number}";
    /// What the names of all texts match; other names match too.
    user_texts_pattern() = "user_text:*";
    /// Set: numbers of the users of a city.
    city(city: &str) = "city:{city}:users";
    /// Set: numbers of the users of a department.
    department(department: &str) = "department:{department}:users";
    /// Sorted Set: numbers of all users by their salary.
    users_by_salary() = "users_by_salary";
    /// Hash: how many records of a kind were written last, whichever command did, so that the next one can remove exactly those.
    /// Written before the first record.
    loaded(kind: &str) = "bulk:loaded:{kind}";
    /// String: how far a load has come; on the nodes of a cluster with a hash tag behind it.
    journal(kind: &str) = "bulk:journal:{kind}";
    /// Hash: a user, written by the server while the loader looks for the fastest command.
    probe_by_hset() = "bulk:probe:plain";
    /// Hash: the same user, made by the loader.
    probe_by_restore() = "bulk:probe:made";

    /// List: the numbers that Server A writes and Server B reads.
    biglist() = "biglist";
    /// String: how many numbers the finished list has. Server A writes it last.
    biglist_count() = "biglist:count";
    /// List: what a replica has not received yet.
    biglist_late() = "biglist:late";
    /// List: one that grows while it is read.
    biglist_growing() = "biglist:growing";
    /// List: one part of the numbers. Each part has its own hash tag, so the parts can be on different servers.
    biglist_part(part: u64) = "biglist:{{{part}}}";
    /// Stream: the numbers as work to be shared out.
    biglist_stream() = "biglist:stream";

    /// String: what one of the clients of `concurrency` writes and reads.
    concurrency(client: usize) = "concurrency:{client}";

    /// Hash or String: one user in one encoding of `memory`, where a name counts in every record. So it is as short as the
    /// documented `user:1`: encodings of single users have names of four letters.
    memory_user(encoding: &str, number: u64) = "{encoding}:{number}";
    /// Hash or String: a bucket of users in one encoding. Without a hash tag, so that a cluster spreads them.
    memory_bucket(encoding: &str, bucket: u64) = "memory:{encoding}:{bucket}";
    /// Hash or List: one column of a bucket of users.
    memory_column(encoding: &str, bucket: u64, column: &str) = "memory:{encoding}:{bucket}:{column}";
    /// String: the dictionary without which compressed users cannot be read.
    memory_dictionary(encoding: &str) = "memory:{encoding}:dictionary";
    /// Hash: how many users the last run wrote and how large its buckets were, so that the next one can remove exactly those.
    memory_written() = "memory:written";

    /// The key that `redis-benchmark` gets as an argument: it replaces the end by a random number of twelve digits.
    benchmark_users() = "user:__rand_int__";
    /// Hash: what `redis-benchmark` makes of it. No name of a user, because it is filled up with zeros.
    benchmark_user(number: u64) = "user:{number:012}";

    /// Set: the numbers of all users.
    all_users() = "users:all";
    /// Hash: `sum` and `count` of the salaries of a city, in whole dollars.
    city_salaries(city: &str) = "city:{city}:salaries";
    /// Set with a TTL: who lives in a city and works in a department, stored when the question was asked.
    city_and_department(city: &str, department: &str) = "city:{city}:department:{department}:users";
    /// String: a user as JSON text.
    user_json(number: u64) = "query:user_json:{number}";
    /// What SORT looks up for each number: the salary in the Hash of that user.
    salary_pattern() = "user:*->salary";
    /// Not a key but the name of a search index, which servers keep apart from keys.
    users_index() = "query:users_index";
}

impl Keys {
    /// Names behind `prefix`, which may be empty.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The names of the indexes that `memory` weighs: its own, so that they never meet the users of other commands.
    #[must_use]
    pub fn memory_indexes(&self) -> Self {
        Self { prefix: format!("{}memory:", self.prefix) }
    }

    /// Appends [`Keys::user`] to `bytes`, without an allocation.
    pub fn push_user(&self, bytes: &mut Vec<u8>, number: u64) {
        bytes.extend_from_slice(self.prefix.as_bytes());
        bytes.extend_from_slice(b"user:");
        push_number(bytes, number);
    }

    /// Appends [`Keys::user_text`] to `bytes`, without an allocation.
    pub fn push_user_text(&self, bytes: &mut Vec<u8>, number: u64) {
        bytes.extend_from_slice(self.prefix.as_bytes());
        bytes.extend_from_slice(b"user_text:");
        push_number(bytes, number);
    }

    /// The number in the name of a user or a text. None for names that no load writes, such as `user:007`.
    pub fn number_in(&self, key: &[u8]) -> Option<u64> {
        let name = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        let digits = name.strip_prefix("user:").or_else(|| name.strip_prefix("user_text:"))?;
        let number: u64 = digits.parse().ok()?;
        (number > 0 && number.to_string() == digits).then_some(number)
    }
}
