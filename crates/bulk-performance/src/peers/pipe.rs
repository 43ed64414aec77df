//! `redis-cli --pipe`: what Redis recommends for mass insertion.

use std::fs::File;
use std::path::Path;

use crate::peers::child::{self, Feed};
use crate::peers::fixtures::Fixtures;
use crate::peers::place::Place;

/// Fed from a file that is ready.
pub(crate) async fn from_file(fixtures: &Fixtures, program: &Path, place: &Place) -> Result<(), String> {
    let path = fixtures.commands_file();
    let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    pipe(fixtures, program, place, Feed::File(file)).await
}

/// Fed by a thread of this process that makes the commands meanwhile.
pub(crate) async fn from_generator(fixtures: &Fixtures, program: &Path, place: &Place) -> Result<(), String> {
    let (keys, records) = (fixtures.keys.clone(), fixtures.records);
    let writer = Box::new(move |mut stdin| lab_measure::peers::write_hsets(&keys, records, &mut stdin));
    pipe(fixtures, program, place, Feed::Writer(writer)).await
}

async fn pipe(fixtures: &Fixtures, program: &Path, place: &Place, feed: Feed) -> Result<(), String> {
    let mut command = place.redis_cli(program);
    command.arg("--pipe");
    let printed = child::run(command, feed).await?;
    match replies(&printed.output) {
        Some((0, replies)) if replies == fixtures.records => Ok(()),
        Some((errors, replies)) => Err(format!("redis-cli got {replies} replies, {errors} of them errors")),
        None => Err(format!("redis-cli did not say how it went: {}", printed.output.trim())),
    }
}

/// Its last line: `errors: 0, replies: 1000`.
fn replies(output: &str) -> Option<(u64, u64)> {
    let line = output.lines().rev().find_map(|line| line.trim().strip_prefix("errors: "))?;
    let (errors, replies) = line.split_once(", replies: ")?;
    Some((errors.parse().ok()?, replies.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_how_it_went() {
        let output = "All data transferred. Waiting for the last reply...\nLast reply received from server.\n\
                      errors: 2, replies: 1000\n";
        assert_eq!(replies(output), Some((2, 1_000)));
        assert_eq!(replies("Error writing to the server: Broken pipe\n"), None);
    }
}
