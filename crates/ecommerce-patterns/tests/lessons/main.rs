//! What each lesson counts, shows, and leaves.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

use lab_connection::Target;
use lab_runner::course::LessonReport;
use lab_testing::lessons::table;

mod all;
mod analytics;
mod caching;
mod data;
mod inventory;
mod rate_limits;
mod real_time;
mod recommendations;
mod search;
mod sessions;

/// The cells of one column of a table.
fn column<'a>(report: &'a LessonReport, title: &str, index: usize) -> Vec<&'a str> {
    table(report, title).iter().map(|row| row[index].as_str()).collect()
}

/// Each key is on the server, and of this type.
async fn assert_types(target: &Target, keys: &[(&str, &str)]) {
    for (key, expected) in keys {
        let found: String = redis::cmd("TYPE").arg(key).query_async(&mut target.connection()).await.unwrap();
        assert_eq!(found, *expected, "{key}");
    }
}
