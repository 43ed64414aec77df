//! `cargo tour`: every lesson of every crate, in order, then the keys to look at.

mod arguments;
mod farewell;
mod register;

use std::process::ExitCode;

use lab_connection::Failure;
use lab_runner::course;

use crate::arguments::Tour;

fn main() -> ExitCode {
    lab_runner::start::start(run)
}

async fn run(tour: Tour) -> Result<(), Failure> {
    let lessons = tour.chosen();
    if tour.showing.list {
        course::list(&lessons, tour.showing.json);
        return Ok(());
    }
    let target = course::open(&tour.target).await?;
    let taught = course::teach(&target, &lessons, tour.showing).await?;
    if !tour.showing.json {
        farewell::say(&target, &course::keys_of(&taught), !tour.showing.no_pause).await;
    }
    Ok(())
}
