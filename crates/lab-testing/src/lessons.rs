//! Taking lessons and reading their pages, and what every crate with lessons promises.

use std::collections::BTreeSet;
use std::path::Path;

use lab_connection::{Target, TargetArgs, own_keys};
use lab_runner::block::Block;
use lab_runner::course::{self, Taught};
use lab_runner::{Course, Lesson, Outcome, register};
use lab_server::{Release, Server};

/// A private server, or a private cluster.
pub async fn open(cluster: bool) -> Target {
    TargetArgs { cluster, ..TargetArgs::private() }.open().await.unwrap()
}

/// A private server of this release; without one here, says so.
#[expect(clippy::print_stdout, reason = "a test that skips says why")]
pub async fn open_release(release: Release, prefix: Option<String>) -> Option<Target> {
    let args = TargetArgs { server: Some(release), server_program: None, prefix, ..TargetArgs::private() };
    match args.open().await {
        Ok(target) => Some(target),
        Err(failure) => {
            println!("skipped: there is no {release} here: {failure}");
            None
        }
    }
}

/// Takes one lesson; a broken claim fails the test. One that needs what the server lacks is skipped, and says so.
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
    held(target, course::take(target, lesson).await)
}

/// What was taught, if every claim held.
pub fn held(target: &Target, (taught, outcome): (Taught, Outcome)) -> Taught {
    if let Err(error) = outcome {
        let last = taught.page.last();
        panic!("{} on {}: {error}\nlast on its page: {last:#?}", taught.name, target.describe());
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

/// Every key that a page names is on the server.
pub async fn assert_stored(target: &Target, taught: &[Taught]) {
    let stored = stored_keys(target).await;
    for key in course::keys_of(taught) {
        assert!(stored.contains(&key), "{key} is named on a page and not stored: {stored:?}");
    }
}

/// No lesson is missing from the register.
pub fn assert_all_in_register<L: Course>(crate_directory: &str) {
    let faults = register::faults::<L>(&Path::new(crate_directory).join("src")).unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// All lessons pass, and pass again over what they left.
pub async fn assert_pass_twice<L: Course>() {
    let target = open(false).await;
    take_all::<L>(&target).await;
    let taught = take_all::<L>(&target).await;
    assert_stored(&target, &taught).await;
}

/// All lessons pass over RESP3, with what the server answers differently there.
pub async fn assert_pass_over_resp3<L: Course>() {
    let server = Server::start().unwrap();
    let target = TargetArgs::at(format!("{}?protocol=resp3", server.url())).open().await.unwrap();
    take_all::<L>(&target).await;
}

/// All lessons pass on a cluster.
pub async fn assert_pass_on_a_cluster<L: Course>() {
    take_all::<L>(&open(true).await).await;
}

/// With a prefix, nothing is written that lacks it.
pub async fn assert_write_only_behind_their_prefix<L: Course>() {
    for cluster in [false, true] {
        let args = TargetArgs { prefix: Some("lab:".into()), cluster, ..TargetArgs::private() };
        let target = args.open().await.unwrap();
        let taught = take_all::<L>(&target).await;
        let stored = stored_keys(&target).await;
        let strays: Vec<&String> = stored.iter().filter(|key| !key.starts_with("lab:")).collect();
        assert!(strays.is_empty(), "{strays:?}");
        let named = course::keys_of(&taught);
        assert!(named.iter().all(|key| key.starts_with("lab:")), "{named:?}");
    }
}

/// What a lesson says it teaches is on its page, wherever the server has it.
pub async fn assert_show_what_they_teach<L: Course>() {
    let target = open(false).await;
    for lesson in L::lessons() {
        let taught = take_lesson(&target, lesson).await;
        let shown = commands(&taught);
        for command in lesson.teaches {
            let seen = shown.iter().any(|line| line == command || line.starts_with(&format!("{command} ")));
            let elsewhere = !target.can(command.split(' ').next().unwrap()).await;
            assert!(seen || elsewhere, "{} teaches {command} and does not show it", lesson.name);
        }
    }
}
