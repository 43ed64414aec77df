//! How are a hundred million records written? `cargo bulk load --records 1000000`
//!
//! [`plan`] is what to load, `restore` finds out whether the server takes the fastest command, `stream` runs the loader,
//! `load_state` remembers what was loaded, [`check`] reads everything back, [`report`] says how it went. `failures` and
//! `full_memory` explain what ended a load early.

pub mod check;
mod failures;
mod full_memory;
mod load_state;
pub mod plan;
pub mod report;
mod restore;
mod retry;
mod stream;

use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::progress::Bar;

use self::full_memory::Evictions;
use self::load_state::LoadState;
pub use self::plan::{Kind, LoadPlan, Writing};
pub use self::report::Report;

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, plan: LoadPlan, output: &OutputArgs) -> Result<(), Failure> {
    output.report.refuse("A load")?;
    plan.check()?;
    let target = course::open(args).await?;
    let bar = Bar::new(plan.records, "records");
    let report = run(&target, &plan, &bar).await;
    bar.finish();
    report?.show(output.json);
    Ok(())
}

/// Removes what an earlier load left, or goes on with it; then loads, and reads everything back.
pub async fn run(target: &Target, plan: &LoadPlan, bar: &Bar) -> Result<Report, Failure> {
    let state = load_state::prepare(target, plan, bar).await?;
    let before = Evictions::count(target).await;
    let loaded = load_and_verify(target, plan, &state, bar).await;
    let evictions_matter = match &loaded {
        Ok(report) => report.verified.is_none(),
        Err(failure) => failure.class() == Class::CheckFailed,
    };
    if !evictions_matter {
        return loaded;
    }
    let Some(evicted) = Evictions::count(target).await.failure_since(&before, plan) else { return loaded };
    // The marker may have gone, too, and then the next load would be refused because of the keys of this one.
    target.mark_as_ours().await.map_err(|error| target.explain(&error))?;
    Err(evicted)
}

async fn load_and_verify(
    target: &Target,
    plan: &LoadPlan,
    state: &LoadState,
    bar: &Bar,
) -> Result<Report, Failure> {
    let mut report = stream::records(target, plan, state.journal.clone(), bar).await?;
    state.finish(target, plan).await?;
    if plan.verify {
        bar.begin(plan.records, "verified");
        report.verify(check::everything(target, plan, bar).await?, plan)?;
    }
    Ok(report)
}

/// Loads users, quietly and without reading them back: for comparisons, which do that themselves.
pub async fn users(target: &Target, plan: &LoadPlan) -> Result<Report, Failure> {
    run(target, &LoadPlan { verify: false, ..plan.clone() }, &Bar::hidden()).await
}
