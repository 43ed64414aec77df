//! Who follows whom, and what if a process dies between two keys?
//!
//! `cargo work social-graph`

mod mistakes;

use lab_connection::{Connection, Transcript};
use lab_runner::concurrent::try_join_all;
use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::Table;
use lab_runner::{BoxError, Lesson, LessonContext, outcome, source};
use patterns::key::Key;
use patterns::social_graph::{self, FOLLOW, INDEX, SETTLE, SocialGraph};

pub use self::mistakes::{Paged, Way, page_through, unknown_followers};

/// Followers that two keys agree on, pages of them, and friends of friends.
pub static LESSON: Lesson = Lesson {
    name: "social-graph",
    title: "Social graph",
    question: "Who follows whom, and what if a process dies between two keys?",
    commands: &["EVALSHA", "ZREVRANGEBYSCORE", "ZMSCORE"],
    needs: &[],
    sources: &[source!("src/social_graph.rs"), source!("src/social_graph/mistakes.rs")],
    rule: "Let one key decide, and note in its slot what is still to be written elsewhere.",
    takeaways: &[
        "If two keys in two slots must agree, one decides, and the other is a step that you can repeat.",
        "A page begins after the last item that was examined. An offset shifts whenever the list changes.",
        "Friends of friends grow without limit. Read a bounded sample of them: the last 100 of each.",
    ],
    quiz: &[31, 33],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Users who follow one author while processes die.
const USERS: usize = 20;
/// Followers of the author whose pages are read, and how many are on a page.
const LISTED: usize = 40;
const PER_PAGE: usize = 5;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let mut keys = kept(ctx.prefix())?;
    keys.extend(mistakes::keys(ctx.target(), USERS)?);
    ctx.start_clean(&keys).await?;
    load(ctx, &[social_graph::scripts()]).await?;

    follow_in_two_steps(ctx).await?;
    let graph = SocialGraph::new(ctx.redis(), ctx.prefix());
    follow_repeatably(ctx, &graph).await?;
    list_in_pages(ctx).await?;
    find_friends(ctx, &graph).await?;
    ctx.keys([graph.following_key("ann")?.as_str(), graph.followers_key("bob")?.as_str()]);
    Ok(())
}

/// The keys of the steps that show their commands.
fn kept(prefix: &str) -> Result<Vec<String>, BoxError> {
    let mut keys = Vec::new();
    for user in ["ann", "bob", "cid", "dan"] {
        let (following, followers) =
            (Key::new(prefix, "following", &[user])?, Key::new(prefix, "followers", &[user])?);
        keys.extend([following.as_str().into(), following.companion("pending"), followers.as_str().into()]);
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
    let guess = ctx.predict("How many followers does the star see?", ["20", "15", "5"]).await?;
    ctx.announce("Each user sends ZADD twice, or once if the process dies. SMEMBERS looks for something to repair, ZCARD counts, and UNLINK removes the keys.");
    let died = USERS.div_ceil(mistakes::DIES);
    let unknown = unknown_followers(Way::ByHand, ctx.target(), USERS).await?;
    guess.answer((USERS - unknown).to_string())?;
    ctx.check_eq("five users follow the star, and the star will never know", &unknown, &died)?;
    Ok(())
}

async fn follow_repeatably(
    ctx: &LessonContext,
    graph: &SocialGraph<Transcript<Connection>>,
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
        table = table.labeled(label, [USERS, died, unknown]);
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
    graph: &SocialGraph<Transcript<Connection>>,
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
