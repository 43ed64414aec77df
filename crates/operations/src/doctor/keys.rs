//! A bounded look at the keys: SCAN, and for each key its size, its TTL, and its type.

use std::collections::BTreeMap;

use lab_runner::Terminal;
use redis::{FromRedisValue, Value};

use super::asker::Asker;
use super::facts::{BigKey, KeySample, Missing, NodeFacts, Reply, StateKey, shortened};
use super::streams::Stream;

/// Up to this many keys, SCAN looks at all of them.
pub const LOOK_AT_ALL: u64 = 200_000;
/// Of more keys, a sample.
pub const SAMPLE: u64 = 20_000;
/// Of more keys, a sample with `--deep`.
pub const DEEP: u64 = 1_000_000;

/// How many keys SCAN walks past in one call.
const COUNT: &str = "100";
/// What a command about one key costs the server, in microseconds, with reading it from the socket and replying.
const KEY_MICROS: f64 = 2.0;
/// Of how many big keys the elements are counted.
const MOST_BIG: usize = 20;
/// Smaller keys are not worth a question.
const BIG_BYTES: u64 = 128 * 1024;
/// How many keys of each kind that look like state are kept.
const MOST_STATE: usize = 5;
/// How many streams are looked into.
const MOST_STREAMS: usize = 50;

struct Walk {
    /// Whether the server counts how often keys are used.
    counts_use: bool,
    in_cluster: bool,
    sample: KeySample,
    streams: Vec<Stream>,
    frequencies: Vec<(u64, String)>,
    slots: BTreeMap<u16, u64>,
    biggest: Vec<(u64, String, Vec<u8>, String)>,
}

/// Looks at up to `most` keys of all databases. The streams among them are returned by themselves.
pub(crate) async fn sample(
    asker: &mut Asker,
    node: &NodeFacts,
    most: u64,
) -> (Reply<KeySample>, Vec<Stream>) {
    let databases: Vec<(String, u64)> = node
        .info
        .databases()
        .map(|name| {
            let keys = node.info.part(name, "keys").and_then(|keys| keys.parse().ok()).unwrap_or(0);
            (name["db".len()..].to_owned(), keys)
        })
        .collect();
    if let Some(missing) = &node.info_missing {
        return (Err(missing.clone()), Vec::new());
    }
    let total: u64 = databases.iter().map(|(_, keys)| keys).sum();
    let limit = if total <= LOOK_AT_ALL { total.max(most) } else { most };
    let mut walk = Walk {
        counts_use: node.info.text("maxmemory_policy").is_some_and(|policy| policy.ends_with("lfu")),
        in_cluster: node.in_cluster(),
        sample: KeySample { of: total, complete: true, ..KeySample::default() },
        streams: Vec::new(),
        frequencies: Vec::new(),
        slots: BTreeMap::new(),
        biggest: Vec::new(),
    };
    let seconds = total.min(limit) as f64 * 2.0 * KEY_MICROS / 1e4;
    if asker.paced && seconds >= 5.0 {
        Terminal.note(&format!(
            "{}: looking at {} keys without hurry takes about {seconds:.0} s.",
            node.address,
            total.min(limit)
        ));
    }
    let beyond_0 = databases.iter().any(|(database, _)| database != "0");
    for (database, keys) in &databases {
        if beyond_0 && let Err(missing) = asker.ask::<()>(&["SELECT", database], 2.0).await {
            return (Err(missing), Vec::new());
        }
        // Each database gets its share, so that one big one does not hide the others.
        let share = (limit as f64 * *keys as f64 / total.max(1) as f64).ceil();
        if let Err(missing) = walk.database(asker, database, share).await {
            return (Err(missing), Vec::new());
        }
    }
    if beyond_0 {
        // Back to where the connection was.
        let _ = asker.ask::<()>(&["SELECT", "0"], 2.0).await;
    }
    walk.finish()
}

impl Walk {
    async fn database(&mut self, asker: &mut Asker, database: &str, most: f64) -> Reply<()> {
        let (mut cursor, mut seen) = ("0".to_owned(), 0.0);
        loop {
            let scan = asker.ask(&["SCAN", &cursor, "COUNT", COUNT], 60.0).await;
            let (next, keys): (String, Vec<Vec<u8>>) = scan.map_err(all_rules)?;
            seen += keys.len() as f64;
            self.batch(asker, database, &keys).await?;
            if next == "0" {
                return Ok(());
            }
            let enough = seen >= most && most > 0.0 && self.sample.of > LOOK_AT_ALL;
            // A server whose keys change while it is walked must not keep the doctor forever.
            if enough || seen > 3.0 * most + 10_000.0 {
                self.sample.complete = false;
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn batch(&mut self, asker: &mut Asker, database: &str, keys: &[Vec<u8>]) -> Reply<()> {
        let mut commands: Vec<Vec<&[u8]>> = Vec::new();
        for key in keys {
            commands.push(vec![b"MEMORY", b"USAGE", key, b"SAMPLES", b"5"]);
            commands.push(vec![b"TYPE", key]);
            if self.counts_use {
                commands.push(vec![b"OBJECT", b"FREQ", key]);
            }
        }
        let each = if self.counts_use { 3 } else { 2 };
        let replies = asker.ask_all(&commands, KEY_MICROS).await;
        let mut state = Vec::new();
        for (key, replies) in keys.iter().zip(replies.chunks(each)) {
            let bytes: u64 = unless_refused(replies.first())?.unwrap_or(0);
            let kind: String = unless_refused(replies.get(1))?.unwrap_or_default();
            self.sample.looked_at += 1;
            let name = shortened(&String::from_utf8_lossy(key), 60);
            if bytes >= BIG_BYTES {
                self.biggest.push((bytes, database.to_owned(), key.clone(), kind.clone()));
                self.biggest.sort_by_key(|big| std::cmp::Reverse(big.0));
                self.biggest.truncate(MOST_BIG);
            }
            if kind == "stream" && self.streams.len() < MOST_STREAMS {
                self.streams.push(Stream { database: database.to_owned(), name: key.clone() });
            }
            if let Some(looks_like) = looks_like(&name, &kind) {
                state.push((key.as_slice(), StateKey { name: name.clone(), looks_like, expires: false }));
            }
            if let Some(frequency) = unless_refused(replies.get(2))? {
                self.frequencies.push((frequency, name));
            }
            if self.in_cluster {
                *self.slots.entry(slot(key)).or_default() += 1;
            }
        }
        self.times_to_live(asker, state).await?;
        self.count_elements(asker, database).await;
        Ok(())
    }

    /// Keeps the first of the keys that look like state, with whether they have a TTL. One that has, which a volatile policy may evict,
    /// is worth more than one that has none.
    async fn times_to_live(&mut self, asker: &mut Asker, found: Vec<(&[u8], StateKey)>) -> Reply<()> {
        let commands: Vec<Vec<&[u8]>> = found.iter().map(|(key, _)| vec![&b"PTTL"[..], *key]).collect();
        let replies = asker.ask_all(&commands, KEY_MICROS).await;
        for ((_, mut key), reply) in found.into_iter().zip(replies) {
            key.expires = redis::from_redis_value::<i64>(reply?).is_ok_and(|ttl| ttl >= 0);
            let same = |kept: &StateKey| kept.expires == key.expires && kept.looks_like == key.looks_like;
            if self.sample.state.iter().filter(|kept| same(kept)).count() < MOST_STATE {
                self.sample.state.push(key);
            }
        }
        Ok(())
    }

    /// Counts the elements of big keys of this database that were not counted yet.
    async fn count_elements(&mut self, asker: &mut Asker, database: &str) {
        for (bytes, of, key, kind) in &self.biggest {
            let name = shortened(&String::from_utf8_lossy(key), 60);
            if of != database || self.sample.biggest.iter().any(|big| big.name == name && big.bytes == *bytes)
            {
                continue;
            }
            let command: Option<&[u8]> = match kind.as_str() {
                "hash" => Some(b"HLEN"),
                "list" => Some(b"LLEN"),
                "set" => Some(b"SCARD"),
                "zset" => Some(b"ZCARD"),
                "stream" => Some(b"XLEN"),
                _ => None,
            };
            let elements = match command {
                Some(command) => asker.ask_bytes(vec![command, key], KEY_MICROS).await.ok(),
                None => None,
            };
            self.sample.biggest.push(BigKey { name, kind: kind.clone(), bytes: *bytes, elements });
        }
    }

    fn finish(mut self) -> (Reply<KeySample>, Vec<Stream>) {
        self.sample.biggest.sort_by_key(|big| std::cmp::Reverse(big.bytes));
        self.sample.biggest.truncate(MOST_BIG);
        self.frequencies.sort_unstable();
        let middle = self.frequencies.get(self.frequencies.len() / 2).map_or(0, |(frequency, _)| *frequency);
        self.sample.hottest = self.frequencies.pop().map(|(frequency, name)| (name, frequency, middle));
        self.sample.fullest_slot = self.slots.into_iter().max_by_key(|(_, keys)| *keys);
        (Ok(self.sample), self.streams)
    }
}

/// A reply, if there is one of this type. A right that is missing is an error.
fn unless_refused<T: FromRedisValue>(reply: Option<&Reply<Value>>) -> Reply<Option<T>> {
    match reply {
        Some(Ok(value)) => Ok(redis::from_redis_value_ref(value).ok()),
        Some(Err(missing @ Missing::NotPermitted { .. })) => Err(missing.clone()),
        _ => Ok(None),
    }
}

/// Who may not SCAN may probably not look at keys either, so the rules are named together.
fn all_rules(missing: Missing) -> Missing {
    match missing {
        Missing::NotPermitted { .. } => {
            Missing::NotPermitted { grant: "~* +scan +memory|usage +type +pttl".to_owned() }
        }
        other => other,
    }
}

/// Whether a program probably relies on this key: by its name, or because it is a queue by type.
fn looks_like(name: &str, kind: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let has =
        |words: &[&str]| name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| words.contains(&part));
    if has(&["lock", "locks", "lease", "leases", "mutex", "semaphore", "redlock"]) {
        Some("lock")
    } else if has(&["session", "sessions", "sess"]) {
        Some("session")
    } else if has(&["queue", "queues", "bull", "sidekiq", "resque", "celery", "rq", "jobs", "job"])
        || kind == "stream"
    {
        Some("queue")
    } else if has(&["unique", "dedup", "idempotency", "idempotent", "nonce"]) {
        Some("unique key")
    } else {
        None
    }
}

/// The slot of a key: CRC16 (XMODEM) of the hash tag, or of the whole key, modulo 16384.
pub(crate) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|&byte| byte == b'}').filter(|&close| close > 0)?;
        rest.get(..close)
    });
    let mut crc = 0_u16;
    for &byte in tag.unwrap_or(key) {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(slot(b"123456789"), 0x31C3);
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(slot(b"foo{}{bar}"), slot(b"foo{}{bar}"));
    }

    #[test]
    fn names_are_read_by_whole_words() {
        assert_eq!(looks_like("shop:lock:order:1", "string"), Some("lock"));
        assert_eq!(looks_like("bull:mail:wait", "list"), Some("queue"));
        assert_eq!(looks_like("clock:1", "string"), None);
        assert_eq!(looks_like("blocks", "set"), None);
    }
}
