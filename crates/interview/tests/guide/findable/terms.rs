//! Which questions are about which term.

use std::collections::BTreeSet;

use interview::guide::{Guide, Question};

use super::commands;

/// A term, and other words by which the text means it. A small letter at the beginning also stands for a capital.
const TERMS: &[(&str, &[&str])] = &[
    ("access control", &["ACL", "ACLs"]),
    ("append-only file", &["AOF"]),
    ("ASK", &[]),
    ("atomic", &["atomically"]),
    ("avalanche", &[]),
    ("backlog", &[]),
    ("backup", &["back up", "backups"]),
    ("benchmark", &["benchmarks"]),
    ("big keys", &["big key"]),
    ("bitmap", &["bitmaps"]),
    ("Bloom filter", &["Bloom filters"]),
    ("blocking commands", &["blocking command"]),
    ("cache-aside", &[]),
    ("client-side caching", &[]),
    ("cluster", &["clusters"]),
    ("compare and set", &["IFEQ"]),
    ("connection pool", &[]),
    ("consumer group", &["consumer groups", "XREADGROUP"]),
    ("copy-on-write", &[]),
    ("CROSSSLOT", &["one slot"]),
    ("delivery guarantees", &["at most once", "exactly once"]),
    ("encoding", &["encodings"]),
    ("eviction", &["evict", "evicted", "evicts"]),
    ("expiry", &["expire", "expires", "expired"]),
    ("failover", &[]),
    ("fencing token", &["fencing", "fencing tokens"]),
    ("fork", &["forks", "forked"]),
    ("fragmentation", &[]),
    ("fsync", &[]),
    ("functions", &["function", "FUNCTION LOAD"]),
    ("geo", &["geohash"]),
    ("hash tag", &["hash tags", "in braces"]),
    ("hot key", &["hot keys"]),
    ("HyperLogLog", &["HyperLogLogs"]),
    ("I/O threads", &["io-threads"]),
    ("idempotency", &["idempotent"]),
    ("injection", &["inject"]),
    ("jitter", &[]),
    ("Kubernetes", &[]),
    ("keyspace notifications", &[]),
    ("latency", &["sub-millisecond"]),
    ("lazy freeing", &["lazyfree", "UNLINK"]),
    ("lease", &[]),
    ("licenses", &["license"]),
    ("listpack", &[]),
    ("lock", &["unlocking"]),
    ("LRU and LFU", &["LRU", "LFU", "allkeys-lru", "allkeys-lfu"]),
    ("Lua scripts", &["Lua", "script", "scripts"]),
    ("`maxmemory`", &["maxmemory"]),
    ("Memcached", &[]),
    ("MOVED", &[]),
    ("multiplexing", &["multiplexed"]),
    ("monitoring", &["Prometheus", "alert", "alerts"]),
    ("patching", &["patch", "CVE"]),
    ("pending entries", &["pending"]),
    ("pipeline", &["pipelines"]),
    ("protected mode", &[]),
    ("pub/sub", &["PUBLISH"]),
    ("queue", &[]),
    ("rate limit", &["limiter", "fixed window", "sliding log", "token bucket", "limit by"]),
    ("RDB snapshot", &["BGSAVE", "RDB", "snapshot", "snapshots"]),
    ("recall", &["RAG", "retrieval"]),
    ("Redlock", &[]),
    ("regions", &["region", "continents"]),
    ("replica", &["replicas", "replication"]),
    ("resharding", &["slot migration", "migrating"]),
    ("RESP", &["RESP2", "RESP3"]),
    ("retry", &["retries", "retried"]),
    ("semantic cache", &["semantic caching"]),
    ("selectors", &["selector"]),
    ("Sentinel", &["Sentinels"]),
    ("slots", &["slot"]),
    ("stampede", &["single flight"]),
    ("TLS", &[]),
    ("transaction", &["transactions", "MULTI"]),
    ("upgrade", &[]),
    ("vector sets", &["vectors", "vector"]),
    ("write-behind", &["write-through"]),
];

/// A term with fewer questions than this in titles and short answers is looked up in all of the text.
const FEW: usize = 4;

/// Every term, in order, with the questions whose title or short answer has it, or that mention it if those are few.
pub fn index(guide: &Guide) -> Vec<(&'static str, BTreeSet<usize>)> {
    let having = |(term, words): (&'static str, &[&str])| {
        let having_it = |text: fn(&Question) -> String| -> BTreeSet<usize> {
            let has = |text: &str| words.iter().chain([&term]).any(|word| has_word(text, word));
            let questions = guide.questions().filter(|(_, question)| has(&text(question)));
            questions.map(|(_, question)| question.number).collect()
        };
        let in_short = having_it(commands::short);
        let numbers = if in_short.len() < FEW { having_it(commands::prose) } else { in_short };
        assert!(!numbers.is_empty(), "no question has `{term}`");
        (term, numbers)
    };
    TERMS.iter().copied().map(having).collect()
}

/// Whether the text has these words, and not only as a part of others.
fn has_word(text: &str, word: &str) -> bool {
    let mut letters = word.chars();
    let first = letters.next().unwrap_or_default().to_ascii_uppercase();
    let capital = format!("{first}{}", letters.as_str());
    [word, &capital].into_iter().any(|word| {
        text.match_indices(word).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            [before, after].into_iter().flatten().all(|c| !c.is_alphanumeric())
        })
    })
}
