//! What queues, streams, locks, and messages cost, by approach: `cargo bench --bench work`. The first of each group is the baseline, as
//! in the lessons.

use std::process::ExitCode;

use benches::Bench;
use criterion::Criterion;
use lab_connection::Failure;
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
    bench.compare(criterion, "Publishing", &Announcing::ALL, &announcements)?;

    let consuming = Consuming::all(bench.can("XACKDEL"));
    bench.compare(criterion, "Handling messages", &consuming, &Messages::new("", OPERATIONS))?;

    bench.compare(criterion, "Queues", &Queueing::ALL, &Work::new("", OPERATIONS))?;
    let locking = TakeAndRelease::all(bench.can("DELIFEQ"), bench.can("DELEX"));
    bench.compare(criterion, "Take and release", &locking, &Names::new("", OPERATIONS))?;

    let [posts, reads] = [false, true].map(|reads| Feeds::new("", FANS, reads));
    let connection = bench.target().connection();
    bench.wait_for(async { Ok(posts.prepare(&connection).await?) })?;
    bench.compare(criterion, "Reads", &Delivery::ALL, &reads)?;
    bench.compare(criterion, "Posts", &Delivery::ALL, &posts)
}
