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
use lab_runner::Keys;

fn main() -> ExitCode {
    benches::main(run)
}

fn run(bench: &Bench, criterion: &mut Criterion) -> Result<(), Failure> {
    let keys = Keys::new("");

    let profiles = Profiles::new(50, &keys);
    bench.compare(criterion, "Reading 3 fields of 50 profiles", &ReadFields::ALL, &profiles)?;
    bench.compare(criterion, "Pushing 300 items", &PushMany::ALL, &Items::new(300, &keys))?;
    let bought_both = &BoughtBoth::ALL[..if bench.can("SINTERCARD") { 3 } else { 2 }];
    bench.compare(criterion, "Who bought both", bought_both, &Purchases::new(1_000, 5, &keys))?;
    bench.compare(criterion, "Top ten and own rank", &AskStanding::ALL, &Season::new(PLAYERS, &keys))?;
    let pages = DeepPages::new(Season::new(DEEP, &keys), 10);
    bench.compare(criterion, "Ten pages far down", &DeepPage::ALL, &pages)?;
    let visits = Visits::new("bench", 2_000, &keys);
    bench.compare(criterion, "Adding 2,000 visits to a day", &AddVisits::ALL, &visits)?;
    transfers(bench, criterion, &keys)
}

/// The server is private, so a library of functions may be loaded. It is removed even if a bench fails.
fn transfers(bench: &Bench, criterion: &mut Criterion, keys: &Keys) -> Result<(), Failure> {
    let orders = Transfers::new(100, 10_000, keys);
    let functions = bench.can("FCALL");
    if functions {
        let mut connection = bench.target().connection();
        bench.wait_for(async { Ok(Library::load(&mut connection).await?) })?;
    }
    let ended = bench.compare(criterion, "100 transfers", Transfer::all(functions), &orders);
    if functions {
        let mut connection = bench.target().connection();
        // The error of a bench matters more than a library that is not there.
        let deleted = bench.wait_for(async { Ok(Library::delete(&mut connection).await?) });
        return ended.and(deleted);
    }
    ended
}
