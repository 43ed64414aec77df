//! The comparisons of the lessons on structures: `cargo bench --bench structures`.

use std::process::ExitCode;

use benches::Bench;
use complex_structures::hashes::{Profiles, ReadFields};

use complex_structures::lists::{Items, PushMany};
use complex_structures::sets::{BoughtBoth, Purchases};
use complex_structures::sorted_sets::{AskStanding, DEEP, DeepPage, DeepPages, PLAYERS, Season};
use complex_structures::transactions::{Library, Transfer, Transfers};
use complex_structures::uniques::{AddVisits, Visits};
use criterion::Criterion;
use lab_connection::Failure;
use lab_runner::{Comparison, Keys};

fn main() -> ExitCode {
    benches::main(run)
}

fn run(bench: &Bench, criterion: &mut Criterion) -> Result<(), Failure> {
    let keys = Keys::new("");

    let profiles = Profiles::new(50, &keys);
    let title = "Reading 3 fields of 50 profiles";
    bench.approaches(criterion, &Comparison { title, approaches: &ReadFields::ALL, input: &profiles })?;

    let items = Items::new(300, &keys);
    let title = "Pushing 300 items";
    bench.approaches(criterion, &Comparison { title, approaches: &PushMany::ALL, input: &items })?;

    let purchases = Purchases::new(1_000, 5, &keys);
    let title = "Who bought both";
    let approaches = &BoughtBoth::ALL[..if bench.can("SINTERCARD") { 3 } else { 2 }];
    bench.approaches(criterion, &Comparison { title, approaches, input: &purchases })?;

    let season = Season::new(PLAYERS, &keys);
    let title = "Top ten and own rank";
    bench.approaches(criterion, &Comparison { title, approaches: &AskStanding::ALL, input: &season })?;

    let season = Season::new(DEEP, &keys);
    let pages = DeepPages::new(season, 10);
    let title = "Ten pages far down";
    bench.approaches(criterion, &Comparison { title, approaches: &DeepPage::ALL, input: &pages })?;

    let visits = Visits::new("bench", 2_000, &keys);
    let title = "Adding 2,000 visits to a day";
    bench.approaches(criterion, &Comparison { title, approaches: &AddVisits::ALL, input: &visits })?;

    transfers(bench, criterion, &keys)
}

/// The server is private, so a library of functions may be loaded. It is removed even if a bench fails.
fn transfers(bench: &Bench, criterion: &mut Criterion, keys: &Keys) -> Result<(), Failure> {
    let orders = Transfers::new(100, 10_000, keys);
    let functions = bench.can("FCALL");
    let approaches = Transfer::all(functions);
    let title = "100 transfers";
    if functions {
        let mut connection = bench.target().connection();
        bench.wait_for(async { Ok(Library::load(&mut connection).await?) })?;
    }
    let ended = bench.approaches(criterion, &Comparison { title, approaches, input: &orders });
    if functions {
        let mut connection = bench.target().connection();
        // The error of a bench matters more than a library that is not there.
        let deleted = bench.wait_for(async { Ok(Library::delete(&mut connection).await?) });
        return ended.and(deleted);
    }
    ended
}
