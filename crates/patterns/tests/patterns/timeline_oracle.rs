//! Random graphs with a power law: each timeline equals one that is computed from everything that happened.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use futures_util::{StreamExt, stream};
use lab_testing::{TestConnection, prefix};
use patterns::timeline::{Cursor, Entry, Shown, Timeline};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::everywhere;

/// How many users, and how many of each change in each phase.
#[derive(Clone, Copy)]
struct Sizes {
    users: usize,
    /// Changes of the first graph, which is written directly if it is large.
    follows: usize,
    changes: usize,
    posts: usize,
    /// How many percent of the posts come from popular authors.
    popular: u32,
    /// After each phase, every so many users' timelines are checked.
    check_every: usize,
    at_once: usize,
}

/// What happened.
#[derive(Default)]
struct Model {
    following: BTreeMap<usize, BTreeSet<usize>>,
    /// By owner: the time of each entry.
    lists: HashMap<usize, BTreeMap<Entry, u64>>,
}

impl Model {
    fn timeline(&self, user: usize) -> Vec<Shown> {
        let followed = self.following.get(&user).into_iter().flatten();
        let entries = followed.filter_map(|owner| self.lists.get(owner)).flatten();
        let mut entries: Vec<(u64, &Entry)> = entries
            .filter(|(entry, _)| self.has(&entry.author, &entry.id))
            .map(|(entry, at)| (*at, entry))
            .collect();
        entries.sort_by_key(|(at, entry)| std::cmp::Reverse((*at, entry.to_string())));
        let mut posts = BTreeSet::new();
        entries.retain(|(_, entry)| posts.insert((&entry.author, &entry.id)));
        entries.into_iter().map(|(at, entry)| Shown { entry: entry.clone(), at }).collect()
    }

    fn has(&self, author: &str, id: &str) -> bool {
        let post = Entry { id: id.to_owned(), author: author.to_owned(), reposted_by: None };
        self.lists.get(&number(author)).is_some_and(|list| list.contains_key(&post))
    }

    fn entries(&self) -> Vec<(usize, Entry)> {
        let mut owners: Vec<_> = self.lists.iter().collect();
        owners.sort_by_key(|(owner, _)| **owner);
        owners
            .into_iter()
            .flat_map(|(owner, list)| list.keys().map(|entry| (*owner, entry.clone())))
            .collect()
    }
}

fn name(user: usize) -> String {
    format!("user{user}")
}

fn number(user: &str) -> usize {
    user.trim_start_matches("user").parse().unwrap()
}

enum Change {
    Follow(usize, usize),
    Unfollow(usize, usize),
    Add(usize, Entry, u64),
    Remove(Entry),
}

async fn apply(timeline: &Timeline<TestConnection>, change: &Change) {
    match change {
        Change::Follow(user, other) => drop(timeline.follow(&name(*user), &name(*other)).await.unwrap()),
        Change::Unfollow(user, other) => drop(timeline.unfollow(&name(*user), &name(*other)).await.unwrap()),
        Change::Add(owner, Entry { id, author, reposted_by: None }, at) => {
            timeline.post_at(author, id, *at).await.unwrap();
            while timeline.push(&name(*owner)).await.unwrap().more {}
        }
        Change::Add(owner, Entry { id, author, reposted_by: Some(by) }, at) => {
            timeline.repost_at(by, author, id, *at).await.unwrap();
            while timeline.push(&name(*owner)).await.unwrap().more {}
        }
        Change::Remove(Entry { id, author, reposted_by: None }) => {
            assert!(timeline.delete(author, id).await.unwrap());
        }
        Change::Remove(Entry { id, author, reposted_by: Some(by) }) => {
            assert!(timeline.undo_repost(by, author, id).await.unwrap());
        }
    }
}

/// A user by a power law: few are chosen often.
fn popular(random: &mut StdRng, users: usize) -> usize {
    let uniform: f64 = random.random_range(0.0..1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "below users"
    )]
    let user = (users as f64 * uniform.powi(4)) as usize;
    user.min(users - 1)
}

/// Changes that may run at the same time, with the model after them. No two are about the same pair or the same entry.
fn phase(model: &mut Model, random: &mut StdRng, sizes: Sizes, phase: u64) -> Vec<Change> {
    let (mut changes, mut pairs) = (Vec::new(), BTreeSet::new());
    let entries = model.entries();
    for _ in 0..sizes.changes {
        let (user, other) = (random.random_range(0..sizes.users), popular(random, sizes.users));
        if user != other && pairs.insert((user, other)) {
            let followed = model.following.entry(user).or_default();
            if followed.remove(&other) {
                changes.push(Change::Unfollow(user, other));
            } else {
                followed.insert(other);
                changes.push(Change::Follow(user, other));
            }
        }
    }
    let mut touched = BTreeSet::new();
    for post in 0..sizes.posts {
        // Few times, so that many entries have the same one. Some arrive late.
        let time =
            1_000 * phase + random.random_range(0..200) - 900 * u64::from(random.random_range(0..10) == 0);
        let old = (!entries.is_empty()).then(|| entries[random.random_range(0..entries.len())].clone());
        match (random.random_range(0..10), old) {
            (0 | 1, Some((_, Entry { id, author, .. }))) => {
                let by = if sizes.popular == 100 {
                    popular(random, sizes.users)
                } else {
                    random.random_range(0..sizes.users)
                };
                let entry = Entry { id, author, reposted_by: Some(name(by)) };
                if model.has(&entry.author, &entry.id)
                    && !model.lists.get(&by).is_some_and(|list| list.contains_key(&entry))
                    && touched.insert(entry.clone())
                {
                    model.lists.entry(by).or_default().insert(entry.clone(), time);
                    changes.push(Change::Add(by, entry, time));
                }
            }
            (2, Some((owner, entry))) if touched.insert(entry.clone()) => {
                model.lists.entry(owner).or_default().remove(&entry);
                changes.push(Change::Remove(entry));
            }
            _ => {
                let author = if random.random_range(0..100) < sizes.popular {
                    popular(random, sizes.users)
                } else {
                    random.random_range(0..sizes.users)
                };
                let entry = Entry { id: format!("p{phase}-{post}"), author: name(author), reposted_by: None };
                model.lists.entry(author).or_default().insert(entry.clone(), time);
                changes.push(Change::Add(author, entry, time));
            }
        }
    }
    changes
}

/// All pages, through the text of each cursor.
pub async fn walk(timeline: &Timeline<TestConnection>, user: &str, count: usize) -> Vec<Shown> {
    let (mut entries, mut after, mut cursors) = (Vec::new(), None::<Cursor>, BTreeSet::new());
    loop {
        let page = timeline.read(user, after.as_ref(), count).await.unwrap();
        assert!(page.entries.len() <= count);
        entries.extend(page.entries);
        let Some(next) = page.next else { return entries };
        assert!(cursors.insert(next.to_string()), "the cursor {next} came twice");
        after = Some(next.to_string().parse().unwrap());
    }
}

async fn all_equal(
    timeline: &Timeline<TestConnection>,
    model: &Model,
    sizes: Sizes,
    every: usize,
    page: usize,
) -> usize {
    let checked = stream::iter((0..sizes.users).step_by(every)).map(async |user| {
        let (expected, found) = (model.timeline(user), walk(timeline, &name(user), page).await);
        assert_eq!(found, expected, "the timeline of user{user}");
        expected.len()
    });
    checked.buffer_unordered(sizes.at_once).collect::<Vec<_>>().await.into_iter().sum()
}

async fn run(
    timeline: &Timeline<TestConnection>,
    connection: &TestConnection,
    sizes: Sizes,
    page: usize,
    seed: u64,
) {
    let (mut model, mut random, start) = (Model::default(), StdRng::seed_from_u64(seed), Instant::now());
    first_graph(timeline, connection, &mut model, &mut random, sizes).await;
    for number in 1..=4 {
        let changes = phase(&mut model, &mut random, sizes, number);
        // Reads in between bring timelines into use, and some of them run while something is pushed.
        let readers = stream::iter((0..sizes.users).step_by(3)).map(async |user| {
            timeline.read(&name(user), None, page).await.unwrap();
        });
        let writers = stream::iter(&changes).map(async |change| apply(timeline, change).await);
        tokio::join!(
            readers.buffer_unordered(sizes.at_once).collect::<Vec<()>>(),
            writers.buffer_unordered(sizes.at_once).collect::<Vec<()>>()
        );
        // Only some are checked, so that the timelines of others are not in use.
        let shown = all_equal(timeline, &model, sizes, sizes.check_every, page).await;
        report(&format!("phase {number}: {} changes, {shown} entries equal", changes.len()), start);
    }
    let shown = all_equal(timeline, &model, sizes, 1, page).await;
    report(&format!("all {} timelines with {shown} entries equal", sizes.users), start);
}

/// Only the large run reports, which you start by hand.
#[expect(clippy::print_stderr, reason = "a long run shows where it is")]
fn report(what: &str, start: Instant) {
    if std::env::var_os("TIMELINE_USERS").is_some() {
        eprintln!("{:7.1} s  {what}", start.elapsed().as_secs_f64());
    }
}

async fn first_graph(
    timeline: &Timeline<TestConnection>,
    connection: &TestConnection,
    model: &mut Model,
    random: &mut StdRng,
    sizes: Sizes,
) {
    for _ in 0..sizes.follows {
        let (user, other) = (random.random_range(0..sizes.users), popular(random, sizes.users));
        if user != other {
            model.following.entry(user).or_default().insert(other);
        }
    }
    let pairs: Vec<(usize, usize)> = model
        .following
        .iter()
        .flat_map(|(user, others)| others.iter().map(|other| (*user, *other)))
        .collect();
    if sizes.users < 10_000 {
        let follows = stream::iter(&pairs).map(async |(user, other)| {
            timeline.follow(&name(*user), &name(*other)).await.unwrap();
        });
        return follows.buffer_unordered(sizes.at_once).collect::<Vec<()>>().await.into_iter().for_each(drop);
    }
    // The same keys, written by a client that knows the layout.
    let mut numbers = HashMap::<String, u64>::new();
    for some in pairs.chunks(5_000) {
        let mut write = redis::pipe();
        for (user, other) in some {
            let following = timeline.graph().following_key(&name(*user)).unwrap().as_str().to_owned();
            let followers = timeline.graph().followers_key(&name(*other)).unwrap().as_str().to_owned();
            for (key, member) in [(following, name(*other)), (followers, name(*user))] {
                let number = numbers.entry(key.clone()).or_default();
                *number += 1;
                write.zadd(key, member, *number).ignore();
            }
        }
        write.exec_async(&mut connection.clone()).await.unwrap();
    }
}

const SMALL: Sizes =
    Sizes { users: 30, follows: 150, changes: 25, posts: 60, popular: 100, check_every: 2, at_once: 12 };

#[test]
fn pushed_timelines_equal_the_oracle() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix).with_celebrities_at(usize::MAX);
        run(&timeline.with_max_entries(30), &connection, SMALL, 7, 1).await;
    });
}

#[test]
fn pulled_timelines_equal_the_oracle() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix).with_celebrities_at(0);
        run(&timeline, &connection, SMALL, 7, 2).await;
    });
}

#[test]
fn hybrid_timelines_equal_the_oracle() {
    everywhere(async |connection, prefix| {
        let timeline =
            Timeline::new(connection.clone(), &prefix).with_celebrities_at(15).with_max_entries(25);
        run(&timeline, &connection, SMALL, 5, 3).await;
    });
}

#[tokio::test]
async fn timelines_of_hundreds_of_users_equal_the_oracle() {
    let connection = TestConnection::server().await;
    let timeline = Timeline::new(connection.clone(), &prefix()).with_celebrities_at(60).with_max_entries(40);
    let sizes = Sizes {
        users: 300,
        follows: 2_400,
        changes: 150,
        posts: 250,
        popular: 20,
        check_every: 4,
        at_once: 50,
    };
    run(&timeline, &connection, sizes, 20, 4).await;
}

/// `TIMELINE_USERS=100000 cargo test --release -p patterns --test patterns -- --ignored --nocapture hundred_thousand`
#[tokio::test]
#[ignore = "takes minutes; TIMELINE_USERS says how many users"]
async fn timelines_of_a_hundred_thousand_users_equal_the_oracle() {
    let users = std::env::var("TIMELINE_USERS").ok().and_then(|users| users.parse().ok()).unwrap_or(100_000);
    let connection = TestConnection::server().await;
    let timeline = Timeline::new(connection.clone(), &prefix()).with_celebrities_at(users / 50);
    let sizes = Sizes {
        users,
        follows: users * 10,
        changes: users / 10,
        posts: users / 4,
        popular: 2,
        check_every: (users / 2_000).max(2),
        at_once: 200,
    };
    run(&timeline, &connection, sizes, 50, 5).await;
}
