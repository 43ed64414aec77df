//! The names of what is counted.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `daily_metrics:2024-01-01` | `daily_metrics:{2024-01-01}` | Hash | metric to number; `revenue` is in cents |
//! | `daily_metrics:2024-01-01:events` | `daily_metrics:{2024-01-01}:events` | Set | the ids counted, while the day is open |
//! | `daily_visitors:2024-01-01` | `daily_visitors:{2024-01-01}` | HyperLogLog | who came |
//! | `top_products:2024-01-01` | `top_products:{2024-01-01}` | Sorted Set | SKU, scored by revenue in cents |
//! | `weekly_metrics:2024-W01` | `weekly_metrics:{2024-W01}` | Hash | the sums of seven days |
//! | `weekly_visitors:2024-W01` | `weekly_visitors:{2024-W01}` | HyperLogLog | who came in these days |
//! | `weekly_visitors:2024-W01:day:1` | `weekly_visitors:{2024-W01}:day:1` | HyperLogLog | a day's, copied here (cluster only) |
//! | `top_products:2024-W01` | `top_products:{2024-W01}` | Sorted Set | SKU, scored by revenue of the week in cents |
//! | `funnel:today` | `funnel:{today}` | Hash | step to visitors |
//! | `funnel:today:visitors` | `funnel:{today}:visitors` | Hash | visitor to the deepest step he reached |
//! | `unique_visitors:set:2024-01-01` | the same | Set | the numbers of who came |
//! | `unique_visitors:bitmap:2024-01-01` | the same | String | a bit for each number |
//! | `unique_visitors:hyperloglog:2024-01-01` | the same | HyperLogLog | who came, roughly |
//! | `active_users:2024-01-01` | `{active_users}:2024-01-01` | String | a bit for each user who was there |
//! | `active_users:returned` | `{active_users}:returned` | String | an intersection, within one script |
//!
//! Everything of one day is in one slot, so that one script can count an event. The bitmaps of all days are in one slot
//! together, because BITOP needs them there: at a million users that is 125 kB for each day.

use crate::analytics::{Counting, Day, Week};

impl super::Keys {
    /// The Hash of a day's metrics.
    #[must_use]
    pub fn daily_metrics(&self, day: Day) -> String {
        format!("{}daily_metrics:{}", self.prefix, self.tagged(&day.to_string()))
    }

    /// The Set of the events of a day that were counted.
    #[must_use]
    pub fn daily_events(&self, day: Day) -> String {
        format!("{}:events", self.daily_metrics(day))
    }

    /// The HyperLogLog of a day's visitors.
    #[must_use]
    pub fn daily_visitors(&self, day: Day) -> String {
        format!("{}daily_visitors:{}", self.prefix, self.tagged(&day.to_string()))
    }

    /// The Sorted Set of a day's products by revenue.
    #[must_use]
    pub fn top_products(&self, day: Day) -> String {
        format!("{}top_products:{}", self.prefix, self.tagged(&day.to_string()))
    }

    /// The Hash of a week's metrics.
    #[must_use]
    pub fn weekly_metrics(&self, week: Week) -> String {
        format!("{}weekly_metrics:{}", self.prefix, self.tagged(&week.to_string()))
    }

    /// The HyperLogLog of a week's visitors.
    #[must_use]
    pub fn weekly_visitors(&self, week: Week) -> String {
        format!("{}weekly_visitors:{}", self.prefix, self.tagged(&week.to_string()))
    }

    /// Where the visitors of one day after the other are copied to on a cluster while a week is added up.
    #[must_use]
    pub fn weekly_visitors_of_a_day(&self, week: Week) -> String {
        format!("{}:day", self.weekly_visitors(week))
    }

    /// The Sorted Set of a week's products by revenue.
    #[must_use]
    pub fn top_products_of_week(&self, week: Week) -> String {
        format!("{}top_products:{}", self.prefix, self.tagged(&week.to_string()))
    }

    /// The Hash of a funnel's steps; the name is `today` or a day.
    pub(crate) fn funnel(&self, name: &str) -> String {
        format!("{}funnel:{}", self.prefix, self.tagged(name))
    }

    /// The Hash of how far each visitor of a funnel came.
    pub(crate) fn funnel_visitors(&self, name: &str) -> String {
        format!("{}:visitors", self.funnel(name))
    }

    /// The funnel of the running day.
    #[must_use]
    pub fn funnel_today(&self) -> String {
        self.funnel("today")
    }

    /// A day's visitors, counted in one of three ways.
    #[must_use]
    pub fn unique_visitors(&self, counting: Counting, day: Day) -> String {
        let way = match counting {
            Counting::Set => "set",
            Counting::Bitmap => "bitmap",
            Counting::HyperLogLog => "hyperloglog",
        };
        format!("{}unique_visitors:{way}:{day}", self.prefix)
    }

    /// The bitmap of the users who were there on a day.
    #[must_use]
    pub fn active_users(&self, day: Day) -> String {
        format!("{}{}:{day}", self.prefix, self.tagged("active_users"))
    }

    /// Where a script intersects bitmaps.
    #[must_use]
    pub fn active_users_returned(&self) -> String {
        format!("{}{}:returned", self.prefix, self.tagged("active_users"))
    }
}
