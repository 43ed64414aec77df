//! Timelines: the posts and reposts of those whom a user follows, the newest first, pushed, pulled, or both.
//!
//! The naive way pushes each post into the list of every follower. That is a million writes for one post of a celebrity, and if the
//! process dies after half of them, nobody knows which half. Or it pulls: each reader asks every author. Here an author's list is
//! the truth, and a timeline is a copy of its newest part, with a mark that says down to where it is complete. Authors with few
//! followers push. Those with many are read when somebody looks.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `posts:bob` | Sorted Set | Bob's last 1,000 posts and reposts, scored by their time in milliseconds: the truth |
//! | `posts:{posts:bob}:unpushed` | Sorted Set | entries that are being pushed, scored by the number of the last follower who has them |
//! | `timeline:ann` | Sorted Set | a copy of the newest 800 entries of those whom Ann follows, and `:complete`, scored by the time down to which nothing is missing |
//! | `celebrities` | Set | authors who are not pushed: their followers read them |
//!
//! The keys of [`crate::social_graph`] come with it. An [`Entry`] names a post. What the post says is your data.
//!
//! - **Promise**: when all pushes are done, a walk over the pages has exactly the posts and reposts that are in the lists of the
//!   authors whom the user follows, each post once, at its newest place. The order is by time, and of the same time by the entry's
//!   text. A cursor is the place of the last entry examined, so nothing shifts, and no cursor comes twice. A post that arrives
//!   with an older time is stored at its place; a reader who is past that place does not see it.
//! - **Cost**: a post takes two round trips, and its push one call for each follower, 500 followers in one step that can be
//!   resumed. A page takes four or five: the copy, whom the user follows, which of these are celebrities, and the authors'
//!   lists. Each command reads or writes at most 5,000 members, and most do 100. A page below the mark, and the first one after a pause, asks
//!   each followed author.
//! - **Memory**: 1,000 entries for each author, and 800 for each user who read in the last 7 days. A timeline that is not in use
//!   takes nothing: what is pushed to it is dropped, and the next read builds it again.
//! - **Faults**: every call can be sent again. A push that was cut off goes on where it was. If `timeline:ann` is lost, the next
//!   read builds it again, and is complete meanwhile. If `posts` is lost, the posts of that author are lost, and timelines no
//!   longer show them. If `unpushed` or the last writes are lost, timelines in use may lack posts until `drop_timeline` or the
//!   TTL ends them. If `celebrities` is lost, unpushed posts are missing until their author posts again. A clock that is set back
//!   dates posts back.
//!
//! ```
//! use patterns::timeline::Timeline;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let timeline = Timeline::new(connection, "");
//! timeline.follow("ann", "bob").await?;
//! timeline.post("bob", "post-1").await?;
//! timeline.repost("bob", "zoe", "post-7").await?; // Zoe has no such post, so nobody sees this.
//! while timeline.push("bob").await?.more {}
//! let page = timeline.read("ann", None, 10).await?;
//! assert_eq!(page.entries[0].entry.id, "post-1");
//! assert_eq!((page.entries.len(), page.next), (1, None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, KeyError, check_id, escape, unescape};
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds, quote, send};
use crate::social_graph::{FollowError, SocialGraph, in_batches, numbered};

/// The latest time of a post, in milliseconds: 2^53 - 1, the last one that a score keeps exactly.
pub const MAX_TIME: u64 = (1 << 53) - 1;
/// The most entries on a page.
pub const MAX_PAGE: usize = 100;
/// The most entries of one author. Older ones are dropped.
pub const MAX_POSTS: usize = 1_000;
/// How many reposted posts a cursor remembers, so that they are not shown again on later pages.
pub const MAX_REMEMBERED: usize = 200;
/// How many times a call reads on while everything it reads is hidden.
const MAX_ROUNDS: usize = 8;
/// How many followers one [`Timeline::push`] reaches.
const PUSH_BATCH: usize = 500;
/// How many entries of an author are read at a time when a timeline is built.
const BUILD_BATCH: usize = 50;
const BUILD_TTL: Duration = Duration::from_mins(1);

const FILE: &str = include_str!("timeline.lua");

/// Adds an entry to its author's list.
pub static POST: Script = Script::new("timeline.lua: post", FILE, &["post"]);
/// Removes an entry from its author's list.
pub static DELETE: Script = Script::new("timeline.lua: delete", FILE, &["delete"]);
/// Finds an entry that is to be pushed.
pub static NEXT: Script = Script::new("timeline.lua: next", FILE, &["next"]);
/// Adds entries to a timeline that is in use.
pub static PUSH: Script = Script::new("timeline.lua: push", FILE, &["trim", "push"]);
/// Begins to build a timeline.
pub static BEGIN: Script = Script::new("timeline.lua: begin", FILE, &["begin"]);
/// Ends the building of a timeline.
pub static INSTALL: Script = Script::new("timeline.lua: install", FILE, &["trim", "install"]);
/// Reads entries of a timeline.
pub static PAGE: Script = Script::new("timeline.lua: page", FILE, &["page"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&POST, &DELETE, &NEXT, &PUSH, &BEGIN, &INSTALL, &PAGE])
}

/// The timelines under a prefix.
#[derive(Clone, Debug)]
pub struct Timeline<C> {
    connection: C,
    prefix: String,
    graph: SocialGraph<C>,
    celebrity_at: usize,
    max_entries: usize,
    ttl: Duration,
}

/// A post, or a repost of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The post's ID, unique for its author.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// Who reposted it.
    pub reposted_by: Option<String>,
}

/// An entry on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The entry.
    pub entry: Entry,
    /// When it was posted or reposted, in milliseconds since 1970.
    pub at: u64,
}

/// Some entries, and where the next ones begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries, the newest first. A page in the middle may be short, or empty, if much of what was examined is hidden.
    pub entries: Vec<Shown>,
    /// What to pass for the next page; `None` if this is the last one.
    pub next: Option<Cursor>,
}

/// The place of the last entry that was examined. As text, it can go into a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    place: Place,
    /// Reposted posts that were shown.
    shown: Vec<String>,
}

/// Time, and the entry's text.
type Place = (u64, String);
/// Newer than every entry.
const FIRST: Place = (MAX_TIME + 1, String::new());

/// What a step of a push did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// How many followers were reached.
    pub followers: usize,
    /// Whether there is more to push.
    pub more: bool,
}

/// Whom a user follows.
struct Followed {
    all: BTreeSet<String>,
    /// Those of them whose posts may not be in the copy.
    pulled: Vec<String>,
}

/// Entries in order.
struct Batch {
    places: Vec<Place>,
    /// Where to go on; `None` if this is the end.
    next: Option<Place>,
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    NewestFirst,
    OldestFirst,
}

impl<C: ConnectionLike + Clone> Timeline<C> {
    /// Timelines of 800 entries, in use for 7 days after they were read. Authors with 10,000 followers are celebrities.
    pub fn new(connection: C, prefix: &str) -> Self {
        let graph = SocialGraph::new(connection.clone(), prefix);
        let ttl = Duration::from_hours(7 * 24);
        Self { connection, prefix: prefix.to_owned(), graph, celebrity_at: 10_000, max_entries: 800, ttl }
    }

    /// With so many followers, an author is a celebrity, and stays one. With 0, everyone is, and all is pulled. With
    /// `usize::MAX`, all is pushed.
    #[must_use]
    pub fn with_celebrities_at(self, followers: usize) -> Self {
        Self { celebrity_at: followers, ..self }
    }

    /// How many entries a timeline copies: 1 to 1,000. Other values become the nearest of these.
    #[must_use]
    pub fn with_max_entries(self, max_entries: usize) -> Self {
        Self { max_entries: max_entries.clamp(1, MAX_POSTS), ..self }
    }

    /// How long a timeline stays in use after it was read: a millisecond to a year.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// The graph that the timelines follow. Change it with [`Timeline::follow`], or the copies miss the posts of the new author.
    #[must_use]
    pub fn graph(&self) -> &SocialGraph<C> {
        &self.graph
    }

    /// Lets a user follow another one, and adds the other's posts to the user's timeline; `false` if that was so before. Five
    /// round trips.
    pub async fn follow(&self, user: &str, other: &str) -> Result<bool, FollowError> {
        let new = self.graph.decide(user, other, true).await?;
        self.finish(user, other, true).await?;
        Ok(new)
    }

    /// Lets a user no longer follow another one; `false` if the user did not. Their posts are gone from the timeline. Three round
    /// trips.
    pub async fn unfollow(&self, user: &str, other: &str) -> Result<bool, FollowError> {
        let was_there = self.graph.decide(user, other, false).await?;
        self.finish(user, other, false).await?;
        Ok(was_there)
    }

    /// Finishes changes of this user that were cut off, and returns how many there were. Readers see them even before.
    pub async fn repair(&self, user: &str) -> Result<usize, StoreError> {
        let pending = self.graph.pending(user).await?;
        let finishes = pending.iter().map(|other| self.finish(user, other, true));
        for finished in in_batches(finishes.collect()).await {
            finished?;
        }
        Ok(pending.len())
    }

    /// While a change is pending, readers ask the author. So the copy must be complete before it is settled.
    async fn finish(&self, user: &str, other: &str, mut follows: bool) -> Result<(), StoreError> {
        loop {
            self.graph.index(user, other, follows).await?;
            if follows {
                self.copy_posts(user, other).await?;
            }
            match self.graph.settle(user, other, follows).await? {
                None => return Ok(()),
                Some(changed) => follows = changed,
            }
        }
    }

    /// Posts now, and returns the time in milliseconds. The same ID again changes nothing, and returns the first time. Two round
    /// trips. Then [`push`](Self::push) it.
    pub async fn post(&self, author: &str, id: &str) -> Result<u64, PostError> {
        self.add(author, &entry_of(id, author, None)?, None).await
    }

    /// The same with a time of yours, 0 to [`MAX_TIME`] milliseconds since 1970. It may be in the past.
    pub async fn post_at(&self, author: &str, id: &str, at: u64) -> Result<u64, PostError> {
        self.add(author, &entry_of(id, author, None)?, Some(at)).await
    }

    /// Reposts a post of another author now. It is shown once, at its newest place. Two round trips. Then push `by`.
    pub async fn repost(&self, by: &str, author: &str, id: &str) -> Result<u64, PostError> {
        self.add(by, &entry_of(id, author, Some(by))?, None).await
    }

    /// The same with a time of yours.
    pub async fn repost_at(&self, by: &str, author: &str, id: &str, at: u64) -> Result<u64, PostError> {
        self.add(by, &entry_of(id, author, Some(by))?, Some(at)).await
    }

    /// Deletes a post, and thus all its reposts; `false` if it was not there. One round trip.
    pub async fn delete(&self, author: &str, id: &str) -> Result<bool, StoreError> {
        self.remove(author, &entry_of(id, author, None)?).await
    }

    /// Takes a repost back; `false` if it was not there. The post is where the next repost puts it, or at its own place. One
    /// round trip.
    pub async fn undo_repost(&self, by: &str, author: &str, id: &str) -> Result<bool, StoreError> {
        self.remove(by, &entry_of(id, author, Some(by))?).await
    }

    /// Pushes an entry of this author to the next 500 followers. Call it until there is no more. It goes on where the last call
    /// ended, in any process: put the author into a job queue before you post, and let a job call this.
    pub async fn push(&self, author: &str) -> Result<Pushed, StoreError> {
        let posts = self.posts_key(author)?;
        let unpushed = posts.companion("unpushed");
        let mut next: Reply = NEXT.call(&[posts.as_str(), &unpushed]).run(&self.connection).await?;
        if !next.either("NEXT", "NONE")? {
            return Ok(Pushed { followers: 0, more: false });
        }
        let (entry, pushed, at): (String, u64, String) = (next.next()?, next.next()?, next.next()?);
        let followers = match at.as_str() {
            "" => Vec::new(),
            _ => self.graph.next_followers(author, pushed, PUSH_BATCH).await?,
        };
        let entries = [(at, entry)];
        let calls = followers.iter().map(|(follower, _)| self.push_to(follower, &entries));
        for pushed in in_batches(calls.collect()).await {
            pushed?;
        }
        let mut advance = redis::Cmd::new();
        match followers.last() {
            Some((_, last)) if followers.len() == PUSH_BATCH => {
                advance.arg("ZADD").arg(&unpushed).arg("XX").arg("GT").arg(*last).arg(&entries[0].1)
            }
            _ => advance.arg("ZREM").arg(&unpushed).arg(&entries[0].1),
        };
        let _: u64 = send(&self.connection, &advance).await?;
        // The last step finds nothing more.
        Ok(Pushed { followers: followers.len(), more: true })
    }

    /// A page of a user's timeline: `count` entries, at most [`MAX_PAGE`].
    pub async fn read(&self, user: &str, after: Option<&Cursor>, count: usize) -> Result<Page, StoreError> {
        self.read_where(user, after, count, |_| true).await
    }

    /// The same without what `shows` refuses, such as muted authors.
    pub async fn read_where(
        &self,
        user: &str,
        after: Option<&Cursor>,
        count: usize,
        shows: impl Fn(&Entry) -> bool,
    ) -> Result<Page, StoreError> {
        let count = count.clamp(1, MAX_PAGE);
        let followed = self.followed(user).await?;
        let mut page = Page::default();
        let mut cursor = after.cloned().unwrap_or(Cursor { place: FIRST, shown: Vec::new() });
        let mut posts = BTreeSet::new();
        for _ in 0..MAX_ROUNDS {
            // One more, so that the last page knows that it is the last.
            let batch = self.newer_first(user, &followed, &cursor.place, count + 1).await?;
            let posted = self.posted(&batch.places).await?;
            for (place, posted) in batch.places.into_iter().zip(posted) {
                let entry = parse(&place.1)?;
                // If a clock was set back, a post may be newer than its repost.
                let elsewhere = posted.is_some_and(|at| at > place.0) && followed.all.contains(&entry.author);
                let visible = posted.is_some() && !elsewhere && followed.all.contains(entry.owner());
                let visible = visible && shows(&entry);
                let post = text(&entry.id, &entry.author, None);
                if visible && !cursor.shown.contains(&post) && !posts.contains(&post) {
                    if page.entries.len() == count {
                        page.next = Some(cursor);
                        return Ok(page);
                    }
                    if entry.reposted_by.is_some() {
                        cursor.shown.push(post.clone());
                        let excess = cursor.shown.len().saturating_sub(MAX_REMEMBERED);
                        cursor.shown.drain(..excess);
                    }
                    posts.insert(post);
                    page.entries.push(Shown { entry, at: place.0 });
                }
                cursor.place = place;
            }
            match batch.next {
                Some(next) => cursor.place = next,
                None => return Ok(page),
            }
        }
        page.next = Some(cursor);
        Ok(page)
    }

    /// The entries next to this place that are newer, `count` of them, at most [`MAX_PAGE`]: not the newest ones, if there are
    /// more in between. The oldest comes first. A repost of a post that was shown before is among them.
    pub async fn newer(&self, user: &str, than: &Shown, count: usize) -> Result<Vec<Shown>, StoreError> {
        let count = count.clamp(1, MAX_PAGE);
        let followed = self.followed(user).await?;
        let mut place = (than.at, than.entry.to_string());
        let mut newer = Vec::new();
        for _ in 0..MAX_ROUNDS {
            let places = self.older_first(user, &followed, &place, count).await?;
            let end = places.len() < count;
            let posted = self.posted(&places).await?;
            for (at_place, posted) in places.into_iter().zip(posted) {
                let entry = parse(&at_place.1)?;
                if posted.is_some() && followed.all.contains(entry.owner()) && newer.len() < count {
                    newer.push(Shown { entry, at: at_place.0 });
                }
                place = at_place;
            }
            if end || newer.len() == count {
                break;
            }
        }
        Ok(newer)
    }

    /// Drops the copy of a user's timeline. The next read builds it again. One round trip.
    pub async fn drop_timeline(&self, user: &str) -> Result<(), StoreError> {
        let key = self.timeline_key(user)?;
        send(&self.connection, redis::cmd("UNLINK").arg(key.as_str())).await
    }

    async fn add(&self, owner: &str, entry: &str, at: Option<u64>) -> Result<u64, PostError> {
        if at.is_some_and(|at| at > MAX_TIME) {
            return Err(PostError::Time);
        }
        let mut count = redis::cmd("ZCARD");
        count.arg(self.graph.followers_key(owner)?.as_str());
        let followers: usize = send(&self.connection, &count).await?;
        let push = followers < self.celebrity_at;
        if !push {
            // Before the post: nobody may miss it.
            let mut celebrity = redis::cmd("SADD");
            celebrity.arg(self.celebrities_key()?.as_str()).arg(owner);
            let _: u64 = send(&self.connection, &celebrity).await?;
        }
        let posts = self.posts_key(owner)?;
        let call = POST.call(&[posts.as_str(), &posts.companion("unpushed")]).arg(entry);
        let call = call.arg(at.map_or_else(String::new, |at| at.to_string()));
        let mut reply: Reply = call.arg(u8::from(push)).arg(MAX_POSTS).run(&self.connection).await?;
        match reply.outcome.as_str() {
            "POSTED" | "KNOWN" => Ok(reply.next()?),
            _ => Err(reply.unexpected().into()),
        }
    }

    async fn remove(&self, owner: &str, entry: &str) -> Result<bool, StoreError> {
        let posts = self.posts_key(owner)?;
        let call = DELETE.call(&[posts.as_str(), &posts.companion("unpushed")]).arg(entry);
        let mut reply: Reply = call.run(&self.connection).await?;
        reply.must_be("DELETED")?;
        reply.next()
    }

    /// Adds the newest posts of an author to a user's timeline. It takes one more than fits: if there are that many, the mark
    /// moves up, and what is older is read from the author.
    async fn copy_posts(&self, user: &str, author: &str) -> Result<(), StoreError> {
        let posts = self.entries(author, Order::NewestFirst, &FIRST, self.max_entries + 1).await?;
        let posts: Vec<_> = posts.into_iter().map(|(at, entry)| (at.to_string(), entry)).collect();
        self.push_to(user, &posts).await
    }

    async fn push_to(&self, user: &str, entries: &[(String, String)]) -> Result<(), StoreError> {
        let mut call = PUSH.call(&[self.timeline_key(user)?.as_str()]).arg(self.max_entries);
        for (at, entry) in entries {
            call = call.arg(at).arg(entry);
        }
        let reply: Reply = call.run(&self.connection).await?;
        if matches!(reply.outcome.as_str(), "PUSHED" | "UNUSED") { Ok(()) } else { Err(reply.unexpected()) }
    }

    /// Whom a user follows, and which of them must be asked.
    async fn followed(&self, user: &str) -> Result<Followed, StoreError> {
        let (all, pending) = self.graph.snapshot(user).await?;
        let celebrities = self.celebrities_key()?;
        let mut pulled = Vec::new();
        for some in all.chunks(1_000) {
            let mut ask = redis::cmd("SMISMEMBER");
            ask.arg(celebrities.as_str()).arg(some);
            let listed: Vec<bool> = send(&self.connection, &ask).await?;
            let asked =
                some.iter().zip(listed).filter(|(author, listed)| *listed || pending.contains(author));
            pulled.extend(asked.map(|(author, _)| author.clone()));
        }
        Ok(Followed { all: all.into_iter().collect(), pulled })
    }

    /// Entries older than this place, the newest first: from the copy down to its mark, and below from the authors.
    async fn newer_first(
        &self,
        user: &str,
        followed: &Followed,
        after: &Place,
        count: usize,
    ) -> Result<Batch, StoreError> {
        let newest = Order::NewestFirst;
        // If nobody pushes, no copy is needed.
        let copied = followed.pulled.len() < followed.all.len();
        let copy = if copied { self.copied(user, newest, after, count).await? } else { None };
        let copy = match copy {
            None if copied && self.build(user).await? => self.copied(user, newest, after, count).await?,
            copy => copy,
        };
        if let Some((mark, mut places)) = copy.filter(|(mark, _)| *after > (*mark, String::new())) {
            places.extend(self.of_authors(&followed.pulled, newest, after, count).await?);
            places.retain(|(at, _)| *at >= mark);
            in_order(&mut places, newest, count);
            let below = (places.len() < count).then(|| (mark, String::new()));
            let next =
                below.or_else(|| places.last().cloned()).filter(|(at, entry)| *at > 0 || !entry.is_empty());
            return Ok(Batch { places, next });
        }
        let mut places = self.of_authors(&followed.all, newest, after, count).await?;
        in_order(&mut places, newest, count);
        let next = places.last().filter(|_| places.len() == count).cloned();
        Ok(Batch { places, next })
    }

    /// Entries newer than this place, the oldest first.
    async fn older_first(
        &self,
        user: &str,
        followed: &Followed,
        after: &Place,
        count: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let copy = self.copied(user, Order::OldestFirst, after, count).await?;
        let mut places = match copy.filter(|(mark, _)| after.0 >= *mark) {
            Some((_, mut places)) => {
                places.extend(self.of_authors(&followed.pulled, Order::OldestFirst, after, count).await?);
                places
            }
            None => self.of_authors(&followed.all, Order::OldestFirst, after, count).await?,
        };
        in_order(&mut places, Order::OldestFirst, count);
        Ok(places)
    }

    /// The mark of a copy, and entries behind this place; `None` if the timeline is not in use.
    async fn copied(
        &self,
        user: &str,
        order: Order,
        after: &Place,
        count: usize,
    ) -> Result<Option<(u64, Vec<Place>)>, StoreError> {
        let key = self.timeline_key(user)?;
        // Of entries at the same time, some may be before this place. Then it takes more.
        let mut take = count + 1;
        loop {
            let call = PAGE.call(&[key.as_str()]).arg(milliseconds(self.ttl));
            let call = call.arg(u8::from(order == Order::NewestFirst)).arg(after.0).arg(take);
            let mut reply: Reply = call.run(&self.connection).await?;
            if !reply.either("PAGE", "UNUSED")? {
                return Ok(None);
            }
            let (mark, found): (u64, Vec<(String, f64)>) = (reply.next()?, reply.next()?);
            let end = found.len() < take;
            let mut places = behind(&key, found, order, after)?;
            places.retain(|(_, entry)| !entry.starts_with(':'));
            if end || places.len() >= count {
                return Ok(Some((mark, places)));
            }
            take *= 2;
        }
    }

    /// Entries of authors behind this place, at most `count` of each.
    async fn of_authors(
        &self,
        authors: impl IntoIterator<Item = &String>,
        order: Order,
        after: &Place,
        count: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let reads = authors.into_iter().map(|author| self.entries(author, order, after, count));
        let mut places = Vec::new();
        for entries in in_batches(reads.collect()).await {
            places.extend(entries?);
        }
        Ok(places)
    }

    /// Entries of an author behind this place, `count` of them if there are so many.
    async fn entries(
        &self,
        author: &str,
        order: Order,
        after: &Place,
        count: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let key = self.posts_key(author)?;
        let (command, end) = match order {
            Order::NewestFirst => ("ZREVRANGEBYSCORE", "0"),
            Order::OldestFirst => ("ZRANGEBYSCORE", "+inf"),
        };
        let mut take = count;
        loop {
            let mut range = redis::cmd(command);
            range.arg(key.as_str()).arg(after.0).arg(end).arg("WITHSCORES").arg("LIMIT").arg(0).arg(take);
            let found: Vec<(String, f64)> = send(&self.connection, &range).await?;
            let end = found.len() < take;
            let mut places = behind(&key, found, order, after)?;
            if end || places.len() >= count {
                places.truncate(count);
                return Ok(places);
            }
            take *= 2;
        }
    }

    /// When the posts of these entries were posted; `None` if the author deleted the post, or the entry, or has it at another
    /// time.
    async fn posted(&self, places: &[Place]) -> Result<Vec<Option<u64>>, StoreError> {
        let entries = places.iter().map(|(_, entry)| parse(entry)).collect::<Result<Vec<_>, _>>()?;
        let mut asked = BTreeMap::<&str, BTreeSet<String>>::new();
        for entry in &entries {
            asked.entry(entry.owner()).or_default().insert(entry.to_string());
            asked.entry(&entry.author).or_default().insert(text(&entry.id, &entry.author, None));
        }
        let reads = asked.iter().map(|(owner, entries)| self.times(owner, entries));
        let mut times = BTreeMap::new();
        for read in in_batches(reads.collect()).await {
            times.extend(read?);
        }
        let posted = places.iter().zip(&entries).map(|((at, place), entry)| {
            let is_there = times.get(&(entry.owner().to_owned(), place.clone())) == Some(at);
            let post = (entry.author.clone(), text(&entry.id, &entry.author, None));
            times.get(&post).filter(|_| is_there).copied()
        });
        Ok(posted.collect())
    }

    /// The times of those of these entries that the owner has.
    async fn times(
        &self,
        owner: &str,
        entries: &BTreeSet<String>,
    ) -> Result<Vec<((String, String), u64)>, StoreError> {
        let key = self.posts_key(owner)?;
        let mut scores = redis::cmd("ZMSCORE");
        scores.arg(key.as_str());
        for entry in entries {
            scores.arg(entry);
        }
        let scores: Vec<Option<f64>> = send(&self.connection, &scores).await?;
        let found = entries.iter().zip(scores).filter_map(|(entry, score)| Some((entry.clone(), score?)));
        let times = numbered(&key, found.collect())?;
        Ok(times.into_iter().map(|(entry, at)| ((owner.to_owned(), entry), at)).collect())
    }

    /// Builds the copy of a user's timeline. Returns whether it is in use now; if another process builds it, it is not.
    async fn build(&self, user: &str) -> Result<bool, StoreError> {
        let key = self.timeline_key(user)?;
        let begin = BEGIN.call(&[key.as_str()]).arg(milliseconds(BUILD_TTL));
        let mut reply: Reply = begin.run(&self.connection).await?;
        let token: String = match reply.outcome.as_str() {
            "BEGUN" => reply.next()?,
            "IN_USE" => return Ok(true),
            "BUILDING" => return Ok(false),
            _ => return Err(reply.unexpected()),
        };
        // From here on, pushes arrive in the copy, so what is read now and what is pushed leave no gap.
        let followed = self.followed(user).await?;
        let (mark, places) = self.newest(&followed).await?;
        let call = INSTALL.call(&[key.as_str()]).arg(token).arg(mark).arg(milliseconds(self.ttl));
        let mut call = call.arg(self.max_entries);
        for (at, entry) in &places {
            call = call.arg(*at).arg(entry);
        }
        call.run::<Reply>(&self.connection).await?.either("INSTALLED", "STALE")
    }

    /// The newest entries of all authors, and the time down to which none is missing. It reads some of each author, and more
    /// only of the one whose entries end first.
    async fn newest(&self, followed: &Followed) -> Result<(u64, Vec<Place>), StoreError> {
        let mut places = Vec::new();
        // How far each author was read; those who are not here were read to their end.
        let mut ends = BTreeMap::new();
        let mut authors: Vec<(String, Place)> =
            followed.all.iter().map(|author| (author.clone(), FIRST)).collect();
        loop {
            let reads = authors
                .iter()
                .map(|(author, after)| self.entries(author, Order::NewestFirst, after, BUILD_BATCH));
            for ((author, _), read) in authors.iter().zip(in_batches(reads.collect()).await) {
                let read = read?;
                ends.remove(author);
                if read.len() == BUILD_BATCH {
                    ends.extend(read.last().map(|end| (author.clone(), end.clone())));
                }
                places.extend(read);
            }
            let first_end = ends.iter().max_by(|(_, one), (_, other)| one.cmp(other));
            // Entries at the very time of the end may be missing.
            let mark = first_end.map_or(0, |(_, (at, _))| at + 1);
            let complete = places.iter().filter(|(at, _)| *at >= mark).count();
            match first_end {
                Some((author, end)) if complete < self.max_entries => {
                    authors = vec![(author.clone(), end.clone())];
                }
                _ => {
                    places.retain(|(at, _)| *at >= mark);
                    in_order(&mut places, Order::NewestFirst, self.max_entries + 1);
                    return Ok((mark, places));
                }
            }
        }
    }

    /// The key of an author's entries.
    pub fn posts_key(&self, author: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "posts", &[author])?)
    }

    /// The key of a user's copy.
    pub fn timeline_key(&self, user: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "timeline", &[user])?)
    }

    /// The key of the authors who are not pushed.
    pub fn celebrities_key(&self) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "celebrities", &[])?)
    }
}

impl Entry {
    /// In whose list it is.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.reposted_by.as_deref().unwrap_or(&self.author)
    }
}

/// The text in the Sorted Sets: ID, author, and who reposted it, with spaces between them.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(&self.id, &self.author, self.reposted_by.as_deref()))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place.0, self.place.1)?;
        self.shown.iter().try_for_each(|post| write!(f, "\n{post}"))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut lines = text.split('\n');
        let (at, entry) = lines.next().and_then(|line| line.split_once(' ')).ok_or(CursorError)?;
        let at = at.parse().ok().filter(|at| *at <= MAX_TIME + 1).ok_or(CursorError)?;
        Ok(Self {
            place: (at, entry.to_owned()),
            shown: lines.take(MAX_REMEMBERED).map(str::to_owned).collect(),
        })
    }
}

/// The text of an entry whose IDs are checked.
fn entry_of(id: &str, author: &str, reposted_by: Option<&str>) -> Result<String, KeyError> {
    [Some(id), Some(author), reposted_by].into_iter().flatten().try_for_each(check_id)?;
    Ok(text(id, author, reposted_by))
}

fn text(id: &str, author: &str, reposted_by: Option<&str>) -> String {
    // A space sorts before what may follow in a longer ID, so entries of the same time are in the order of their IDs.
    let one = |id: &str| escape(id).replace(' ', "%20").replace('\n', "%0A");
    let parts = [Some(id), Some(author), reposted_by].into_iter().flatten();
    parts.map(one).collect::<Vec<_>>().join(" ")
}

fn parse(text: &str) -> Result<Entry, StoreError> {
    let one = |part: &str| unescape(&part.replace("%20", " ").replace("%0A", "\n"));
    let parts: Option<Vec<String>> = text.split(' ').map(one).collect();
    let mut parts = parts.unwrap_or_default().into_iter();
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(id), Some(author), reposted_by, None) => Ok(Entry { id, author, reposted_by }),
        _ => Err(StoreError::Malformed(quote(text))),
    }
}

/// Those of the members that come after this place.
fn behind(
    key: &Key,
    members: Vec<(String, f64)>,
    order: Order,
    after: &Place,
) -> Result<Vec<Place>, StoreError> {
    let places = numbered(key, members)?.into_iter().map(|(entry, at)| (at, entry));
    let follows = |place: &Place| if order == Order::NewestFirst { place < after } else { place > after };
    Ok(places.filter(follows).collect())
}

/// The first `count` of these, each once.
fn in_order(places: &mut Vec<Place>, order: Order, count: usize) {
    places.sort();
    places.dedup();
    if order == Order::NewestFirst {
        places.reverse();
    }
    places.truncate(count);
}

/// Why something was not posted. Nothing was changed, unless the connection failed: then do it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// The time is later than [`MAX_TIME`].
    #[error("a post is dated at most {MAX_TIME} ms after 1970")]
    Time,
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyError> for PostError {
    fn from(error: KeyError) -> Self {
        Self::Store(error.into())
    }
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this text is not a cursor of a timeline")]
pub struct CursorError;
