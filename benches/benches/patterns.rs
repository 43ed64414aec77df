//! What the patterns of a shop keep of a plain command's throughput: `cargo bench --bench patterns`. The first of each group
//! is the baseline, as in the lessons.

use std::process::ExitCode;

use benches::Bench;
use criterion::Criterion;
use ecommerce_patterns::caching::{CacheHit, Documents};
use ecommerce_patterns::call_cost::{Call, Calls};
use ecommerce_patterns::data::{Data, Size};
use ecommerce_patterns::inventory::{Stock, TakeStock};
use ecommerce_patterns::rate_limits::{Limiting, Requests};
use ecommerce_patterns::search::{CompleteBy, FilterBy, FilterQueries, PrefixQueries, Shop};
use ecommerce_patterns::sessions::{ReadSession, Visitors};
use lab_connection::Failure;

/// Operations of one pass, and how many of them are under way at a time.
const OPERATIONS: usize = 200;
const MAX_IN_FLIGHT: usize = 50;

fn main() -> ExitCode {
    benches::main(run)
}

fn run(bench: &Bench, criterion: &mut Criterion) -> Result<(), Failure> {
    let visitors = bench.wait_for(async { Visitors::of(OPERATIONS, MAX_IN_FLIGHT, "") })?;
    bench.compare(criterion, "Reading sessions", &ReadSession::ALL, &visitors)?;
    let documents = bench.wait_for(async { Documents::of(OPERATIONS, MAX_IN_FLIGHT, "") })?;
    bench.compare(criterion, "Cache hits", &CacheHit::ALL, &documents)?;
    bench.compare(criterion, "Taking stock", &TakeStock::ALL, &Stock::new(200, ""))?;
    let calls = Calls::new(OPERATIONS, "");
    bench.compare(criterion, "Reporting what customers do", &Call::RECOMMENDATIONS, &calls)?;
    let requests = Requests::new("", 10, OPERATIONS);
    bench.compare(criterion, "Limiters", &Limiting::all(false), &requests)?;
    bench.compare(criterion, "Buying in a flash sale", &Call::REAL_TIME, &calls)?;
    bench.compare(criterion, "Recording events", &Call::ANALYTICS, &calls)?;

    let shop = Shop::new(&Data::new(1, Size::LESSON), bench.target().prefix());
    bench.wait_for(async { Ok(shop.fill(&bench.target().connection()).await?) })?;
    let full_text = bench.can("FT.SEARCH");
    let selections = FilterQueries::new(shop.clone(), 5);
    bench.compare(criterion, "A page of a shop with counts", &FilterBy::all(full_text), &selections)?;
    let prefixes = PrefixQueries::new(shop, 10);
    bench.compare(criterion, "Completing a prefix", &CompleteBy::all(full_text), &prefixes)
}
