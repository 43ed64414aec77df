//! `cargo tour`: every lesson of every crate, in order, then the keys to look at.

mod arguments;
mod farewell;
mod path;
mod registry;

use std::process::ExitCode;

use lab_connection::Failure;
use lab_runner::course;

use crate::arguments::Tour;

fn main() -> ExitCode {
    lab_runner::start::start(run)
}

async fn run(tour: Tour) -> Result<(), Failure> {
    let (all, chosen) = (registry::all(), tour.chosen());
    if tour.output.list {
        course::list(&all, &chosen, tour.output.json);
        return Ok(());
    }
    let target = course::open(&tour.target).await?;
    let reports = course::run(&target, &all, &chosen, &tour.output).await?;
    if !tour.output.json {
        farewell::say(&target, &reports, !tour.output.no_pause).await;
    }
    Ok(())
}
