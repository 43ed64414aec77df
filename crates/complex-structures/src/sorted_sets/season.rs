//! Thousands of players and their points, in a Sorted Set and in a Hash.

use std::sync::Arc;

use lab_runner::AnyConnection;
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::OnceCell;

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
    board_written: Arc<OnceCell<()>>,
    hash_written: Arc<OnceCell<()>>,
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
        let (board_written, hash_written) = (Arc::default(), Arc::default());
        Self { board, hash, players, ranked, board_written, hash_written }
    }

    /// Writes the Sorted Set, once.
    pub async fn write_board<C: AnyConnection>(&self, redis: &mut C) -> RedisResult<()> {
        let write = || async move {
            redis.unlink(&self.board).await?;
            for batch in self.players.chunks(CHUNK * BATCH) {
                let mut pipeline = redis::pipe();
                for chunk in batch.chunks(CHUNK) {
                    pipeline.zadd_multiple(&self.board, chunk).ignore();
                }
                pipeline.exec_async(redis).await?;
            }
            Ok(())
        };
        self.board_written.get_or_try_init(write).await.copied()
    }

    /// Writes the Hash, once.
    pub async fn write_hash<C: AnyConnection>(&self, redis: &mut C) -> RedisResult<()> {
        let write = || async move {
            let mut pipeline = redis::pipe();
            pipeline.unlink(&self.hash).ignore();
            for chunk in self.players.chunks(CHUNK) {
                let fields: Vec<(&String, i64)> =
                    chunk.iter().map(|(points, name)| (name, *points)).collect();
                pipeline.cmd("HSET").arg(&self.hash).arg(&fields).ignore();
            }
            pipeline.exec_async(redis).await
        };
        self.hash_written.get_or_try_init(write).await.copied()
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
