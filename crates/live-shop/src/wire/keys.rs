//! Which keys a command touches, and what can be seen of a key.

use std::time::Duration;

use lab_connection::transcript::reply_text;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisResult, Value};

/// How many items of a key are read to be shown; of a String, how many bytes.
const SHOWN_ITEMS: isize = 20;
const SHOWN_BYTES: isize = 1_000;

/// A key as the panel shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyInfo {
    /// `string`, `hash`, `list`, `set`, `zset`, `stream`, or the name of a module's type.
    pub kind: String,
    /// How long it has to live; `None` if it does not expire.
    pub ttl: Option<Duration>,
    /// The bytes it takes, with Redis's own overhead. Of a large key, an estimate from five items.
    pub memory: Option<u64>,
    /// How many items it has; of a String, how many bytes. `None` for a module's type.
    pub length: Option<u64>,
    /// Its first items, as `redis-cli` prints them. A hash or a set has no first items: these are some.
    pub content: String,
}

/// Looks at a key, with commands that only read and whose work does not grow with the key. `None` if there is no such key. Two round
/// trips. Other clients may change the key in between.
pub async fn key_info(connection: &mut impl ConnectionLike, key: &str) -> RedisResult<Option<KeyInfo>> {
    let mut facts = Pipeline::new();
    facts.cmd("TYPE").arg(key).cmd("PTTL").arg(key);
    facts.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(5);
    let (kind, ttl, memory): (String, i64, Option<u64>) = facts.query_async(connection).await?;
    if kind == "none" {
        return Ok(None);
    }
    let mut info = KeyInfo {
        kind,
        // -1: it does not expire.
        ttl: u64::try_from(ttl).ok().map(Duration::from_millis),
        memory,
        length: None,
        content: String::new(),
    };
    if let Some([length, content]) = questions(&info.kind, key) {
        let mut both = Pipeline::new();
        both.add_command(length).add_command(content);
        // The key may have another type by now. Then there is nothing to show.
        if let Ok((length, content)) = both.query_async::<(u64, Value)>(connection).await {
            let content =
                if matches!(info.kind.as_str(), "hash" | "set") { scanned(content) } else { content };
            (info.length, info.content) = (Some(length), reply_text(&content));
        }
    }
    Ok(Some(info))
}

/// How to ask a key of this type for its length and for its first items.
fn questions(kind: &str, key: &str) -> Option<[Cmd; 2]> {
    let (length, content) = match kind {
        "string" => ("STRLEN", redis::cmd("GETRANGE").arg(key).arg(0).arg(SHOWN_BYTES - 1).to_owned()),
        "list" => ("LLEN", redis::cmd("LRANGE").arg(key).arg(0).arg(SHOWN_ITEMS - 1).to_owned()),
        "zset" => {
            let range =
                redis::cmd("ZRANGE").arg(key).arg(0).arg(SHOWN_ITEMS - 1).arg("WITHSCORES").to_owned();
            ("ZCARD", range)
        }
        "stream" => {
            let range =
                redis::cmd("XREVRANGE").arg(key).arg("+").arg("-").arg("COUNT").arg(SHOWN_ITEMS).to_owned();
            ("XLEN", range)
        }
        // One step of a scan: all of a small key, and about as many as asked for of a large one.
        "hash" => ("HLEN", redis::cmd("HSCAN").arg(key).arg(0).arg("COUNT").arg(SHOWN_ITEMS).to_owned()),
        "set" => ("SCARD", redis::cmd("SSCAN").arg(key).arg(0).arg("COUNT").arg(SHOWN_ITEMS).to_owned()),
        _ => return None,
    };
    Some([redis::cmd(length).arg(key).to_owned(), content])
}

/// The items of a scan's reply, which begins with a cursor.
fn scanned(reply: Value) -> Value {
    match reply {
        Value::Array(mut parts) if parts.len() == 2 => parts.swap_remove(1),
        other => other,
    }
}

/// The keys among a command's arguments, the first of which is its name. It knows the commands that the patterns and the shop send, and
/// takes the first argument of any other for its key.
pub fn of<'a>(arguments: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let Some((name, rest)) = arguments.split_first() else { return Vec::new() };
    let name = name.to_ascii_uppercase();
    let keys = match name.as_slice() {
        b"PING" | b"ECHO" | b"TIME" | b"INFO" | b"WAIT" | b"WAITAOF" | b"MULTI" | b"EXEC" | b"DISCARD"
        | b"PUBLISH" | b"SPUBLISH" | b"SUBSCRIBE" | b"SSUBSCRIBE" | b"COMMAND" | b"CONFIG" | b"CLIENT"
        | b"HELLO" | b"AUTH" | b"SELECT" | b"SCRIPT" | b"DBSIZE" | b"SCAN" | b"ACL" | b"FUNCTION"
        | b"LATENCY" | b"SLOWLOG" | b"ROLE" | b"CLUSTER" | b"KEYS" | b"RANDOMKEY" => &[],
        b"MGET" | b"DEL" | b"UNLINK" | b"EXISTS" | b"TOUCH" | b"WATCH" | b"SINTER" | b"SUNION" | b"SDIFF"
        | b"SINTERSTORE" | b"SUNIONSTORE" | b"SDIFFSTORE" | b"PFCOUNT" | b"PFMERGE" => rest,
        b"BLPOP" | b"BRPOP" | b"BZPOPMIN" | b"BZPOPMAX" => {
            rest.split_last().map_or(&[][..], |(_, keys)| keys)
        }
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO" => counted(rest.get(1..)),
        b"SINTERCARD" | b"ZUNION" | b"ZINTER" | b"ZDIFF" | b"ZINTERCARD" | b"LMPOP" | b"ZMPOP" => {
            counted(Some(rest))
        }
        b"ZUNIONSTORE" | b"ZINTERSTORE" | b"ZDIFFSTORE" => {
            return rest.first().copied().into_iter().chain(counted(rest.get(1..)).iter().copied()).collect();
        }
        b"XREAD" | b"XREADGROUP" => {
            let streams = rest.iter().position(|word| word.eq_ignore_ascii_case(b"STREAMS"));
            let listed = streams.map_or(&[][..], |at| &rest[at + 1..]);
            &listed[..listed.len() / 2]
        }
        b"OBJECT" | b"MEMORY" | b"XINFO" | b"XGROUP" => rest.get(1..2).unwrap_or_default(),
        b"BITOP" => rest.get(1..).unwrap_or_default(),
        b"RENAME" | b"COPY" | b"LMOVE" | b"SMOVE" | b"ZRANGESTORE" | b"GEOSEARCHSTORE" => {
            &rest[..rest.len().min(2)]
        }
        b"MSET" | b"MSETNX" => return rest.iter().copied().step_by(2).collect(),
        _ => &rest[..rest.len().min(1)],
    };
    keys.to_vec()
}

/// The keys after their number.
fn counted<'a, 'b>(from_number: Option<&'b [&'a [u8]]>) -> &'b [&'a [u8]] {
    let Some((number, rest)) = from_number.and_then(<[_]>::split_first) else { return &[] };
    let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()).unwrap_or(0_usize);
    &rest[..number.min(rest.len())]
}
