//! The comparisons of the simple lessons: `cargo bench --bench simple`.

use std::process::ExitCode;

use benches::Bench;
use criterion::Criterion;
use lab_connection::Failure;
use lab_runner::Keys;
use simple_ops::json::{Assortment, ChangeField, ReadField};
use simple_ops::strings::{Prices, ReadMany};

fn main() -> ExitCode {
    benches::main(run)
}

fn run(bench: &Bench, criterion: &mut Criterion) -> Result<(), Failure> {
    let keys = Keys::new("");
    let json = bench.can("JSON.SET");

    let read = [ReadMany::OneByOne, ReadMany::Mget, ReadMany::Pipeline];
    bench.compare(criterion, "Reading 100 strings", &read, &Prices::first(100, &keys))?;

    let assortment = Assortment::with(50, &keys);
    bench.compare(criterion, "Reading one field of 50 documents", &ReadField::all(json), &assortment)?;
    bench.compare(criterion, "Changing one field of 50 documents", &ChangeField::all(json), &assortment)
}
