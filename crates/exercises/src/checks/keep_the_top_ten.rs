//! The ten best players, whatever the order in which they play.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

const BOARD: &str = "leaderboard";
const KEPT: usize = 10;
const PLAYERS: u64 = 30;

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;

    let mut scores = Vec::new();
    for step in 1..=PLAYERS {
        // 7 and 31 have no common factor, so each score comes once.
        let score = step * 7 % (PLAYERS + 1);
        let player = format!("player-{score}");
        let place: u64 = script.call(&mut redis, &[BOARD], &[&player, &score.to_string()]).await?;
        scores.push(score);
        scores.sort_unstable_by_key(|score| Reverse(*score));
        scores.truncate(KEPT);

        let kept: BTreeSet<String> =
            redis::cmd("ZRANGE").arg(BOARD).arg(0).arg(-1).query_async(&mut redis).await?;
        ensure(kept.len() <= KEPT, || {
            Fault::new(format!("After {step} players there are {} players on the board.", kept.len()))
        })?;
        for score in &scores {
            ensure(kept.contains(&format!("player-{score}")), || {
                Fault::new(format!(
                    "After {step} players, player-{score} is not in the top ten, though only {} were better.",
                    scores.iter().filter(|other| *other > score).count()
                ))
                .observed([format!("On the board: {}", kept.iter().cloned().collect::<Vec<_>>().join(", "))])
            })?;
        }
        let expected = scores.iter().position(|other| *other == score).map_or(0, |index| index as u64 + 1);
        ensure(place == expected, || {
            Fault::new(format!(
                "{player} is at place {expected} (0 means none), and the script replied {place}."
            ))
        })?;
    }

    let best = format!("player-{PLAYERS}");
    let place: u64 = script.call(&mut redis, &[BOARD], &[&best, "1"]).await?;
    let score: Option<f64> = redis::cmd("ZSCORE").arg(BOARD).arg(&best).query_async(&mut redis).await?;
    ensure(score == Some(PLAYERS as f64), || {
        Fault::new(format!("{best} played again, worse, and lost the best score."))
    })?;
    ensure(place == 1, || Fault::new(format!("{best} is still the best, and the script replied {place}.")))?;
    let place: u64 = script.call(&mut redis, &[BOARD], &["player-1", "1000"]).await?;
    ensure(place == 1, || {
        Fault::new(format!("player-1 came back with the best score, and the script replied {place}."))
    })?;
    Ok(Passed::with(format!("{PLAYERS} players, and the ten best are on the board.")))
}
