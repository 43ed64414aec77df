//! Who follows whom, and how does a post reach a million followers?
//!
//! `cargo work social-graph`

mod delivery;
mod mistakes;

use lab_connection::server_info::server_time;
use lab_connection::{Target, own_keys};
use lab_runner::concurrent::try_join_all;
use lab_runner::pattern_scripts::{load, lua};
use lab_runner::round_trips::RoundTrips;
use lab_runner::table::Table;
use lab_runner::{AnyConnection, BoxError, Comparison, Lesson, LessonContext, outcome, source};
use patterns::key::Key;
use patterns::social_graph::{self, FOLLOW, INDEX, SETTLE, SocialGraph};
use patterns::timeline::{self, PAGE, POST, PUSH, Timeline};
use redis::AsyncTypedCommands;

pub use self::delivery::{Delivery, Feeds};
pub use self::mistakes::{Paged, Way, page_through, unknown_followers};

/// Followers, friends of friends, and timelines.
pub static LESSON: Lesson = Lesson {
    name: "social-graph",
    title: "Social graph",
    question: "Who follows whom, and how does a post reach a million followers?",
    commands: &["EVALSHA", "ZREVRANGEBYSCORE", "ZMSCORE"],
    needs: &[],
    sources: &[
        source!("src/social_graph.rs"),
        source!("src/social_graph/mistakes.rs"),
        source!("src/social_graph/delivery.rs"),
    ],
    rule: "Keep one truth in one slot, and make everything else a copy that says how far it is complete.",
    takeaways: &[
        "If two keys in two slots must agree, one decides, and the other is a step that you can repeat.",
        "A page begins after the last item that was examined. An offset shifts whenever the list changes.",
        "Push the posts of authors with few followers, and pull those of celebrities when somebody reads.",
    ],
    quiz: &[6, 31, 33],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Users who follow one author while processes die.
const USERS: usize = 20;
/// Followers of the author whose pages are read, and how many are on a page.
const LISTED: usize = 40;
const PER_PAGE: usize = 5;
/// Whom many follow.
const STAR: &str = "star";
/// Prefixes of the rows that tell what a post costs.
const POST_ROWS: [&str; 3] = ["few", "some", "many"];
/// Followers of the star in the comparison.
const FANS: usize = 200;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let connection = ctx.target().connection();
    let fans = ctx.fit("fans", FANS, 10, 0.5);
    let mut keys = kept(ctx.prefix())?;
    keys.extend(mistakes::keys(ctx.target(), USERS)?);
    for reads in [false, true] {
        keys.extend(Feeds::new(ctx.prefix(), fans, reads).keys(&connection)?);
    }
    for row in POST_ROWS {
        keys.extend(keys_of_row(&timeline_of_row(connection.clone(), ctx.prefix(), row))?);
    }
    ctx.start_clean(&keys).await?;
    load(ctx, &[social_graph::scripts(), timeline::scripts()]).await?;

    follow_in_two_steps(ctx).await?;
    let graph = SocialGraph::new(ctx.redis(), ctx.prefix());
    follow_repeatably(ctx, &graph).await?;
    list_in_pages(ctx).await?;
    find_friends(ctx, &graph).await?;
    let timeline = Timeline::new(ctx.redis(), ctx.prefix());
    post_to_followers(ctx, &timeline).await?;
    count_commands(ctx).await?;
    hide(ctx, &timeline).await?;
    compare(ctx, fans).await?;
    ctx.keys([
        timeline.graph().following_key("ann")?.as_str(),
        timeline.graph().followers_key("bob")?.as_str(),
        timeline.posts_key("bob")?.as_str(),
        timeline.timeline_key("ann")?.as_str(),
    ]);
    Ok(())
}

/// The keys of the steps that show their commands.
fn kept(prefix: &str) -> Result<Vec<String>, BoxError> {
    let mut keys = Vec::new();
    for user in ["ann", "bob", "cid", "dan"] {
        for (name, companion) in
            [("following", "pending"), ("followers", ""), ("posts", "unpushed"), ("timeline", "")]
        {
            let key = Key::new(prefix, name, &[user])?;
            keys.push(key.as_str().to_owned());
            if !companion.is_empty() {
                keys.push(key.companion(companion));
            }
        }
    }
    Ok(keys)
}

async fn follow_in_two_steps(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "To follow someone changes two keys: whom Ann follows, and who follows Bob. On a cluster, they are in two slots, so no \
         transaction covers both. The obvious code writes one, and then the other. {USERS} users follow a star, and every fourth \
         process dies in between:",
    ))
    .await?;
    ctx.code(mistakes::SOURCE.function("follow_by_hand"));
    ctx.announce("Each user sends ZADD twice, or once if the process dies. SMEMBERS looks for something to repair, ZCARD counts, and UNLINK removes the keys.");
    let died = USERS.div_ceil(mistakes::DIES);
    let unknown = unknown_followers(Way::ByHand, ctx.target(), USERS).await?;
    ctx.check_eq("five users follow the star, and the star will never know", &unknown, &died)?;
    Ok(())
}

async fn follow_repeatably(
    ctx: &LessonContext,
    graph: &SocialGraph<lab_connection::Transcript<lab_connection::Connection>>,
) -> Result<(), BoxError> {
    ctx.step(
        "So one key decides, and the other is an index. The decision also notes that the index is still to be written. That note is \
         in the same slot, so both are written, or neither.",
    )
    .await?;
    ctx.script(&lua(&FOLLOW).whole()).await?;
    ctx.step("Then the index is written. After that, the note is removed, but only if nobody has decided otherwise meanwhile.").await?;
    ctx.script(&lua(&INDEX).whole()).await?;
    ctx.script(&lua(&SETTLE).whole()).await?;

    ctx.step("Ann follows Bob, in three round trips. Then she follows Cid, and the process dies after the decision.").await?;
    let new = graph.follow("ann", "bob").await?;
    graph.decide("ann", "cid", true).await?;
    ctx.check("Bob is new", new)?;

    ctx.step("The next process finds the note, and finishes the change.").await?;
    let (_, before) = graph.counts("cid").await?;
    let repaired = graph.repair("ann").await?;
    let (_, after) = graph.counts("cid").await?;
    ctx.check_eq(
        "Cid had no follower, one change was finished, and now there is one",
        &(before, repaired, after),
        &(0, 1, 1),
    )?;
    die_in_between(ctx).await
}

async fn die_in_between(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step("Both ways side by side. Every fourth process dies after its first round trip, and another one repairs what it finds.")
        .await?;
    ctx.announce("By hand: ZADD. With the pattern: EVALSHA. Then SMEMBERS, ZCARD, and UNLINK, as before.");
    let header = ["approach", "followed", "died", "unknown followers"];
    let mut table = Table::new("Processes that die between two steps", &header);
    let (died, mut results) = (USERS.div_ceil(mistakes::DIES), Vec::new());
    for (way, label) in [(Way::ByHand, "two commands"), (Way::Pattern, "decide, index, settle")] {
        let unknown = unknown_followers(way, ctx.target(), USERS).await?;
        table = table.row([label.to_owned(), USERS.to_string(), died.to_string(), unknown.to_string()]);
        results.push(unknown);
    }
    ctx.table(table);
    ctx.check_eq("with the pattern, each follower is known", &results, &vec![died, 0])?;
    Ok(())
}

async fn list_in_pages(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "A star has {LISTED} followers, and you list {PER_PAGE} on a page. Between two pages, two new ones come, or two leave. The \
         obvious code counts how many to skip:",
    ))
    .await?;
    ctx.code(mistakes::SOURCE.function("by_offset"));
    ctx.say("The pattern instead takes the number of the last follower on the page, and reads on below it.");
    let guess = ctx
        .predict(
            "By offset, what does the reader see?",
            ["each follower once", "some twice", "some twice, some never"],
        )
        .await?;
    ctx.announce(
        "Each reads its pages with ZREVRANGE or ZREVRANGEBYSCORE. ZADD and ZREM change the list in between. Then UNLINK removes it.",
    );
    let header = ["approach", "followers", "seen twice", "missed"];
    let mut table = Table::new("Pages of a list that changes", &header);
    let both = [Way::ByHand, Way::Pattern].map(|way| page_through(way, ctx.target(), LISTED, PER_PAGE));
    let results = try_join_all(both).await?;
    for (label, paged) in ["by offset", "after the last one"].into_iter().zip(&results) {
        table = table.labeled(label, [LISTED, paged.twice, paged.missed]);
    }
    ctx.table(table);
    guess.answer(match (results[0].twice, results[0].missed) {
        (0, _) => "each follower once",
        (_, 0) => "some twice",
        _ => "some twice, some never",
    })?;
    ctx.check(
        "by offset, followers were seen twice, and others were missed",
        results[0].twice > 0 && results[0].missed > 0,
    )?;
    ctx.check_eq("after the last one, none was", &results[1], &Paged { twice: 0, missed: 0 })?;
    Ok(())
}

async fn find_friends(
    ctx: &LessonContext,
    graph: &SocialGraph<lab_connection::Transcript<lab_connection::Connection>>,
) -> Result<(), BoxError> {
    let quiet = SocialGraph::new(ctx.target().connection(), ctx.prefix());
    let pairs = [("bob", "ann"), ("bob", "cid"), ("cid", "bob"), ("bob", "dan"), ("dan", "bob")];
    try_join_all(pairs.map(|(user, other)| quiet.follow(user, other))).await?;
    quiet.unfollow("ann", "cid").await?;
    ctx.step(
        "Friends follow each other. A friend of a friend is someone you may know. Nobody's whole network is read: it takes the last \
         100 whom Ann follows, and of each friend among them the last 100.",
    )
    .await?;
    let suggested = graph.friends_of_friends("ann", 10).await?;
    let mutual = graph.mutual_friends("ann", "cid").await?;
    ctx.announce(
        "Before this, EVALSHA let Bob and Ann, Bob and Cid, and Bob and Dan follow each other, and Ann no longer follow Cid.",
    );
    ctx.check_eq(
        "Ann may know Cid and Dan, each by one common friend",
        &suggested,
        &vec![("cid".to_owned(), 1), ("dan".to_owned(), 1)],
    )?;
    ctx.check_eq("Bob is the friend of both Ann and Cid", &mutual, &vec!["bob".to_owned()])?;
    Ok(())
}

async fn post_to_followers(
    ctx: &LessonContext,
    timeline: &Timeline<lab_connection::Transcript<lab_connection::Connection>>,
) -> Result<(), BoxError> {
    ctx.step(
        "A timeline is a copy: the newest entries of those whom Ann follows. Its member ':complete' is scored by the time down to \
         which nothing is missing. What is older is read from the authors, so a copy with holes is never taken for a complete one. A \
         timeline that nobody has read for a week takes nothing.",
    )
    .await?;
    ctx.script(&lua(&PUSH).whole()).await?;

    ctx.step("This script reads a page of the copy. If it replies UNUSED, the reader first builds the copy.")
        .await?;
    ctx.script(&lua(&PAGE).whole()).await?;
    ctx.step("Ann reads for the first time:").await?;
    let empty = timeline.read("ann", None, 10).await?;
    ctx.check("nobody has posted yet", empty.entries.is_empty() && empty.next.is_none())?;

    ctx.step("A post is stored once, with its author. The same script notes that it must be pushed.").await?;
    ctx.script(&lua(&POST).whole()).await?;
    ctx.step(
        "Bob posts. That stores the entry, and notes that it must be pushed. A worker pushes it to 500 followers at a time, and \
         notes how far it came. If it dies, the next one goes on there.",
    )
    .await?;
    timeline.post("bob", "post-1").await?;
    let pushed = timeline.push("bob").await?;
    let page = timeline.read("ann", None, 10).await?;
    ctx.check_eq("Bob has three followers", &pushed.followers, &3)?;
    ctx.check_eq("Ann sees the post", &ids(&page), &vec!["post-1"])?;
    Ok(())
}

async fn count_commands(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step("What does one post cost? The same post, while its author gets more followers:").await?;
    ctx.announce("ZADD gives each author followers. ZCARD and EVALSHA post and push, ZRANGEBYSCORE reads the followers, ZREM ends the push, SADD marks a celebrity, and UNLINK cleans up.");
    let sizes = [10, 100, ctx.fit("followers", 1_000, 200, 0.05)];
    let count = |(row, followers)| calls_for_one_post(ctx.target(), row, followers);
    let counts = try_join_all(POST_ROWS.into_iter().zip(sizes).map(count)).await?;
    let mut table = Table::new("Calls for one post", &["followers", "pushed", "pulled"]);
    for row in &counts {
        table = table.row(row);
    }
    ctx.table(table);
    ctx.check("pushing takes a call for each follower", counts.iter().all(|row| row[1] > row[0]))?;
    ctx.check("pulling takes four, for any number", counts.iter().all(|row| row[2] == 4))?;
    ctx.say("That is why a celebrity is not pushed. Readers pay instead: a call for each celebrity whom they follow.");
    Ok(())
}

/// The followers, and the calls when a post is pushed to them and when it is pulled.
async fn calls_for_one_post(target: &Target, row: &str, followers: usize) -> Result<[usize; 3], BoxError> {
    let mut redis = target.connection();
    let members: Vec<(usize, String)> =
        (1..=followers).map(|number| (number, format!("fan{number}"))).collect();
    let mut calls = [0, 0];
    for (calls, celebrities_at) in calls.iter_mut().zip([usize::MAX, 0]) {
        let trips = RoundTrips::default();
        let timeline = timeline_of_row(trips.counted(redis.clone()), target.prefix(), row)
            .with_celebrities_at(celebrities_at);
        redis.zadd_multiple(timeline.graph().followers_key("dan")?.as_str(), &members).await?;
        timeline.post("dan", "post-1").await?;
        while timeline.push("dan").await?.more {}
        *calls = trips.take();
        own_keys::unlink(&mut redis, &keys_of_row(&timeline)?).await?;
    }
    Ok([followers, calls[0], calls[1]])
}

/// All rows are counted at once, so each has keys of its own.
fn timeline_of_row<C: AnyConnection>(connection: C, prefix: &str, row: &str) -> Timeline<C> {
    Timeline::new(connection, &format!("{prefix}{row}:"))
}

fn keys_of_row<C: AnyConnection>(timeline: &Timeline<C>) -> Result<[String; 4], BoxError> {
    let (posts, followers) = (timeline.posts_key("dan")?, timeline.graph().followers_key("dan")?);
    let celebrities = timeline.celebrities_key()?;
    Ok([posts.as_str(), &posts.companion("unpushed"), followers.as_str(), celebrities.as_str()]
        .map(str::to_owned))
}

async fn hide(
    ctx: &LessonContext,
    timeline: &Timeline<lab_connection::Transcript<lab_connection::Connection>>,
) -> Result<(), BoxError> {
    let quiet = Timeline::new(ctx.target().connection(), ctx.prefix());
    quiet.follow("ann", "dan").await?;
    let mut last = 0;
    for id in ["post-2", "post-3"] {
        last = quiet.post("bob", id).await?;
    }
    while quiet.push("bob").await?.more {}
    // Entries of one millisecond are in the order of their IDs, so the repost has to come in a later one.
    let mut redis = ctx.target().connection();
    while server_time(&mut redis).await?.cast_unsigned() <= last {}
    let guess = ctx
        .step(
            "Ann follows Bob and Dan. Bob has posted three times, the last time post-3. Dan reposts post-1, and Ann reads. Then Dan takes \
             that back, and Ann reads again.",
        )
        .predict("In which order does Ann see the posts at first?", ["1, 3, 2", "1, 3, 2, 1", "3, 2, 1"])
        .await?;
    timeline.repost("dan", "bob", "post-1").await?;
    timeline.push("dan").await?;
    let reposted = timeline.read("ann", None, 10).await?;
    timeline.undo_repost("dan", "bob", "post-1").await?;
    let undone = timeline.read("ann", None, 10).await?;
    ctx.announce(
        "Before this, Ann followed Dan, and Bob posted and pushed two more: EVALSHA, ZCARD, ZRANGEBYSCORE, ZREVRANGEBYSCORE, \
         ZREM. TIME waited for the next millisecond.",
    );
    let numbers: Vec<&str> = ids(&reposted).iter().filter_map(|id| id.strip_prefix("post-")).collect();
    guess.answer(numbers.join(", "))?;
    ctx.say(
        "A reader asks the authors whether they still have each entry. So nothing has to be undone in anyone's copy.",
    );
    ctx.check_eq(
        "the repost is at the top, and the post is there once",
        &ids(&reposted),
        &vec!["post-1", "post-3", "post-2"],
    )?;
    ctx.check_eq("then it is back at its own place", &ids(&undone), &vec!["post-3", "post-2", "post-1"])?;

    ctx.step("The same with a post that is deleted. The cursor of the first page stays right: it is the place of the last entry examined.").await?;
    let first = timeline.read("ann", None, 1).await?;
    timeline.delete("bob", "post-2").await?;
    let second = timeline.read("ann", first.next.as_ref(), 1).await?;
    ctx.check_eq("the next page goes on with the post that is left", &ids(&second), &vec!["post-1"])?;
    Ok(())
}

fn ids(page: &timeline::Page) -> Vec<&str> {
    page.entries.iter().map(|shown| shown.entry.id.as_str()).collect()
}

async fn compare(ctx: &LessonContext, fans: usize) -> Result<(), BoxError> {
    let connection = ctx.target().connection();
    let posts = Feeds::new(ctx.prefix(), fans, false);
    let reads = Feeds::new(ctx.prefix(), fans, true);
    ctx.step(format!(
        "Push, pull, or both? Twenty authors have five followers each, and a star has {fans} more. First, each of them posts. Then \
         five readers read their timelines at once, which must be the same, whichever way they came. 'Hybrid' pushes the twenty, and pulls \
         the star.",
    ))
    .await?;
    ctx.announce("ZADD writes who follows whom. EVALSHA, ZCARD, ZRANGE, SMEMBERS, SMISMEMBER, ZRANGEBYSCORE, ZREVRANGEBYSCORE, ZMSCORE, SADD, and ZREM post, push, and read before the time is taken.");
    posts.prepare(&connection).await?;
    ctx.compare(Comparison { title: "Posts", approaches: &Delivery::ALL, input: &posts }).await?;
    ctx.compare(Comparison { title: "Reads", approaches: &Delivery::ALL, input: &reads }).await?;
    ctx.say(
        "A push takes a call for each follower. A pull takes a call for each author, each time that somebody reads. The hybrid \
         spares the many calls for the star, and its readers make one more each. How many followers make a celebrity depends on \
         how often your readers read.",
    );
    ctx.start_clean(&posts.keys(&connection)?).await?;
    Ok(())
}
