//! Thousands of players and their points, in a Sorted Set and in a Hash.

use lab_runner::AnyConnection;
use redis::{AsyncTypedCommands, RedisResult};

use crate::keys::Keys;

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
        Self {
            board: keys.key("leaderboard:season"),
            hash: keys.key("leaderboard:season:hash"),
            players,
            ranked,
        }
    }

    /// Writes the Sorted Set, unless it is already there.
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

    /// Writes the Hash, unless it is already there.
    pub async fn write_hash<C: AnyConnection>(&self, redis: &mut C) -> RedisResult<()> {
        if redis.hlen(&self.hash).await? == self.players.len() {
            return Ok(());
        }
        redis.unlink(&self.hash).await?;
        let mut pipeline = redis::pipe();
        for chunk in self.players.chunks(CHUNK) {
            let fields: Vec<(&String, i64)> = chunk.iter().map(|(points, name)| (name, *points)).collect();
            pipeline.cmd("HSET").arg(&self.hash).arg(&fields).ignore();
        }
        pipeline.exec_async(redis).await
    }
}

/// The points of a score: whole numbers far below 2^53, so nothing is cut off.
#[expect(clippy::cast_possible_truncation, reason = "see above")]
pub(super) fn whole(score: f64) -> i64 {
    score.round() as i64
}

/// The best first; with the same points in reverse order of their bytes, as REV returns them.
pub(super) fn sort_best_first(players: &mut [(i64, String)]) {
    players.sort_unstable_by(|one, other| other.cmp(one));
}
