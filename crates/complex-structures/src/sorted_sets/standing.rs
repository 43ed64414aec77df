//! Top ten and one's own rank: sorted by the client, or by the structure.

use lab_runner::table::thousands;
use lab_runner::{AnyConnection, Approach, Comparison, LessonContext, Outcome};
use redis::RedisResult;

use super::season::{Season, best_first, whole};

/// How many lead.
const TOP: usize = 10;

/// How to learn who leads and where one player stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskStanding {
    /// Points in a Hash: HGETALL, and sorting in the client.
    SortHash,
    /// A Sorted Set read as a whole; the client looks for the player.
    ReadAll,
    /// ZRANGE for the first ten, ZREVRANK for the player, in one pipeline.
    AskForRank,
}

/// What a player sees of the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The first ten with their points.
    pub top: Vec<(String, i64)>,
    /// The player's own place, from 0; `None` for somebody who does not play.
    pub rank: Option<usize>,
}

impl AskStanding {
    /// All of them, the slowest first.
    pub const ALL: [Self; 3] = [Self::SortHash, Self::ReadAll, Self::AskForRank];
}

impl Approach for AskStanding {
    type Input = Season;
    type Output = Standing;

    fn label(self) -> String {
        match self {
            Self::SortHash => "HGETALL, sorted here",
            Self::ReadAll => "ZRANGE 0 -1, searched here",
            Self::AskForRank => "ZRANGE 0 9, ZREVRANK",
        }
        .to_owned()
    }

    fn operations(self, _season: &Season) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, season: &Season, connection: &mut C) -> RedisResult<()> {
        season.write_board(connection).await?;
        season.write_points(connection).await
    }

    async fn run<C: AnyConnection>(self, season: &Season, connection: &mut C) -> RedisResult<Standing> {
        let me = season.players().first().map_or("", |(player, _)| player.as_str());
        match self {
            Self::SortHash => {
                let mut players: Vec<(String, i64)> =
                    redis::cmd("HGETALL").arg(season.points_by_player()).query_async(connection).await?;
                best_first(&mut players);
                Ok(found_in(players, me))
            }
            Self::ReadAll => {
                let players: Vec<(String, f64)> = redis::cmd("ZRANGE")
                    .arg(season.board())
                    .arg(0)
                    .arg(-1)
                    .arg("REV")
                    .arg("WITHSCORES")
                    .query_async(connection)
                    .await?;
                Ok(found_in(in_points(players), me))
            }
            Self::AskForRank => {
                let mut both = redis::pipe();
                both.cmd("ZRANGE").arg(season.board()).arg(0).arg(TOP - 1).arg("REV").arg("WITHSCORES");
                both.cmd("ZREVRANK").arg(season.board()).arg(me);
                let (top, rank): (Vec<(String, f64)>, Option<usize>) = both.query_async(connection).await?;
                Ok(Standing { top: in_points(top), rank })
            }
        }
    }
}

fn in_points(players: Vec<(String, f64)>) -> Vec<(String, i64)> {
    players.into_iter().map(|(player, score)| (player, whole(score))).collect()
}

fn found_in(mut players: Vec<(String, i64)>, me: &str) -> Standing {
    let rank = players.iter().position(|(player, _)| player == me);
    players.truncate(TOP);
    Standing { top: players, rank }
}

pub(super) async fn compare(ctx: &LessonContext, season: &Season) -> Outcome {
    ctx.step(format!(
        "What does the order save? A player of {} wants the top ten and the own rank. With the points in a Hash everything \
         travels and is sorted here; a Sorted Set that is read as a whole travels too. Look at the bytes received.",
        thousands(season.players().len() as f64),
    )).await?;
    let comparison =
        Comparison { title: "Top ten and one's own rank", approaches: &AskStanding::ALL, input: season };
    ctx.compare(comparison).await
}
