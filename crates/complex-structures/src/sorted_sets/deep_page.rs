//! Pages far down a board: by rank, by an offset within scores, or by the score where the last page ended.

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;

use super::paging::{PAGE, Player, page_after};
use super::season::Season;

/// How to read pages from nine tenths down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeepPage {
    /// ZRANGE with BYSCORE and a LIMIT that skips what came before. Before Redis 7.4 and Valkey 8 the server walks over
    /// all of it (<https://github.com/redis/redis/pull/12450>).
    ByOffset,
    /// ZRANGE by rank: the structure knows how many members each of its links passes over.
    ByRank,
    /// ZRANGE with BYSCORE from where the last page ended.
    ByCursor,
}

impl DeepPage {
    /// All of them, the slowest first.
    pub const ALL: [Self; 3] = [Self::ByOffset, Self::ByRank, Self::ByCursor];
}

/// A board, and where the pages begin.
#[derive(Clone, Debug)]
pub struct DeepPages {
    season: Season,
    starts: Vec<usize>,
}

impl DeepPages {
    /// Up to `count` pages from nine tenths down.
    pub fn new(season: Season, count: usize) -> Self {
        let players = season.players.len();
        let starts = (players / 10 * 9..players).step_by(PAGE).take(count).collect();
        Self { season, starts }
    }

    /// The player before the first page, whom a client knows that pages by cursor.
    fn before(&self) -> Option<Player> {
        let index = self.starts.first()?.checked_sub(1)?;
        let (points, name) = self.season.ranked.get(index)?.clone();
        Some(Player { name, points })
    }
}

impl Approach for DeepPage {
    type Input = DeepPages;
    /// The players on the pages.
    type Output = Vec<String>;

    fn label(self) -> String {
        match self {
            Self::ByOffset => "BYSCORE, LIMIT with an offset",
            Self::ByRank => "by rank",
            Self::ByCursor => "BYSCORE from the last player",
        }
        .to_owned()
    }

    fn operations(self, pages: &DeepPages) -> u64 {
        pages.starts.len() as u64
    }

    async fn reset<C: AnyConnection>(self, pages: &DeepPages, redis: &mut C) -> RedisResult<()> {
        pages.season.write_board(redis).await
    }

    async fn run<C: AnyConnection>(self, pages: &DeepPages, redis: &mut C) -> RedisResult<Vec<String>> {
        let board = &pages.season.board;
        let (mut shown, mut last) = (Vec::new(), pages.before());
        for &start in &pages.starts {
            shown.extend(match self {
                Self::ByOffset => by_offset(redis, board, start).await?,
                Self::ByRank => by_rank(redis, board, start).await?,
                Self::ByCursor => {
                    let page = page_after(redis, board, last.as_ref(), PAGE).await?;
                    last = page.last().cloned();
                    page.into_iter().map(|player| player.name).collect()
                }
            });
        }
        Ok(shown)
    }
}

async fn by_offset<C: AnyConnection>(redis: &mut C, board: &str, start: usize) -> RedisResult<Vec<String>> {
    let mut zrange = redis::cmd("ZRANGE");
    zrange.arg(board).arg(&["+inf", "-inf", "BYSCORE", "REV"]);
    zrange.arg("LIMIT").arg(start).arg(PAGE);
    zrange.query_async(redis).await
}

async fn by_rank<C: AnyConnection>(redis: &mut C, board: &str, start: usize) -> RedisResult<Vec<String>> {
    let mut zrange = redis::cmd("ZRANGE");
    zrange.arg(board).arg(start).arg(start + PAGE - 1).arg("REV");
    zrange.query_async(redis).await
}
