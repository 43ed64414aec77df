//! What queues, streams, locks, and messages cost, by approach: `cargo bench --bench work`. The first of each group is the baseline, as
//! in the lessons.

use std::process::ExitCode;

use benches::Bench;
use criterion::Criterion;
use lab_connection::Failure;
use lab_runner::Comparison;
use work_patterns::job_queue::{Queueing, Work};
use work_patterns::locks::{Names, TakeAndRelease};
use work_patterns::pub_sub::{Announcements, Announcing};
use work_patterns::streams::{Consuming, Messages};
use work_patterns::timeline::{Delivery, Feeds};

/// Operations of one pass.
const OPERATIONS: usize = 200;
/// Followers of the star.
const FANS: usize = 200;

fn main() -> ExitCode {
    benches::main(run)
}

fn run(bench: &Bench, criterion: &mut Criterion) -> Result<(), Failure> {
    let announcements = Announcements::new("", OPERATIONS);
    let approaches = &Announcing::ALL;
    bench.approaches(criterion, &Comparison { title: "Publishing", approaches, input: &announcements })?;

    let messages = Messages::new("", OPERATIONS);
    let approaches = &Consuming::all(bench.can("XACKDEL"));
    bench.approaches(criterion, &Comparison { title: "Handling messages", approaches, input: &messages })?;

    let work = Work::new("", OPERATIONS);
    bench.approaches(criterion, &Comparison { title: "Queues", approaches: &Queueing::ALL, input: &work })?;

    let names = Names::new("", OPERATIONS);
    let approaches = &TakeAndRelease::all(bench.can("DELIFEQ"), bench.can("DELEX"));
    bench.approaches(criterion, &Comparison { title: "Take and release", approaches, input: &names })?;

    let [posts, reads] = [false, true].map(|reads| Feeds::new("", FANS, reads));
    let connection = bench.target().connection();
    bench.wait_for(async { Ok(posts.prepare(&connection).await?) })?;
    let approaches = &Delivery::ALL;
    bench.approaches(criterion, &Comparison { title: "Reads", approaches, input: &reads })?;
    bench.approaches(criterion, &Comparison { title: "Posts", approaches, input: &posts })
}
