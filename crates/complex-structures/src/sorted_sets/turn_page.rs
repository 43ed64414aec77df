//! A page from deep down a board: by rank, by offset within scores, by the score where the last page ended.

use lab_runner::table::thousands;
use lab_runner::{AnyConnection, Approach, Comparison, LessonContext, Outcome};
use redis::RedisResult;

use super::paging::{Mark, page_after};
use super::season::Season;

/// Players on a page.
const PAGE: usize = 10;

/// How to read a page from nine tenths down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeepPage {
    /// ZRANGE with BYSCORE and a LIMIT that skips what came before. Before Redis 7.4 and Valkey 8 the server walks over
    /// all of it (<https://github.com/redis/redis/pull/12450>).
    ByOffset,
    /// ZRANGE by rank: the structure knows how many members each of its steps passes over.
    ByRank,
    /// ZRANGE with BYSCORE from where the last page ended.
    ByCursor,
}

impl DeepPage {
    /// All of them, the slowest first.
    pub const ALL: [Self; 3] = [Self::ByOffset, Self::ByRank, Self::ByCursor];
}

impl Approach for DeepPage {
    type Input = Season;
    /// The players on the page.
    type Output = Vec<String>;

    fn label(self) -> String {
        match self {
            Self::ByOffset => "BYSCORE, LIMIT with an offset",
            Self::ByRank => "by rank",
            Self::ByCursor => "BYSCORE from the last one seen",
        }
        .to_owned()
    }

    fn operations(self, season: &Season) -> u64 {
        starts(season).len() as u64
    }

    async fn reset<C: AnyConnection>(self, season: &Season, connection: &mut C) -> RedisResult<()> {
        season.write_board(connection).await
    }

    async fn run<C: AnyConnection>(self, season: &Season, connection: &mut C) -> RedisResult<Vec<String>> {
        let mut seen = Vec::new();
        let mut mark = self.mark_before(season);
        for start in starts(season) {
            let zrange = redis::cmd("ZRANGE").arg(season.board()).take();
            let page: Vec<String> = match self {
                Self::ByOffset => {
                    let mut zrange = zrange;
                    zrange
                        .arg("+inf")
                        .arg("-inf")
                        .arg("BYSCORE")
                        .arg("REV")
                        .arg("LIMIT")
                        .arg(start)
                        .arg(PAGE);
                    zrange.query_async(connection).await?
                }
                Self::ByRank => {
                    let mut zrange = zrange;
                    zrange.arg(start).arg(start + PAGE - 1).arg("REV");
                    zrange.query_async(connection).await?
                }
                Self::ByCursor => {
                    let page = page_after(connection, season.board(), mark.as_ref(), PAGE).await?;
                    mark = page.last().cloned().or(mark);
                    page.into_iter().map(|player| player.member).collect()
                }
            };
            seen.extend(page);
        }
        Ok(seen)
    }
}

impl DeepPage {
    /// The player before the first page, whom a reader who pages by cursor has in hand.
    fn mark_before(self, season: &Season) -> Option<Mark> {
        if self != Self::ByCursor {
            return None;
        }
        let before = starts(season).first()?.checked_sub(1)?;
        let (member, score) = season.ranked().get(before)?.clone();
        Some(Mark { member, score })
    }
}

/// Where the pages begin: ten pages, from nine tenths down.
fn starts(season: &Season) -> Vec<usize> {
    let deep = season.players().len() / 10 * 9;
    (deep..season.players().len()).step_by(PAGE).take(10).collect()
}

pub(super) async fn compare(ctx: &LessonContext, season: &Season) -> Outcome {
    let first = starts(season).first().copied().unwrap_or_default();
    ctx.step(format!(
        "And what does a page from deep down cost? Ten pages from place {} on, of {} players. By rank and by score the server \
         goes there directly. An offset within scores is different: before Redis 7.4 and Valkey 8 the server walks over all \
         that it skips, and is many times slower; newer ones go there directly too. The table shows which kind yours is. So \
         on a new server it is not for speed that one turns pages by score, but because of what you have just counted.",
        thousands(first as f64),
        thousands(season.players().len() as f64),
    )).await?;
    let comparison = Comparison { title: "Pages from deep down", approaches: &DeepPage::ALL, input: season };
    ctx.compare(comparison).await?;
    ctx.step(
        "Rule: ranks for the place of one player and for boards that stand still, the score and member of the last one \
         seen for turning pages. An offset within scores repeats and misses players as ranks do, and may be slow besides.",
    ).await?;
    Ok(())
}
