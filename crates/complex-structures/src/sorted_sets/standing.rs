//! The top ten and the own rank: sorted by the client, or by the server.

use lab_runner::{AnyConnection, Approach};
use redis::{AsyncCommands, RedisResult};

use super::season::{Season, sort_best_first, whole};

/// How many lead.
const TOP: usize = 10;

/// How to find out who leads and where one player stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskStanding {
    /// Points in a Hash: HGETALL, and the client sorts.
    SortHash,
    /// A Sorted Set read as a whole; the client searches it.
    ReadAll,
    /// ZRANGE for the first ten and ZREVRANK for the player, in one pipeline.
    AskForRank,
}

/// What a player sees of the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The first ten, with their points.
    pub top: Vec<(i64, String)>,
    /// The player's own rank, from 0; `None` if the player is not on the board.
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
            Self::SortHash => "HGETALL, sort in the client",
            Self::ReadAll => "ZRANGE 0 -1, search in the client",
            Self::AskForRank => "ZRANGE 0 9 and ZREVRANK",
        }
        .to_owned()
    }

    fn operations(self, _season: &Season) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, season: &Season, redis: &mut C) -> RedisResult<()> {
        match self {
            Self::SortHash => season.write_hash(redis).await,
            Self::ReadAll | Self::AskForRank => season.write_board(redis).await,
        }
    }

    async fn run<C: AnyConnection>(self, season: &Season, redis: &mut C) -> RedisResult<Standing> {
        let me = season.players.first().map_or("", |(_, player)| player.as_str());
        match self {
            Self::SortHash => {
                let all: Vec<(String, i64)> = redis.hgetall(&season.hash).await?;
                let mut players: Vec<_> = all.into_iter().map(|(player, points)| (points, player)).collect();
                sort_best_first(&mut players);
                Ok(standing_of(me, players))
            }
            Self::ReadAll => {
                let mut zrange = redis::cmd("ZRANGE");
                zrange.arg(&season.board).arg(&["0", "-1", "REV", "WITHSCORES"]);
                Ok(standing_of(me, in_points(zrange.query_async(redis).await?)))
            }
            Self::AskForRank => ask_for_rank(redis, &season.board, me).await,
        }
    }
}

async fn ask_for_rank<C: AnyConnection>(redis: &mut C, board: &str, me: &str) -> RedisResult<Standing> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZRANGE").arg(board).arg(&["0", "9", "REV", "WITHSCORES"]);
    pipeline.zrevrank(board, me);
    let (top, rank): (Vec<(String, f64)>, _) = pipeline.query_async(redis).await?;
    Ok(Standing { top: in_points(top), rank })
}

fn in_points(players: Vec<(String, f64)>) -> Vec<(i64, String)> {
    players.into_iter().map(|(player, score)| (whole(score), player)).collect()
}

fn standing_of(me: &str, mut players: Vec<(i64, String)>) -> Standing {
    let rank = players.iter().position(|(_, player)| player == me);
    players.truncate(TOP);
    Standing { top: players, rank }
}
