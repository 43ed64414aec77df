//! The comparisons of the simple lessons: `cargo bench --bench simple`.

use std::process::ExitCode;

use benches::Bench;
use criterion::Criterion;
use lab_connection::Failure;
use lab_runner::Comparison;
use simple_ops::json::{Assortment, ChangeField, ReadField};
use simple_ops::keys::Keys;
use simple_ops::strings::{Prices, ReadMany};

fn main() -> ExitCode {
    benches::main(run)
}

fn run(bench: &Bench, criterion: &mut Criterion) -> Result<(), Failure> {
    let keys = Keys::new("");
    let json = bench.can("JSON.SET");

    let approaches = [ReadMany::OneByOne, ReadMany::Mget, ReadMany::Pipeline];
    let input = Prices::first(100, &keys);
    let title = "Reading 100 strings";
    bench.approaches(criterion, &Comparison { title, approaches: &approaches, input: &input })?;

    let assortment = Assortment::with(50, &keys);
    let title = "Reading one field of 50 documents";
    let approaches = ReadField::all(json);
    bench.approaches(criterion, &Comparison { title, approaches: &approaches, input: &assortment })?;

    let title = "Changing one field of 50 documents";
    let approaches = ChangeField::all(json);
    bench.approaches(criterion, &Comparison { title, approaches: &approaches, input: &assortment })
}
