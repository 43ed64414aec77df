//! How does a post reach a million followers?
//!
//! `cargo work timeline`

mod by_hand;
mod delivery;

use lab_connection::server_info::server_time;
use lab_connection::{Connection, Target, Transcript};
use lab_runner::concurrent::try_join_all;
use lab_runner::pattern_scripts::{load, lua};
use lab_runner::round_trips::RoundTrips;
use lab_runner::table::Table;
use lab_runner::{AnyConnection, BoxError, Comparison, Lesson, LessonContext, outcome, source};
use patterns::key::Key;
use patterns::social_graph;
use patterns::timeline::{self, PAGE, POST, PUSH, Pushed, Timeline};
use redis::AsyncTypedCommands;

pub use self::by_hand::{Copies, push_twice};
pub use self::delivery::{Delivery, Feeds};

/// Posts that are pushed to followers, or pulled by readers.
pub static LESSON: Lesson = Lesson {
    name: "timeline",
    title: "Timelines",
    question: "How does a post reach a million followers?",
    commands: &["EVALSHA", "SMISMEMBER", "ZMSCORE"],
    needs: &[],
    sources: &[
        source!("src/timeline.rs"),
        source!("src/timeline/by_hand.rs"),
        source!("src/timeline/delivery.rs"),
    ],
    rule: "Keep each post in its author's list, and make each timeline a copy that says how far it is complete.",
    takeaways: &[
        "Note what is to be pushed, and how far it came. Then any process can go on, and none begins again.",
        "Push the posts of authors with few followers, and pull those of celebrities when somebody reads.",
        "Ask the authors whether an entry is still there. Then a post is deleted in one list, not in a million.",
    ],
    quiz: &[6, 145],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Who follows whom.
const FOLLOWS: [(&str, &str); 4] = [("eve", "fay"), ("gus", "fay"), ("hal", "fay"), ("eve", "hal")];
/// After so many followers, a process that pushes by hand dies.
const DIES_AFTER: usize = 2;
/// Names of the rows that tell what a post costs.
const POST_ROWS: [&str; 3] = ["few", "some", "many"];
/// How many followers make a celebrity, when all is pushed and when all is pulled.
const PUSHED_AND_PULLED: [usize; 2] = [usize::MAX, 0];
/// Followers of the star in the comparison.
const FANS: usize = 200;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let connection = ctx.target().connection();
    let fans = ctx.fit("fans", FANS, 10, 0.6);
    let feeds = [false, true].map(|reads| Feeds::new(ctx.prefix(), fans, reads));
    let mut compared = feeds[0].keys(&connection)?;
    for row in POST_ROWS {
        for celebrities_at in PUSHED_AND_PULLED {
            let timeline = timeline_of_row(connection.clone(), ctx.prefix(), row, celebrities_at);
            compared.extend(keys_of_row(&timeline)?);
        }
    }
    let mut keys = kept(ctx.prefix())?;
    keys.extend(compared.iter().cloned());
    let scripts = [social_graph::scripts(), timeline::scripts()];
    tokio::try_join!(ctx.start_clean(&keys), load(ctx, &scripts))?;

    lose_a_post(ctx).await?;
    let timeline = Timeline::new(ctx.redis(), ctx.prefix());
    read_for_the_first_time(ctx, &timeline).await?;
    post_to_followers(ctx, &timeline).await?;
    count_commands(ctx, &feeds[0]).await?;
    delete(ctx, &timeline).await?;
    repost(ctx, &timeline).await?;
    compare(ctx, &feeds, fans).await?;
    ctx.start_clean(&compared).await?;
    ctx.keys([
        timeline.graph().following_key("eve")?.as_str(),
        timeline.graph().followers_key("fay")?.as_str(),
        timeline.posts_key("fay")?.as_str(),
        timeline.timeline_key("eve")?.as_str(),
    ]);
    Ok(())
}

/// The keys of the steps that show their commands.
fn kept(prefix: &str) -> Result<Vec<String>, BoxError> {
    let mut keys = Vec::new();
    for user in ["eve", "fay", "gus", "hal"] {
        for name in ["following", "followers", "posts", "timeline"] {
            keys.push(Key::new(prefix, name, &[user])?.as_str().to_owned());
        }
        keys.push(Key::new(prefix, "following", &[user])?.companion("pending"));
        keys.push(Key::new(prefix, "posts", &[user])?.companion("unpushed"));
        keys.push(by_hand::list(prefix, user)?);
    }
    Ok(keys)
}

async fn lose_a_post(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "A timeline shows the posts of the people you follow. As in the lesson social-graph, 'following:eve' has the people Eve \
         follows, and 'followers:fay' the people who follow Fay. Here, Eve, Gus, and Hal follow Fay, and Eve follows Hal, too. The obvious \
         code writes each post into a list of each follower. The process dies after two of the three, and the next one begins again:",
    )
    .await?;
    ctx.function("push_by_hand");
    let guess =
        ctx.predict("In the end, how many of the three have the post twice?", ["0", "1", "2"]).await?;
    ctx.announce("EVALSHA lets them follow. LPUSH pushes, and its reply is the length of the list. UNLINK removes the lists.");
    let quiet = Timeline::new(ctx.target().connection(), ctx.prefix());
    let follow = FOLLOWS.map(|(user, other)| quiet.graph().follow(user, other));
    let follow = async { Ok::<_, BoxError>(try_join_all(follow).await?) };
    let (_, [first, both]) =
        tokio::try_join!(follow, push_twice(ctx.target(), &["eve", "gus", "hal"], DIES_AFTER))?;
    guess.answer(both.two.to_string())?;
    let mut table = Table::new("Followers who have the post", &["after", "not", "once", "twice"]);
    for (label, copies) in [("the first process", first), ("both processes", both)] {
        table = table.labeled(label, [copies.none, copies.one, copies.two]);
    }
    ctx.table(table);
    ctx.check_eq(
        "one follower lacks the post, and nothing says who",
        &first,
        &Copies { none: 1, one: DIES_AFTER, two: 0 },
    )?;
    ctx.check_eq("then two have it twice", &both, &Copies { none: 0, one: 1, two: DIES_AFTER })?;
    Ok(())
}

async fn read_for_the_first_time(
    ctx: &LessonContext,
    timeline: &Timeline<Transcript<Connection>>,
) -> Result<(), BoxError> {
    ctx.step(
        "So each author has a list of posts, and that is the truth. A timeline is a copy: the newest entries of the people Eve follows. \
         Its member ':complete' is scored by the time down to which nothing is missing. What is older is read from the authors, so a \
         copy with holes is never taken for a complete one. A timeline that nobody has read for a week gets no more posts. This script \
         adds to it:",
    )
    .await?;
    ctx.script(&lua(&PUSH).whole()).await?;

    ctx.step("This script reads a page of the copy. If it replies UNUSED, the reader first builds the copy.")
        .await?;
    ctx.script(&lua(&PAGE).whole()).await?;
    ctx.step(
        "Eve reads for the first time. A read asks whom she follows (with follows that are still being written, 'pending') and which of \
         them are celebrities. Their posts are not in the copy; each is asked for its own:",
    )
    .await?;
    let empty = timeline.read("eve", None, 10).await?;
    ctx.check("nobody has posted yet", empty.entries.is_empty() && empty.next.is_none())?;
    Ok(())
}

async fn post_to_followers(
    ctx: &LessonContext,
    timeline: &Timeline<Transcript<Connection>>,
) -> Result<(), BoxError> {
    ctx.step("A post is stored once, with its author. The same script notes that it must be pushed.").await?;
    ctx.script(&lua(&POST).whole()).await?;
    ctx.step(
        "Fay posts. That stores the entry, and notes that it must be pushed. A worker pushes it to 500 followers at a time, and \
         notes how far it came. If it dies, the next one goes on there. If a follower gets the entry again, nothing changes: a Sorted \
         Set has each member once.",
    )
    .await?;
    timeline.post("fay", "post-1").await?;
    let pushed = timeline.push("fay").await?;
    let page = timeline.read("eve", None, 10).await?;
    ctx.check_eq("Fay has three followers", &pushed.followers, &3)?;
    ctx.check_eq("Eve sees the post", &ids(&page), &vec!["post-1"])?;
    Ok(())
}

async fn count_commands(ctx: &LessonContext, feeds: &Feeds) -> Result<(), BoxError> {
    ctx.step("What does one post cost? The same post, while its author gets more followers:").await?;
    ctx.announce("ZADD gives each author followers. ZCARD and EVALSHA post and push, ZRANGEBYSCORE reads the followers, ZREM ends the push, and SADD marks a celebrity.");
    ctx.announce(
        "Meanwhile, with the same commands, Fay posts and pushes two more, and TIME waits for the next millisecond. The authors of the \
         comparison below post, and their readers read: ZRANGE, SMEMBERS, SMISMEMBER, ZREVRANGEBYSCORE, and ZMSCORE, too.",
    );
    let sizes = [10, 100, ctx.fit("followers", 1_000, 120, 0.2)];
    let count = |(row, followers)| calls_for_one_post(ctx.target(), row, followers);
    let connection = ctx.target().connection();
    // What the next steps need is written meanwhile: at 100 ms a round trip, that spares two seconds.
    let (counts, (), ()) = tokio::try_join!(
        try_join_all(POST_ROWS.into_iter().zip(sizes).map(count)),
        post_two_more(ctx.target()),
        feeds.prepare(&connection),
    )?;
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
    let count = async |celebrities_at| -> Result<usize, BoxError> {
        let (mut redis, trips) = (target.connection(), RoundTrips::default());
        let timeline = timeline_of_row(trips.counted(redis.clone()), target.prefix(), row, celebrities_at);
        let members: Vec<(usize, String)> =
            (1..=followers).map(|number| (number, format!("fan{number}"))).collect();
        redis.zadd_multiple(timeline.graph().followers_key("fay")?.as_str(), &members).await?;
        timeline.post("fay", "post-1").await?;
        while timeline.push("fay").await?.more {}
        Ok(trips.take())
    };
    let calls = try_join_all(PUSHED_AND_PULLED.map(count)).await?;
    Ok([followers, calls[0], calls[1]])
}

/// All rows are counted at once, and both ways, so each has keys of its own.
fn timeline_of_row<C: AnyConnection>(
    connection: C,
    prefix: &str,
    row: &str,
    celebrities_at: usize,
) -> Timeline<C> {
    let way = if celebrities_at == 0 { "pulled" } else { "pushed" };
    Timeline::new(connection, &format!("{prefix}{way}:{row}:")).with_celebrities_at(celebrities_at)
}

fn keys_of_row<C: AnyConnection>(timeline: &Timeline<C>) -> Result<[String; 4], BoxError> {
    let (posts, followers) = (timeline.posts_key("fay")?, timeline.graph().followers_key("fay")?);
    let celebrities = timeline.celebrities_key()?;
    Ok([posts.as_str(), &posts.companion("unpushed"), followers.as_str(), celebrities.as_str()]
        .map(str::to_owned))
}

/// Two more posts of Fay, and a millisecond that is later than both.
async fn post_two_more(target: &Target) -> Result<(), BoxError> {
    let timeline = Timeline::new(target.connection(), target.prefix());
    let post = async |id| -> Result<u64, BoxError> { Ok(timeline.post("fay", id).await?) };
    let push = async || -> Result<Pushed, BoxError> { Ok(timeline.push("fay").await?) };
    post("post-2").await?;
    let (last, _) = tokio::try_join!(post("post-3"), push())?;
    // Entries of one millisecond are in the order of their IDs, so the repost that follows has to come in a later one.
    let later = async || -> Result<(), BoxError> {
        let mut redis = target.connection();
        while server_time(&mut redis).await?.cast_unsigned() <= last {}
        Ok(())
    };
    tokio::try_join!(push(), later())?;
    Ok(())
}

async fn delete(ctx: &LessonContext, timeline: &Timeline<Transcript<Connection>>) -> Result<(), BoxError> {
    ctx.step(
        "Fay has posted three times. Eve reads a page of one post, Fay deletes post-2, and Eve reads the next page. The cursor stays \
         right: it is the place of the last entry examined.",
    )
    .await?;
    let first = timeline.read("eve", None, 1).await?;
    timeline.delete("fay", "post-2").await?;
    let second = timeline.read("eve", first.next.as_ref(), 10).await?;
    ctx.say(
        "A reader asks the authors whether they still have each entry. So nothing has to be undone in anyone's copy.",
    );
    ctx.check_eq(
        "the next page goes on with the post that is left",
        &(ids(&first), ids(&second)),
        &(vec!["post-3"], vec!["post-1"]),
    )?;
    Ok(())
}

async fn repost(ctx: &LessonContext, timeline: &Timeline<Transcript<Connection>>) -> Result<(), BoxError> {
    let guess = ctx
        .step(
            "The same with a repost. Fay's post-1 and post-3 are left. Hal, whom Eve follows, too, reposts post-1, and Eve reads. Then \
             Hal takes that back, and Eve reads again.",
        )
        .predict("In which order does Eve see the posts at first?", ["1, 3", "1, 3, 1", "3, 1"])
        .await?;
    timeline.repost("hal", "fay", "post-1").await?;
    timeline.push("hal").await?;
    let reposted = timeline.read("eve", None, 10).await?;
    timeline.undo_repost("hal", "fay", "post-1").await?;
    let undone = timeline.read("eve", None, 10).await?;
    let numbers: Vec<&str> = ids(&reposted).iter().filter_map(|id| id.strip_prefix("post-")).collect();
    guess.answer(numbers.join(", "))?;
    ctx.check_eq(
        "the repost is at the top, and the post is there once",
        &ids(&reposted),
        &vec!["post-1", "post-3"],
    )?;
    ctx.check_eq("then it is back at its own place", &ids(&undone), &vec!["post-3", "post-1"])?;
    Ok(())
}

fn ids(page: &timeline::Page) -> Vec<&str> {
    page.entries.iter().map(|shown| shown.entry.id.as_str()).collect()
}

async fn compare(ctx: &LessonContext, feeds: &[Feeds; 2], fans: usize) -> Result<(), BoxError> {
    let [posts, reads] = feeds;
    ctx.step(format!(
        "Push, pull, or both? Twenty authors have five followers each, and a star has {fans} more. Each has posted. First, five \
         readers read their timelines at once, which must be the same, whichever way they came. Then each author posts once more. \
         'Hybrid' pushes the twenty, and pulls the star.",
    ))
    .await?;
    ctx.compare(Comparison { title: "Reads", approaches: &Delivery::ALL, input: reads }).await?;
    ctx.compare(Comparison { title: "Posts", approaches: &Delivery::ALL, input: posts }).await?;
    ctx.say(
        "A push takes a call for each follower. A pull takes a call for each author, each time that somebody reads. The hybrid \
         spares the many calls for the star, and its readers make one more each. How many followers make a celebrity depends on \
         how often your readers read.",
    );
    Ok(())
}
