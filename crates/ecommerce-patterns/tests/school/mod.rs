//! Taking lessons and reading their pages.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach the functions they share"
)]

use std::collections::BTreeSet;

use lab_connection::{Target, TargetArgs, own_keys};
use lab_runner::block::Block;
use lab_runner::course::{self, Taught};
use lab_runner::{Course, Lesson};

/// A private server, or a private cluster.
pub async fn open(cluster: bool) -> Target {
    TargetArgs { cluster, ..TargetArgs::private() }.open().await.unwrap()
}

/// Takes one lesson; a broken claim fails the test.
pub async fn take<L: Course>(target: &Target, lesson: L) -> Taught {
    take_lesson(target, lesson.lesson()).await
}

/// Takes every lesson of a register, in order.
pub async fn take_all<L: Course>(target: &Target) -> Vec<Taught> {
    let mut taught = Vec::new();
    for lesson in L::lessons() {
        taught.push(take_lesson(target, lesson).await);
    }
    taught
}

async fn take_lesson(target: &Target, lesson: &'static Lesson) -> Taught {
    let (taught, outcome) = course::take(target, lesson).await;
    if let Err(error) = outcome {
        panic!(
            "{} on {}: {error}\nlast on its page: {:#?}",
            lesson.name,
            target.describe(),
            taught.page.last()
        );
    }
    taught
}

/// The rows of the table with this title.
pub fn table<'a>(taught: &'a Taught, title: &str) -> &'a [Vec<String>] {
    let found = taught.page.iter().find_map(|block| match block {
        Block::Facts(facts) if facts.title == title => Some(&facts.rows),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{} has no table '{title}'", taught.name))
}

/// Every command on a page, as it was shown.
pub fn commands(taught: &Taught) -> Vec<&str> {
    let shown = taught.page.iter().filter_map(|block| match block {
        Block::Exchange(spoken) => Some(&spoken.commands),
        _ => None,
    });
    shown.flatten().map(String::as_str).collect()
}

/// Why parts of a page were skipped.
pub fn skipped(taught: &Taught) -> Vec<&str> {
    let reasons = taught.page.iter().filter_map(|block| match block {
        Block::Skipped { reason } => Some(reason.as_str()),
        _ => None,
    });
    reasons.collect()
}

/// Every key on the server.
pub async fn stored_keys(target: &Target) -> BTreeSet<String> {
    let keys = own_keys::matching(&mut target.connection(), "*", 1_000_000).await.unwrap();
    keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect()
}
