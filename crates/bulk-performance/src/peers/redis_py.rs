//! redis-py: a pipeline of 1,000, as many tutorials have it.

use std::path::Path;

use crate::peers::child::{self, Feed};
use crate::peers::fixtures::Fixtures;
use crate::peers::place::Place;

/// Commands in a pipeline.
pub(crate) const DEPTH: u64 = 1_000;

/// What Python runs.
pub(crate) const SCRIPT: &str = include_str!("scripts/pipeline.py");

/// Runs the script over the values of all users.
pub(crate) async fn run(fixtures: &Fixtures, program: &Path, place: &Place) -> Result<(), String> {
    let mut command = place.script(program);
    command
        .arg(fixtures.script_file())
        .arg(fixtures.values_file())
        .arg(fixtures.target.prefix())
        .arg(DEPTH.to_string());
    child::run(command, Feed::Nothing).await.map(|_| ())
}
