//! The comparisons of the lessons on structures: `cargo bench --bench structures`.

use std::process::ExitCode;

use benches::Bench;
use complex_structures::hashes::{Profiles, ReadFields};
use complex_structures::keys::Keys;
use complex_structures::lists::{Items, PushMany};
use complex_structures::sets::{BoughtBoth, Purchases};
use complex_structures::sorted_sets::{AskStanding, DEEP, DeepPage, PLAYERS, Season};
use complex_structures::transactions::{Accounts, Library, Transfer};
use complex_structures::uniques::{AddVisitors, Visitors};
use criterion::Criterion;
use lab_connection::Failure;
use lab_runner::Comparison;

fn main() -> ExitCode {
    benches::main(run)
}

fn run(bench: &Bench, criterion: &mut Criterion) -> Result<(), Failure> {
    let keys = Keys::new("");

    let profiles = Profiles::with(50, &keys);
    let title = "Reading 3 fields of 50 profiles";
    bench.approaches(criterion, &Comparison { title, approaches: &ReadFields::ALL, input: &profiles })?;

    let items = Items::first(300, &keys);
    let title = "Pushing 300 items";
    bench.approaches(criterion, &Comparison { title, approaches: &PushMany::ALL, input: &items })?;

    let purchases = Purchases::of(1_000, 5, &keys);
    let title = "Who bought both";
    let approaches = BoughtBoth::all(bench.can("SINTERCARD"));
    bench.approaches(criterion, &Comparison { title, approaches: &approaches, input: &purchases })?;

    let season = Season::of(PLAYERS, &keys);
    let title = "Top ten and one's own rank";
    bench.approaches(criterion, &Comparison { title, approaches: &AskStanding::ALL, input: &season })?;

    let season = Season::of(DEEP, &keys);
    let title = "Ten pages from deep down";
    bench.approaches(criterion, &Comparison { title, approaches: &DeepPage::ALL, input: &season })?;

    let visitors = Visitors::on("bench", 2_000, &keys);
    let title = "Adding 2,000 visits to a day";
    bench.approaches(criterion, &Comparison { title, approaches: &AddVisitors::ALL, input: &visitors })?;

    transfers(bench, criterion, &keys)
}

/// The server is a private one, so it may be given a library of functions; it is taken away even when a bench failed.
fn transfers(bench: &Bench, criterion: &mut Criterion, keys: &Keys) -> Result<(), Failure> {
    let accounts = Accounts::new(100, 10_000, keys);
    let functions = bench.can("FCALL");
    let approaches = Transfer::all(functions);
    let title = "100 transfers";
    let ended = bench.approaches(criterion, &Comparison { title, approaches: &approaches, input: &accounts });
    if functions {
        let mut connection = bench.target().connection();
        // What ended the benches matters more than a library that is not there.
        let deleted = bench.wait_for(async { Ok(Library::delete(&mut connection).await?) });
        return ended.and(deleted);
    }
    ended
}
