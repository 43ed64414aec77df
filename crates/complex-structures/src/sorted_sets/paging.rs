//! Turning the pages of a board while it changes.

use std::collections::BTreeSet;

use lab_connection::Connection;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::season::whole;
use crate::keys::Keys;

/// Players on the board, and on a page of it.
const PLAYERS: usize = 100;
const PAGE: usize = 10;

/// The last player of a page: the place to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) member: String,
    pub(super) score: i64,
}

/// How to find the next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Places 0 to 9, then 10 to 19, and so on.
    ByRank,
    /// What comes after the score and member that ended the last page.
    ByCursor,
}

/// What happens between two pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// A new player enters at the top.
    Enters,
    /// The leader leaves.
    Leaves,
}

/// What somebody saw who turned all pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Players shown.
    pub shown: usize,
    /// Of them, those who had been shown before.
    pub twice: usize,
    /// Players who were on the board all the time and were never shown.
    pub missed: usize,
}

impl Walk {
    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ByRank => "by rank",
            Self::ByCursor => "by score and member",
        }
    }

    /// Fills the board, turns all its pages, and counts what was seen twice or never. After each page the board is
    /// disturbed once.
    pub async fn turn_all(
        self,
        connection: &mut Connection,
        board: &str,
        disturbance: Disturbance,
    ) -> Result<Pages, LessonError> {
        fill(connection, board).await?;
        let mut shown = Vec::new();
        let mut last = None;
        for turned in 0.. {
            let page = match self {
                Self::ByRank => page_at(connection, board, turned * PAGE).await?,
                Self::ByCursor => page_after(connection, board, last.as_ref(), PAGE).await?,
            };
            let full = page.len() == PAGE;
            last = page.last().cloned().or(last);
            shown.extend(page.into_iter().map(|player| player.member));
            if !full {
                break;
            }
            disturbance.happen(connection, board, turned).await?;
        }
        let stayed: Vec<String> =
            redis::cmd("ZRANGE").arg(board).arg(0).arg(-1).query_async(connection).await?;
        let different: BTreeSet<&String> = shown.iter().collect();
        let missed = stayed.iter().filter(|player| was_there(player) && !different.contains(player)).count();
        Ok(Pages { shown: shown.len(), twice: shown.len() - different.len(), missed })
    }
}

impl Disturbance {
    async fn happen(self, connection: &mut Connection, board: &str, turn: usize) -> RedisResult<()> {
        match self {
            Self::Enters => {
                redis::cmd("ZADD")
                    .arg(board)
                    .arg(1_000_000 + turn)
                    .arg(format!("new:{turn}"))
                    .exec_async(connection)
                    .await
            }
            Self::Leaves => redis::cmd("ZPOPMAX").arg(board).exec_async(connection).await,
        }
    }
}

/// Everybody of the beginning; pairs of them have the same score.
async fn fill(connection: &mut Connection, board: &str) -> RedisResult<()> {
    let mut filling = redis::pipe();
    filling.cmd("UNLINK").arg(board).ignore();
    let zadd = filling.cmd("ZADD").arg(board);
    for player in 0..PLAYERS {
        zadd.arg(player / 2 * 100).arg(format!("player:{player:03}"));
    }
    filling.exec_async(connection).await
}

fn was_there(player: &str) -> bool {
    player.starts_with("player:")
}

async fn page_at(connection: &mut impl ConnectionLike, board: &str, first: usize) -> RedisResult<Vec<Mark>> {
    let mut zrange = redis::cmd("ZRANGE");
    zrange.arg(board).arg(first).arg(first + PAGE - 1).arg("REV").arg("WITHSCORES");
    Ok(marks(zrange.query_async(connection).await?))
}

/// The next `size` players after `last`, or the first ones. The question includes the score of the last player, since
/// others may have the same; those up to the last one are left out. Where so many have that score that no new one is
/// on the page, it asks on.
pub(super) async fn page_after(
    connection: &mut impl ConnectionLike,
    board: &str,
    last: Option<&Mark>,
    size: usize,
) -> RedisResult<Vec<Mark>> {
    let highest = last.map_or_else(|| "+inf".to_owned(), |last| last.score.to_string());
    let mut next = Vec::new();
    for asked in 0.. {
        let mut zrange = redis::cmd("ZRANGE");
        zrange.arg(board).arg(&highest).arg("-inf").arg("BYSCORE").arg("REV");
        // Some more, for the last one itself and a few with the same score.
        let limit = size + 4;
        zrange.arg("LIMIT").arg(asked * limit).arg(limit).arg("WITHSCORES");
        let players = marks(zrange.query_async(connection).await?);
        let end = players.len() < limit;
        next.extend(players.into_iter().filter(|player| last.is_none_or(|last| player.comes_after(last))));
        if end || next.len() >= size {
            break;
        }
    }
    next.truncate(size);
    Ok(next)
}

/// Every member of a board from the top, ctx by page of `size`, each page asked for by the last member of the one
/// before.
pub async fn all_pages(
    connection: &mut impl ConnectionLike,
    board: &str,
    size: usize,
) -> RedisResult<Vec<String>> {
    let mut members = Vec::new();
    let mut last = None;
    loop {
        let page = page_after(connection, board, last.as_ref(), size).await?;
        let Some(mark) = page.last() else {
            return Ok(members);
        };
        last = Some(mark.clone());
        members.extend(page.into_iter().map(|player| player.member));
    }
}

impl Mark {
    /// In the order of REV: lower scores later, and among equal scores smaller bytes later.
    fn comes_after(&self, last: &Self) -> bool {
        (self.score, &self.member) < (last.score, &last.member)
    }
}

fn marks(players: Vec<(String, f64)>) -> Vec<Mark> {
    players.into_iter().map(|(member, score)| Mark { member, score: whole(score) }).collect()
}

pub(super) async fn turn_pages(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let board = keys.busy_board();
    let mut quietly = ctx.untraced("TODO");

    ctx.step(format!(
        "Break it: turn the pages of a board by rank, places 0 to 9, then 10 to 19. If somebody enters above meanwhile, \
         everybody moves down one place, and the last one of this page is the first one of the next. If somebody \
         leaves above, one player moves up onto the page already read, and is never seen. Here are {PLAYERS} \
         players, {PAGE} on a page, and one change after each page.",
    )).await?;
    let mut table = Table::new("Turning all pages", &["next page", "meanwhile", "shown", "twice", "missed"]);
    let mut seen = Vec::new();
    for walk in [Walk::ByRank, Walk::ByCursor] {
        for (disturbance, name) in
            [(Disturbance::Enters, "one enters above"), (Disturbance::Leaves, "the leader leaves")]
        {
            let pages = walk.turn_all(&mut quietly, &board, disturbance).await?;
            let numbers = [pages.shown, pages.twice, pages.missed].map(|number| number.to_string());
            table = table.row([walk.label(), name].map(str::to_owned).into_iter().chain(numbers));
            seen.push(pages);
        }
    }
    ctx.table(table);
    let [entering, leaving, entering_cursor, leaving_cursor] = seen[..] else {
        return Ok(());
    };
    ctx.check(
        format!("by rank, {} players came twice, and {} were missed", entering.twice, leaving.missed),
        entering.twice > 0 && leaving.missed > 0,
    )?;
    ctx.step(
        "Fix it: remember score and member of the last player, and ask what comes after. Whatever happens above no longer \
         matters. The question includes that score, because somebody else may have it too, and the client drops \
         whoever came before:",
    ).await?;
    let last = page_after(&mut quietly, &board, None, PAGE).await?.pop();
    let next = page_after(&mut ctx.redis(), &board, last.as_ref(), PAGE).await?;
    ctx.check(
        "a page of ten that does not repeat the last one",
        next.len() == PAGE && !next.iter().any(|player| Some(player) == last.as_ref()),
    )?;
    ctx.check(
        "by score and member, nobody came twice and nobody was missed",
        [entering_cursor, leaving_cursor].iter().all(|pages| (pages.twice, pages.missed) == (0, 0)),
    )?;
    ctx.step(
        "One thing it does not hide: a player whose own score changes while you read moves past the mark, and is seen \
         again or not at all. A board that must stand still is copied first, with ZRANGESTORE.",
    ).await?;
    Ok(())
}
