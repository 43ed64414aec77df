//! Key names of the lesson `sorted_sets`.

use super::Keys;

impl Keys {
    /// Sorted Set: the points of a few players in this week.
    #[must_use]
    pub fn week_board(&self) -> String {
        self.named("leaderboard:week")
    }

    /// Sorted Set: the fastest lap of each player, in milliseconds.
    #[must_use]
    pub fn lap_board(&self) -> String {
        self.named("leaderboard:laps")
    }

    /// Sorted Set: players with the same points.
    #[must_use]
    pub fn tied_board(&self) -> String {
        self.named("leaderboard:tied")
    }

    /// Sorted Set: the same players; each score holds points and time.
    #[must_use]
    pub fn packed_board(&self) -> String {
        self.named("leaderboard:packed")
    }

    /// Sorted Set: a board that changes while somebody turns its pages.
    #[must_use]
    pub fn busy_board(&self) -> String {
        self.named("leaderboard:busy")
    }

    /// Sorted Set: the points of thousands of players.
    #[must_use]
    pub fn season_board(&self) -> String {
        self.named("leaderboard:season")
    }

    /// Hash: the same points, without an order.
    #[must_use]
    pub fn season_points(&self) -> String {
        self.named("leaderboard:season:hash")
    }

    /// Sorted Set: the logins of a user within the last hour.
    #[must_use]
    pub fn recent_logins(&self) -> String {
        self.named("logins:user:1")
    }

    /// Sorted Set: the same logins, badly named.
    #[must_use]
    pub fn collided_logins(&self) -> String {
        self.named("logins:user:1:collided")
    }
}
