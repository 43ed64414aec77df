//! Reading a board page by page while it changes.

use std::collections::BTreeSet;

use lab_connection::Connection;
use lab_runner::labeled;
use redis::aio::ConnectionLike;
use redis::{AsyncTypedCommands, RedisResult};

/// Players on a page.
pub(super) const PAGE: usize = 10;

labeled! {
    /// How to find the next page.
    pub enum Paging {
        /// Ranks 0 to 9, then 10 to 19, and so on.
        ByRank => "by rank",
        /// What comes after the score and member that ended the last page.
        ByCursor => "by score and member",
    }
}

labeled! {
    /// What happens after each page.
    pub enum Change {
        /// A new player at the top.
        Enters => "one enters above",
        /// Those below move up.
        Leaves => "the leader leaves",
    }
}

/// What a client saw that read all pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PagingResult {
    /// Players shown.
    pub shown: usize,
    /// Of them, those that were shown before.
    pub twice: usize,
    /// Players who were on the board all the time and were never shown.
    pub missed: usize,
}

/// A player on a board. The last one of a page is where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Player {
    /// The member.
    pub name: String,
    /// The score.
    pub points: i64,
}

impl Paging {
    /// Fills a board with `players` players and reads all its pages. After each page the board changes.
    pub async fn read_all(
        self,
        mut redis: Connection,
        board: &str,
        players: usize,
        change: Change,
    ) -> RedisResult<PagingResult> {
        let stay = fill(&mut redis, board, players).await?;
        let (mut shown, mut last) = (Vec::new(), None);
        for number in 0.. {
            let page = match self {
                Self::ByRank => page_at(&mut redis, board, number * PAGE).await?,
                Self::ByCursor => page_after(&mut redis, board, last.as_ref(), PAGE).await?,
            };
            let is_last = page.len() < PAGE;
            last = page.last().cloned();
            shown.extend(page.into_iter().map(|player| player.name));
            if is_last {
                break;
            }
            change.happen(&mut redis, board, number).await?;
        }
        Ok(count(&shown, &stay, &redis.zrange(board, 0, -1).await?))
    }
}

impl Change {
    async fn happen(self, redis: &mut Connection, board: &str, number: usize) -> RedisResult<()> {
        match self {
            Self::Enters => redis.zadd(board, format!("new:{number}"), 1_000_000 + number).await.map(drop),
            Self::Leaves => redis::cmd("ZPOPMAX").arg(board).exec_async(redis).await,
        }
    }
}

/// Two players have each score.
async fn fill(redis: &mut Connection, board: &str, players: usize) -> RedisResult<Vec<String>> {
    let names: Vec<String> = (0..players).map(|number| format!("player:{number:03}")).collect();
    let scores: Vec<(usize, &String)> =
        names.iter().enumerate().map(|(index, name)| (index / 2 * 100, name)).collect();
    redis::pipe().unlink(board).ignore().zadd_multiple(board, &scores).ignore().exec_async(redis).await?;
    Ok(names)
}

fn count(shown: &[String], players: &[String], at_the_end: &[String]) -> PagingResult {
    let different: BTreeSet<&String> = shown.iter().collect();
    let stayed = at_the_end.iter().filter(|name| players.contains(name));
    let missed = stayed.filter(|name| !different.contains(name)).count();
    PagingResult { shown: shown.len(), twice: shown.len() - different.len(), missed }
}

async fn page_at(redis: &mut impl ConnectionLike, board: &str, first: usize) -> RedisResult<Vec<Player>> {
    let mut zrange = redis::cmd("ZRANGE");
    zrange.arg(board).arg(first).arg(first + PAGE - 1).arg("REV").arg("WITHSCORES");
    Ok(players(zrange.query_async(redis).await?))
}

/// The next `size` players after `last`, or the first ones.
pub async fn page_after(
    redis: &mut impl ConnectionLike,
    board: &str,
    last: Option<&Player>,
    size: usize,
) -> RedisResult<Vec<Player>> {
    let highest = last.map_or_else(|| "+inf".to_owned(), |last| last.points.to_string());
    // A few more, for the last player and for others with the same score.
    let limit = size + 4;
    let mut next = Vec::new();
    for offset in (0..).step_by(limit) {
        let mut zrange = redis::cmd("ZRANGE");
        zrange.arg(&[board, &highest, "-inf", "BYSCORE", "REV"]);
        zrange.arg("LIMIT").arg(&[offset, limit]).arg("WITHSCORES");
        let found = players(zrange.query_async(redis).await?);
        let is_end = found.len() < limit;
        next.extend(found.into_iter().filter(|player| last.is_none_or(|last| player.comes_after(last))));
        if is_end || next.len() >= size {
            break;
        }
    }
    next.truncate(size);
    Ok(next)
}

impl Player {
    /// In the order of REV: lower scores come later, and with the same score smaller bytes come later.
    fn comes_after(&self, last: &Self) -> bool {
        (self.points, &self.name) < (last.points, &last.name)
    }
}

fn players(members: Vec<(String, f64)>) -> Vec<Player> {
    members.into_iter().map(|(name, score)| Player { name, points: whole(score) }).collect()
}

/// The points of a score: whole numbers far below 2^53, so nothing is cut off.
#[expect(clippy::cast_possible_truncation, reason = "see above")]
pub(super) fn whole(score: f64) -> i64 {
    score.round() as i64
}
