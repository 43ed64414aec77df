//! What the client pays, without a server: making commands, reading replies, writing the transcript.
//! `cargo bench --bench client`

use std::future::ready;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use bulk_loader::Source;
use bulk_loader::dump::Dump;
use bulk_loader::source::{push_argument, push_command};
use bulk_performance::keys::Keys;
use bulk_performance::people::{People, Record};
use bulk_performance::stored::hset;
use criterion::{Bencher, Criterion, Throughput};
use lab_connection::failure::Class;
use lab_connection::transcript::Exchange;
use lab_connection::{Failure, Transcript};
use lab_measure::load::Users;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use tokio::runtime::{Builder, Runtime};

/// Records that a pass encodes.
const RECORDS: u64 = 1_000;
/// That of Redis 7.2. Only the bytes that name it differ, so any does for a bench; whether a server takes such values is
/// what the bench of the loader checks.
const DUMP_VERSION: u16 = 11;
/// Commands of the pipeline in the transcript.
const COMMANDS: u64 = 100;

fn main() -> ExitCode {
    benches::without_server(|criterion| {
        encode(criterion)?;
        parse(criterion)?;
        transcribe(criterion)
    })
}

/// Bytes of the commands that write the same records.
fn encode(criterion: &mut Criterion) -> Result<(), Failure> {
    let (keys, people) = (Keys::new(""), People::new());
    let mut by_hset = Users::new(keys.clone(), RECORDS, None);
    let mut by_restore = Users::new(keys.clone(), RECORDS, Some(Dump::new(DUMP_VERSION)));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    write(&mut by_hset, &mut ours);
    pack(&keys, &people, &mut theirs);
    if ours != theirs {
        let why = "The loader and redis-rs encode different bytes for the same records.";
        return Err(Failure::new(Class::CheckFailed, "Encoding cannot be benched.", why));
    }
    let hset_bytes = ours.len();
    ours.clear();
    write(&mut by_restore, &mut ours);
    let restore_bytes = ours.len();

    // Records first: that is what one wants to write, and RESTORE needs fewer bytes for one.
    let of = |bytes: usize| Throughput::ElementsAndBytes { elements: RECORDS, bytes: bytes as u64 };
    let mut group = criterion.benchmark_group("Encoding 1,000 users");
    let mut out = ours;
    // All of the others contain this: users are made from their number.
    let mut record = Record::default();
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("only making them", |bencher| {
        bencher.iter(|| {
            for number in 1..=RECORDS {
                record.write(&people.user(number));
                black_box(&record);
            }
        });
    });
    group.throughput(of(hset_bytes));
    group.bench_function("HSET by the loader", |bencher| bencher.iter(|| write(&mut by_hset, &mut out)));
    group.throughput(of(restore_bytes));
    group
        .bench_function("RESTORE by the loader", |bencher| bencher.iter(|| write(&mut by_restore, &mut out)));
    group.throughput(of(hset_bytes));
    group.bench_function("HSET by redis-rs", |bencher| bencher.iter(|| pack(&keys, &people, &mut out)));
    group.finish();
    Ok(())
}

/// As the loader does it: into a buffer that is used again and again.
fn write(users: &mut Users, out: &mut Vec<u8>) {
    out.clear();
    for command in 0..RECORDS {
        users.write(command, false, out);
    }
    black_box(out);
}

/// As redis-rs does it: a `Cmd` for each record, packed.
fn pack(keys: &Keys, people: &People, out: &mut Vec<u8>) {
    out.clear();
    for number in 1..=RECORDS {
        out.extend_from_slice(&hset(keys, people, number).get_packed_command());
    }
    black_box(out);
}

/// From the bytes of a reply to a value.
fn parse(criterion: &mut Criterion) -> Result<(), Failure> {
    let mut group = criterion.benchmark_group("Parsing a reply");
    for (name, bytes) in replies() {
        if let Err(error) = redis::parse_redis_value(&bytes) {
            return Err(Failure::new(
                Class::CheckFailed,
                format!("'{name}' is no reply."),
                error.to_string(),
            ));
        }
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| redis::parse_redis_value(black_box(&bytes)));
        });
    }
    group.finish();
    Ok(())
}

fn replies() -> [(&'static str, Vec<u8>); 6] {
    let mut record = Record::default();
    let people = People::new();
    record.write(&people.user(1));
    let fields = record.values();
    let items: Vec<String> = (1..=1_000).map(|number| format!("item:{number}")).collect();
    [
        ("OK", b"+OK\r\n".to_vec()),
        ("number", b":1234567\r\n".to_vec()),
        ("error", b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n".to_vec()),
        ("string of 1,000 bytes", string(&[b'x'; 1_000])),
        ("8 fields of a user", strings(&fields)),
        ("1,000 elements of a list", strings(&items)),
    ]
}

/// A bulk string looks the same in a command and in a reply.
fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_argument(&mut bytes, text);
    bytes
}

/// So does an array of them.
fn strings<T: AsRef<[u8]>>(texts: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_command(&mut bytes, texts);
    bytes
}

/// A connection that answers OK, at once.
#[derive(Clone, Copy)]
struct Agreeable;

impl ConnectionLike for Agreeable {
    fn req_packed_command<'a>(&'a mut self, _cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(ready(Ok(Value::Okay)))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _pipeline: &'a Pipeline,
        _offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(ready(Ok(vec![Value::Okay; count])))
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// What it costs that a lesson shows what is sent. Off, there is no transcript that could cost anything: what is timed is
/// the connection itself, unwrapped, and the figure is that of redis-rs and of [`Agreeable`].
fn transcribe(criterion: &mut Criterion) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread()
        .build()
        .map_err(|error| Failure::new(Class::Other, "No runtime could be started.", error.to_string()))?;
    let listener = |exchange: Exchange| {
        black_box(exchange);
    };
    let on = Transcript::new(Agreeable, Arc::new(listener));
    let off = on.clone().untraced();
    let (keys, people) = (Keys::new(""), People::new());

    let command = hset(&keys, &people, 1);
    let mut group = criterion.benchmark_group("Transcript of a command");
    group.throughput(Throughput::Elements(1));
    group.bench_function("off", |bencher| ask(bencher, &runtime, off, &command));
    group.bench_function("on", |bencher| ask(bencher, &runtime, on.clone(), &command));
    group.finish();

    let mut pipeline = redis::pipe();
    for number in 1..=COMMANDS {
        pipeline.add_command(hset(&keys, &people, number));
    }
    let mut group = criterion.benchmark_group("Transcript of a pipeline of 100");
    group.throughput(Throughput::Elements(COMMANDS));
    group.bench_function("off", |bencher| ask_all(bencher, &runtime, off, &pipeline));
    group.bench_function("on", |bencher| ask_all(bencher, &runtime, on.clone(), &pipeline));
    group.finish();
    Ok(())
}

fn ask(bencher: &mut Bencher<'_>, runtime: &Runtime, mut connection: impl ConnectionLike, command: &Cmd) {
    bencher.iter_custom(|passes| {
        runtime.block_on(async {
            let begun = Instant::now();
            for _ in 0..passes {
                let _ = black_box(connection.req_packed_command(black_box(command)).await);
            }
            begun.elapsed()
        })
    });
}

fn ask_all(
    bencher: &mut Bencher<'_>,
    runtime: &Runtime,
    mut connection: impl ConnectionLike,
    pipeline: &Pipeline,
) {
    bencher.iter_custom(|passes| {
        runtime.block_on(async {
            let begun = Instant::now();
            for _ in 0..passes {
                let answers = connection.req_packed_commands(black_box(pipeline), 0, pipeline.len());
                let _ = black_box(answers.await);
            }
            begun.elapsed()
        })
    });
}
