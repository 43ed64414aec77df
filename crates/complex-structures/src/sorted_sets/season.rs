//! Thousands of players: the top ten and the own rank, and pages far down the board.

use lab_runner::{AnyConnection, Approach, Keys, labeled};
use redis::{AsyncTypedCommands, RedisResult};

use super::paging::{PAGE, Player, page_after, whole};

/// How many lead.
const TOP: usize = 10;
/// Members in one ZADD or HSET, and commands in one pipeline.
const CHUNK: usize = 1_000;
const BATCH: usize = 50;

/// The players of a season. Their points look random and are always the same. Of 100,000 players, three share each score.
#[derive(Clone, Debug)]
pub struct Season {
    /// The Sorted Set.
    pub board: String,
    /// The Hash, from player to points.
    pub hash: String,
    /// Points and name of each player, in no order of rank.
    pub players: Vec<(i64, String)>,
    /// The same, the best first.
    pub ranked: Vec<(i64, String)>,
}

impl Season {
    /// The players 1 to `count`.
    pub fn new(count: usize, keys: &Keys) -> Self {
        // Multiples of one prime modulo another visit the points in no visible order.
        let points = (1_i64..).map(|player| player * 7_919 % 33_331 * 10);
        let players: Vec<_> = points.zip((1..=count).map(|player| format!("player:{player:06}"))).collect();
        let mut ranked = players.clone();
        sort_best_first(&mut ranked);
        let [board, hash] = ["leaderboard:season", "leaderboard:season:hash"].map(|name| keys.key(name));
        Self { board, hash, players, ranked }
    }

    /// Writes the Sorted Set, unless it is there.
    pub async fn write_board<C: AnyConnection>(&self, redis: &mut C) -> RedisResult<()> {
        if redis.zcard(&self.board).await? == self.players.len() {
            return Ok(());
        }
        redis.unlink(&self.board).await?;
        for batch in self.players.chunks(CHUNK * BATCH) {
            let mut pipeline = redis::pipe();
            for chunk in batch.chunks(CHUNK) {
                pipeline.zadd_multiple(&self.board, chunk).ignore();
            }
            pipeline.exec_async(redis).await?;
        }
        Ok(())
    }

    async fn write_hash<C: AnyConnection>(&self, redis: &mut C) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        pipeline.unlink(&self.hash).ignore();
        for chunk in self.players.chunks(CHUNK) {
            let fields: Vec<(&String, i64)> = chunk.iter().map(|(points, name)| (name, *points)).collect();
            pipeline.cmd("HSET").arg(&self.hash).arg(&fields).ignore();
        }
        pipeline.exec_async(redis).await
    }
}

/// The best first; with the same points in reverse order of their bytes, as REV returns them.
fn sort_best_first(players: &mut [(i64, String)]) {
    players.sort_unstable_by(|one, other| other.cmp(one));
}

labeled! {
    /// How to find out who leads and where one player stands.
    pub enum AskStanding {
        /// The points are in a Hash.
        SortHash => "HGETALL, sort in the client",
        /// A Sorted Set read as a whole.
        ReadAll => "ZRANGE 0 -1, search in the client",
        /// In one pipeline.
        AskForRank => "ZRANGE 0 9 and ZREVRANK",
    }
}

/// What a player sees of the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The first ten, with their points.
    pub top: Vec<(i64, String)>,
    /// The player's own rank, from 0; `None` if the player is not on the board.
    pub rank: Option<usize>,
}

impl Approach for AskStanding {
    type Input = Season;
    type Output = Standing;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
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
                let mut hgetall = redis::cmd("HGETALL");
                let all: Vec<(String, i64)> = hgetall.arg(&season.hash).query_async(redis).await?;
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

labeled! {
    /// How to read pages from nine tenths down.
    pub enum DeepPage {
        /// The offset skips what came before. Before Redis 7.4 and Valkey 8 the server walks over all of it
        /// (<https://github.com/redis/redis/pull/12450>).
        ByOffset => "BYSCORE, LIMIT with an offset",
        /// The structure knows how many members each of its links passes over.
        ByRank => "by rank",
        /// From where the last page ended.
        ByCursor => "BYSCORE from the last player",
    }
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

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
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
