//! Thousands of players with their points, as a Sorted Set and as a plain Hash.

use lab_runner::AnyConnection;
use redis::RedisResult;

use crate::keys::Keys;

/// Members in one ZADD or HSET.
const CHUNK: usize = 1_000;

/// The players of a season. Their points look random and are always the same; of 100,000 players three share each
/// score.
#[derive(Clone, Debug)]
pub struct Season {
    board: String,
    points_by_player: String,
    players: Vec<(String, i64)>,
    ranked: Vec<(String, i64)>,
}

impl Season {
    /// The players 1 to `count`.
    #[must_use]
    pub fn of(count: usize, keys: &Keys) -> Self {
        // Steps of a prime, modulo another one, visit the points in no visible order.
        let points = (1_i64..).map(|player| player * 7_919 % 33_331 * 10);
        let players: Vec<_> = (1..=count).map(|player| format!("player:{player:06}")).zip(points).collect();
        let mut ranked = players.clone();
        best_first(&mut ranked);
        Self { board: keys.season_board(), points_by_player: keys.season_points(), players, ranked }
    }

    /// The key of the Sorted Set.
    #[must_use]
    pub fn board(&self) -> &str {
        &self.board
    }

    /// The key of the Hash.
    #[must_use]
    pub fn points_by_player(&self) -> &str {
        &self.points_by_player
    }

    /// Name and points of each player, in no order of rank.
    #[must_use]
    pub fn players(&self) -> &[(String, i64)] {
        &self.players
    }

    /// The same, the best first.
    #[must_use]
    pub fn ranked(&self) -> &[(String, i64)] {
        &self.ranked
    }

    /// Writes the Sorted Set, unless it is there already.
    pub async fn write_board<C: AnyConnection>(&self, connection: &mut C) -> RedisResult<()> {
        let ranked: usize = redis::cmd("ZCARD").arg(&self.board).query_async(connection).await?;
        if ranked == self.players.len() {
            return Ok(());
        }
        redis::cmd("UNLINK").arg(&self.board).exec_async(connection).await?;
        for chunk in self.players.chunks(CHUNK) {
            let mut zadd = redis::cmd("ZADD").arg(&self.board).take();
            for (player, points) in chunk {
                zadd.arg(points).arg(player);
            }
            zadd.exec_async(connection).await?;
        }
        Ok(())
    }

    /// Writes the Hash, unless it is there already.
    pub async fn write_points<C: AnyConnection>(&self, connection: &mut C) -> RedisResult<()> {
        let listed: usize = redis::cmd("HLEN").arg(&self.points_by_player).query_async(connection).await?;
        if listed == self.players.len() {
            return Ok(());
        }
        redis::cmd("UNLINK").arg(&self.points_by_player).exec_async(connection).await?;
        for chunk in self.players.chunks(CHUNK) {
            let mut hset = redis::cmd("HSET").arg(&self.points_by_player).take();
            for (player, points) in chunk {
                hset.arg(player).arg(points);
            }
            hset.exec_async(connection).await?;
        }
        Ok(())
    }
}

/// The points of a score. Points are whole numbers far below 2^53, so nothing is cut off.
#[expect(clippy::cast_possible_truncation, reason = "see above")]
pub(super) fn whole(score: f64) -> i64 {
    score.round() as i64
}

/// The best first; among equals in reverse order of their bytes, as REV has them.
pub(super) fn best_first(players: &mut [(String, i64)]) {
    players.sort_unstable_by(|(one, points), (other, others)| (others, other).cmp(&(points, one)));
}
