//! Writing many records: `cargo bench --bench insert`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use benches::Bench;
use bulk_performance::insert::{Input, InsertMany, Kind, Writer, verify};
use bulk_performance::load::Writing;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use lab_connection::Failure;
use lab_runner::LessonError;

/// Few enough that the slowest pass, one by one, ends within a fraction of a second.
const RECORDS: u64 = 2_000;
/// As many as the deepest pipeline holds; with fewer it would be a promise that no pass keeps.
const DEEPEST: u64 = 10_000;

fn main() -> ExitCode {
    benches::main(run)
}

fn run(bench: &Bench, criterion: &mut Criterion) -> Result<(), Failure> {
    let approaches = [
        Writer::Client(InsertMany::OneByOne { at_most: RECORDS }),
        Writer::Client(InsertMany::Pipelined { depth: 100 }),
        Writer::Client(InsertMany::Pipelined { depth: 1_000 }),
        Writer::Loader(Writing::Hset),
        Writer::Loader(Writing::Auto),
    ];
    compare(bench, criterion, "Writing 2,000 users", RECORDS, &approaches)?;
    let approaches = [1, 10, 100, 1_000, 10_000].map(|depth| Writer::Client(InsertMany::Pipelined { depth }));
    let title = "Writing 10,000 users by the depth of the pipeline";
    compare(bench, criterion, title, DEEPEST, &approaches)
}

fn compare(
    bench: &Bench,
    criterion: &mut Criterion,
    title: &str,
    records: u64,
    approaches: &[Writer],
) -> Result<(), Failure> {
    let input = bench.wait_for(async { Ok(Input::open(bench.target(), Kind::Users, records, 0).await?) })?;
    check(bench, &input, approaches)?;
    let mut group = short(criterion, title);
    for &approach in approaches {
        insert(bench, &mut group, approach, &input)?;
    }
    group.finish();
    bench.wait_for(async { Ok(input.reset().await?) })
}

/// An approach that loses a record must not look fast: each is run once, and what it wrote is read back.
fn check(bench: &Bench, input: &Input, approaches: &[Writer]) -> Result<(), Failure> {
    bench.wait_for(async {
        for row in verify(bench.target(), input, approaches).await? {
            if row.found != row.expected {
                let claim = format!("'{}' leaves the records it was given", row.writer.label());
                return Err(LessonError::Check(claim));
            }
        }
        Ok(())
    })
}

/// A hundred samples of passes that take up to a second, and as long again to remove what they wrote, would be minutes
/// for each approach; ten are enough to tell factors of ten apart.
fn short<'a>(criterion: &'a mut Criterion, title: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(title);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    group
}

fn insert(
    bench: &Bench,
    group: &mut BenchmarkGroup<'_, WallTime>,
    approach: Writer,
    input: &Input,
) -> Result<(), Failure> {
    // The next function reports the throughput that was set before it.
    group.throughput(Throughput::Elements(approach.records(input.records)));
    bench.time(group, approach.label(), async || {
        input.reset().await?;
        let begun = Instant::now();
        let report = approach.run(bench.target(), input).await?;
        let took = begun.elapsed();
        // The loader stops its own clock: connecting and asking what the server takes are no part of writing.
        Ok(report.map_or(took, |report| Duration::from_secs_f64(report.seconds)))
    })
}
