//! A value made for RESTORE equals, byte by byte, what the server makes of the same fields.
#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach the functions they share"
)]

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use bulk_loader::dump::{Dump, version};
use lab_server::Server;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use redis::{Commands, Connection, RedisResult, cmd};

/// Fields and values. Debug shows them as text, so that a failure is readable.
#[derive(Clone, PartialEq, Eq)]
struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(field, value)| (text(field), text(value)));
        formatter.debug_map().entries(shown).finish()
    }
}

fn text(bytes: &[u8]) -> String {
    let shown: String = bytes.escape_ascii().take(60).map(char::from).collect();
    format!("{shown} ({} bytes)", bytes.len())
}

/// Where listpack's encodings of numbers end. Numbers around them are tried, and around their opposites.
const LIMITS: [i64; 10] =
    [0, 127, 4_095, 32_767, 65_535, 8_388_607, 16_777_215, 2_147_483_647, 4_294_967_295, i64::MAX];

/// Texts that look like numbers.
const TEXTS: [&str; 20] = [
    "",
    "-",
    "+",
    "-0",
    "00",
    "007",
    "-01",
    "+1",
    " 1",
    "1 ",
    "1.0",
    "1e3",
    "0x10",
    "--1",
    "1-",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "99999999999999999999",
    "-99999999999999999999",
];

/// Around the lengths at which a header or a trailing length grows by a byte.
const LENGTHS: [usize; 17] =
    [0, 1, 62, 63, 64, 65, 124, 125, 126, 127, 128, 4_095, 4_096, 4_097, 16_377, 16_379, 20_000];

/// A text of this length takes 16,383 bytes with its header. Server versions disagree whether that length takes two or three
/// bytes.
const DISPUTED: usize = 16_378;

#[test]
fn every_edge_of_every_encoding_is_what_the_server_makes() {
    let mut server = Dumping::start();
    for edge in edges() {
        for (field, value) in [(&edge[..], &b"value"[..]), (b"field", &edge), (&edge, &edge)] {
            let fields = Fields(vec![(field.to_vec(), value.to_vec())]);
            if let Err(difference) = server.compare(&fields) {
                panic!("{fields:?}: {difference}");
            }
        }
    }
}

#[test]
fn any_small_hash_is_what_the_server_makes() {
    let server = RefCell::new(Dumping::start());
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&hashes(), |fields| server.borrow_mut().compare(&fields));
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_length_that_versions_encode_differently_is_stored_right_or_refused() {
    let mut server = Dumping::start();
    let fields = Fields(vec![(b"field".to_vec(), vec![b'x'; DISPUTED])]);
    if let Err(difference) = server.compare(&fields) {
        assert!(difference.to_string().contains("Bad data format"), "{difference}");
        let stored: bool = server.connection.exists("made").unwrap();
        assert!(!stored);
    }
}

fn edges() -> Vec<Vec<u8>> {
    let around = |limit: i64| {
        (-2..=2).flat_map(move |by| [limit.saturating_add(by), limit.saturating_neg().saturating_add(by)])
    };
    let numbers = LIMITS.into_iter().flat_map(around).map(|number| number.to_string().into_bytes());
    let texts = TEXTS.iter().map(|text| text.as_bytes().to_vec());
    // All byte values, including listpack's terminator.
    let lengths = LENGTHS.iter().map(|&length| (0..=255_u8).rev().cycle().take(length).collect());
    numbers.chain(texts).chain(lengths).collect()
}

/// One to twenty distinct fields.
fn hashes() -> impl Strategy<Value = Fields> {
    vec((elements(), elements()), 1..=20).prop_map(|mut fields| {
        let mut seen = HashSet::new();
        fields.retain(|(field, _)| seen.insert(field.clone()));
        Fields(fields)
    })
}

fn elements() -> impl Strategy<Value = Vec<u8>> {
    // Shift, because nearly all 64-bit numbers have the greatest width.
    let numbers =
        (any::<i64>(), 0_u32..64).prop_map(|(number, shift)| (number >> shift).to_string().into_bytes());
    let length = prop_oneof![0_usize..300, select(&LENGTHS[..]), 0_usize..5_000];
    let binary = length.prop_flat_map(|length| vec(any::<u8>(), length));
    let digits = vec(select(&b"0123456789-"[..]), 0..24);
    prop_oneof![select(edges()), numbers, binary, digits]
}

/// A server that keeps long values in listpacks and does not compress dumps.
struct Dumping {
    connection: Connection,
    dump: Dump,
    _server: Server,
}

impl Dumping {
    fn start() -> Self {
        let limit = ("hash-max-listpack-value", "1000000");
        // RESTORE takes compressed values, too, but the loader does not make them.
        let plain = ("rdbcompression", "no");
        let server = Server::builder().config(limit.0, limit.1).config(plain.0, plain.1).start().unwrap();
        let mut connection = server.client().get_connection().unwrap();
        let () = connection.set("any", "value").unwrap();
        let dumped: Vec<u8> = cmd("DUMP").arg("any").query(&mut connection).unwrap();
        let dump = Dump::new(version(&dumped).unwrap());
        Self { connection, dump, _server: server }
    }

    /// Writes the fields with HSET, restores the value made here under another key, and compares the two.
    fn compare(&mut self, fields: &Fields) -> Result<(), TestCaseError> {
        let ours = self.dump.hash(fields.0.iter().map(|(field, value)| (field, value))).to_vec();
        let (plain, made) =
            self.ask(fields, &ours).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&made.fields, fields, "HGETALL of what was restored");
        prop_assert_eq!(&plain.fields, fields, "HGETALL of what was written");
        prop_assert!(made.dumped == plain.dumped, "DUMP of both is not the same");
        prop_assert!(ours == plain.dumped, "what was sent is not what DUMP says");
        prop_assert_eq!(made.encoding, "listpack");
        prop_assert_eq!(plain.encoding, "listpack");
        Ok(())
    }

    fn ask(&mut self, fields: &Fields, ours: &[u8]) -> RedisResult<(Stored, Stored)> {
        let () = self.connection.del(&["plain", "made"])?;
        let () = self.connection.hset_multiple("plain", &fields.0)?;
        cmd("RESTORE").arg("made").arg(0).arg(ours).exec(&mut self.connection)?;
        Ok((self.stored("plain")?, self.stored("made")?))
    }

    fn stored(&mut self, key: &str) -> RedisResult<Stored> {
        let own = &mut self.connection;
        Ok(Stored {
            fields: Fields(own.hgetall(key)?),
            dumped: cmd("DUMP").arg(key).query(own)?,
            encoding: cmd("OBJECT").arg("ENCODING").arg(key).query(own)?,
        })
    }
}

/// What the server says about a key.
struct Stored {
    fields: Fields,
    dumped: Vec<u8>,
    encoding: String,
}
