//! How does a shop remember a visitor, for how long, and how does it log one out everywhere?
//!
//! `cargo ecommerce sessions`

mod mistakes;
mod read;

use std::time::Duration;

use lab_connection::Connection;
use lab_runner::concurrent::try_join_all;
use lab_runner::table::Table;
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, outcome, source};
use patterns::cart::{self, Cart, Owner};
use patterns::sessions::{self, BEGIN_GUEST, CHANGE, END_ALL, Login, Sessions};
use redis::AsyncTypedCommands;

pub use self::read::{ReadSession, Visitors};
use lab_runner::pattern_scripts::{load, lua};

/// Sessions that slide, get a new token at login, and end everywhere.
pub static LESSON: Lesson = Lesson {
    name: "sessions",
    title: "Sessions",
    question: "How does a shop remember a visitor, for how long, and how does it log one out everywhere?",
    commands: &["EVALSHA", "HGETALL", "PEXPIRE", "TTL", "ZRANGE"],
    needs: &[],
    sources: &[source!("src/sessions.rs"), source!("src/sessions/mistakes.rs")],
    rule: "Begin a session and its TTL in one step, give it a new token at login, and change it only while it is alive.",
    takeaways: &[
        "A token is random and comes from the server. Never keep one that the browser had before the login.",
        "HSET creates what does not exist, so a late save with HSET brings an ended session back.",
        "To end all sessions of a user, change one thing that each of them is compared with. A list can miss one.",
    ],
    quiz: &[101],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// The user who logs in. No other lesson has one of this name.
const USER: &str = "ann";
/// The browser tabs that log in at the same time.
const TABS: usize = 10;
/// The sessions that the comparison reads, and how many of them at a time.
const READS: usize = 200;
const MAX_IN_FLIGHT: usize = 50;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let sessions = Sessions::new(ctx.redis(), ctx.prefix());
    let keys = Keys::new(ctx)?;
    ctx.start_clean(&keys.all(ctx)?).await?;
    load(ctx, &[sessions::scripts(), cart::scripts()]).await?;

    lose_the_ttl(ctx, &keys).await?;
    begin(ctx, &keys.abc123).await?;
    log_in(ctx).await?;
    let last = log_out_everywhere(ctx, &keys.devices).await?;
    count_mistakes(ctx).await?;
    compare(ctx).await?;
    let last = sessions.key(&last)?.unwrap_or_default();
    keep(ctx, &keys.abc123, &keys.cart, &last).await?;

    ctx.keys([keys.abc123, keys.cart, last]);
    Ok(())
}

async fn lose_the_ttl(ctx: &LessonContext, keys: &Keys) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let (crashed, late) = (&keys.crashed, &keys.late);

    ctx.step(
        "A session is a Hash. Its key contains a token, and the visitor's cookie has the same token. A session must end by itself. \
         The obvious code is HSET, then EXPIRE. Here the program dies between the two:",
    )
    .await?;
    redis.hset(crashed, "theme", "dark").await?;
    // The program dies here. EXPIRE is never sent.
    let ttl = redis.ttl(crashed).await?;
    ctx.check("-1 says that there is no TTL: this session never ends", ttl.raw() == -1)?;

    let guess = ctx
        .step(
            "Saving is just as easy to get wrong. A page checks whether the session exists. Then the visitor logs out in another tab. \
             Then the page saves:",
        )
        .predict("What is there at the end?", ["no session", "one that will end", "one that never ends"])
        .await?;
    redis.hset(late, "user", "ann").await?;
    redis.expire(late, 1_800).await?;
    let exists = redis.exists(late).await?;
    redis.unlink(late).await?; // The other tab logs out.
    if exists {
        redis.hset(late, "theme", "dark").await?;
    }
    let ttl = redis.ttl(late).await?;
    guess.answer(match ttl.raw() {
        -2 => "no session",
        -1 => "one that never ends",
        _ => "one that will end",
    })?;
    ctx.check("HSET brought the session back, without its user and without a TTL", ttl.raw() == -1)?;
    ctx.start_clean(&[crashed.clone(), late.clone()]).await?;
    Ok(())
}

async fn begin(ctx: &LessonContext, session: &str) -> Result<(), BoxError> {
    ctx.step("So a session begins in one step, with its TTL. This script does it.").await?;
    ctx.script(&lua(&BEGIN_GUEST).whole()).await?;

    let mut redis = ctx.redis();
    ctx.step(
        "Sessions::begin makes a random token of 130 bits. This session has the token abc123, so that you find it. The field :ends \
         says when the session is over, however often it is read.",
    )
    .await?;
    let sessions = Sessions::new(ctx.redis(), ctx.prefix());
    sessions.begin_as("abc123", &[("currency", "EUR"), ("theme", "dark")]).await?;
    let fields = redis.hgetall(session).await?;
    let ttl = redis.ttl(session).await?.raw();
    ctx.check("three fields, and half an hour to live", fields.len() == 3 && (1_700..=1_800).contains(&ttl))?;

    ctx.step(
        "Each read lets the session live for another half hour, but never beyond :ends. A stolen session is not stolen forever. A \
         read is a pipeline of plain commands. The first read of a client, and then one \
         every ten seconds, also asks for the server's time, which :ends is compared with. \
         Here a minute is left before the read:",
    )
    .await?;
    redis.expire(session, 60).await?;
    let read = sessions.read("abc123").await?;
    ctx.check(
        "it has half an hour again",
        read.is_some_and(|read| read.expires_in > Duration::from_mins(29) && read.fields["theme"] == "dark"),
    )?;

    ctx.step(
        "Some things must be forgotten earlier, such as that the visitor has just entered the password. Such a field has a \
         TTL of its own. The script checks first that the session is alive, so a late save changes nothing.",
    )
    .await?;
    ctx.script(&lua(&CHANGE).contract()).await?;
    ctx.step("The field lasts for 20 ms, and the program reads 40 ms later:").await?;
    sessions.set_for("abc123", "password_entered", "yes", Duration::from_millis(20)).await?;
    tokio::time::sleep(Duration::from_millis(40)).await;
    let session = sessions.peek("abc123").await?;
    let fields = session.map(|session| session.fields);
    ctx.check(
        "the field has expired, and the session goes on: Sessions::peek leaves the field out, and the next save deletes it",
        fields.is_some_and(|fields| fields.len() == 2 && !fields.contains_key("password_entered")),
    )?;
    Ok(())
}

async fn log_in(ctx: &LessonContext) -> Result<(), BoxError> {
    let (redis, prefix) = (ctx.target().connection(), ctx.prefix());
    let (cart, sessions) = (Cart::new(redis.clone(), prefix), Sessions::new(redis, prefix));
    let price = "19.99".parse()?;
    cart.add("abc123", "mug", 1, price).await?;
    let guest = sessions.begin(None, &[("currency", "EUR")]).await?;
    cart.add(Owner::Guest(&guest), "mug", 1, price).await?;

    ctx.step(format!(
        "A guest with a mug in the cart logs in, in {TABS} tabs at the same time. If the login kept the guest's token, an attacker \
         who had planted that token would be logged in, too. So a login makes a new token and carries the fields over. The old \
         token remembers for five minutes what replaced it: one tab begins a session, and the others get the same one. Then the \
         cart moves to the user. A second move finds nothing to move.",
    ))
    .await?;
    ctx.function("log_in_from_a_tab");
    ctx.announce(format!(
        "Before this, EVALSHA put a mug into two carts and began the guest's session. Now {TABS} tabs call scripts of sessions.lua \
         and cart.lua with EVALSHA. Then the lesson reads the results with HGETALL, PEXPIRE, TIME, PTTL, GET, \
         ZRANGE, and EVALSHA.",
    ));
    let tabs = (0..TABS).map(|_| log_in_from_a_tab(&sessions, &cart, &guest));
    let logins = try_join_all(tabs.collect::<Vec<_>>()).await?;
    let begun = logins.iter().filter(|login| !login.resumed).count();
    let same = logins.iter().all(|login| login.session.token == logins[0].session.token);
    let carried = logins.iter().all(|login| login.session.fields["currency"] == "EUR");
    ctx.check(
        "one session began, all tabs have it, and it has the guest's currency",
        begun == 1 && same && carried,
    )?;
    ctx.check("the guest's token is dead", sessions.read(&guest).await?.is_none())?;
    ctx.check_eq("the mug moved once", &cart.contents(USER).await?.units, &1)?;
    ctx.check_eq("the user has one session", &sessions.list(USER).await?.len(), &1)?;
    Ok(())
}

async fn log_in_from_a_tab(
    sessions: &Sessions<Connection>,
    cart: &Cart<Connection>,
    guest: &str,
) -> Result<Login, BoxError> {
    let login = sessions.login(guest, USER).await?;
    cart.merge(guest, USER).await?;
    Ok(login)
}

/// Returns the token of a session that stays, so that you can look at it.
async fn log_out_everywhere(ctx: &LessonContext, devices: &str) -> Result<String, BoxError> {
    let mut redis = ctx.redis();
    let sessions = Sessions::new(ctx.redis(), ctx.prefix());
    let other_devices = Sessions::new(ctx.target().connection(), ctx.prefix());
    let begin = || other_devices.begin(Some(USER), &[("theme", "dark")]);
    tokio::try_join!(begin(), begin())?;

    ctx.step(
        "A shop lists the devices on which a user is logged in. Each user has a Sorted Set of session IDs, scored by when each \
         session ends.",
    )
    .await?;
    let listed = redis.zrange(devices, 0, -1).await?;
    ctx.announce("Before that, two more devices logged in with EVALSHA.");
    ctx.check("three sessions: the one of the tabs, and two devices", listed.len() == 3)?;

    ctx.step(
        "But 'log out everywhere' must not depend on that list. It can be evicted, and a session that it misses would stay logged \
         in. So each user has a generation, a random string, and each session remembers the generation in which it began. A read \
         compares them. To end all sessions, delete the generation:",
    )
    .await?;
    ctx.script(&lua(&END_ALL).whole()).await?;
    ctx.step("Now the user logs out everywhere. The client then frees the memory of the sessions that were listed.").await?;
    let ended = sessions.end_everywhere(USER).await?;
    let left = redis.zcard(devices).await?;
    ctx.check("three ended, and none is listed", (ended, left) == (3, 0))?;

    let token = other_devices.begin(Some(USER), &[]).await?;
    let guess = ctx
        .step("The user logs in again. This time the list is lost before the user logs out everywhere:")
        .predict("Is the user still logged in?", ["yes", "no"])
        .await?;
    redis.unlink(devices).await?;
    let ended = sessions.end_everywhere(USER).await?;
    let read = sessions.read(&token).await?;
    ctx.announce(
        "The login was an EVALSHA. The user logs in once more, so that a session is left for you to look at.",
    );
    guess.answer(if read.is_some() { "yes" } else { "no" })?;
    ctx.check("none was listed, and yet the session has ended", ended == 0 && read.is_none())?;
    Ok(other_devices.begin(Some(USER), &[("theme", "light")]).await?)
}

async fn count_mistakes(ctx: &LessonContext) -> Result<(), BoxError> {
    let times = mistakes::TIMES;
    ctx.step(format!(
        "How bad is it? {times} clients make each mistake at the same time, and {times} do the same with the pattern. You have met \
         three of the mistakes. The fourth is a 'log out everywhere' that goes through a Set of tokens, while a session gets a new \
         token:",
    ))
    .await?;
    ctx.function("end_listed");
    ctx.announce(
        "By hand: HSET, HGET, EXISTS, TTL, SADD, SMEMBERS, UNLINK. By the pattern: EVALSHA, HGETALL, \
         PEXPIRE, GET, TIME, UNLINK, and TTL to check.",
    );
    let mut table = Table::new("Sessions that should not exist", &["mistake", "tried", "by hand", "pattern"]);
    let mut counts = Vec::new();
    for (mistake, by_hand, pattern) in mistakes::count(ctx.target()).await? {
        table = table.row([mistake.to_owned(), times.to_string(), by_hand.to_string(), pattern.to_string()]);
        counts.push((by_hand, pattern));
    }
    ctx.table(table);
    ctx.start_clean(&mistakes::keys(ctx.target())?).await?;
    ctx.check(
        "by hand, each mistake leaves a session every time; the pattern leaves none",
        counts.iter().all(|count| *count == (times, 0)),
    )?;
    Ok(())
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "What does a read cost? {MAX_IN_FLIGHT} at a time go over one connection. The first row is a plain GET. HGETALL alone reads \
         a session and lets it die. HGETALL and PEXPIRE let it slide, but without :ends it would live forever. Sessions::read \
         sends the same two commands and compares :ends with the time. It also makes a map of the fields, which costs the client \
         some time, and more here than in your service: the lessons are compiled without optimization, so that the first build is short.",
    ))
    .await?;
    let reads = ctx.fit("sessions", READS, MAX_IN_FLIGHT, 0.7);
    let visitors = Visitors::of(reads, MAX_IN_FLIGHT, ctx.prefix())?;
    let title = format!("Reading {reads} sessions, {MAX_IN_FLIGHT} at a time");
    ctx.compare(Comparison { title: &title, approaches: &ReadSession::ALL, input: &visitors }).await?;
    ctx.start_clean(&visitors.keys()).await?;
    Ok(())
}

async fn keep(ctx: &LessonContext, session: &str, cart: &str, last: &str) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let sessions = Sessions::new(ctx.redis(), ctx.prefix());
    ctx.step(
        "These keys would be gone in half an hour. They get 12 hours, so that you find them in Redis Insight. (If you have read for \
         longer, the script begins the session again.)",
    )
    .await?;
    sessions.begin_as("abc123", &[("currency", "EUR"), ("theme", "dark")]).await?;
    let kept = redis.expire(session, 12 * 3_600).await?;
    redis.expire(cart, 12 * 3_600).await?;
    redis.expire(last, 12 * 3_600).await?;
    ctx.check("the session is there", kept)?;
    Ok(())
}

/// The keys of this lesson that are not those of random tokens.
struct Keys {
    abc123: String,
    crashed: String,
    late: String,
    devices: String,
    /// The cart of the visitor who never logs in: `cart:abc123`.
    cart: String,
}

impl Keys {
    fn new(ctx: &LessonContext) -> Result<Self, BoxError> {
        let sessions = Sessions::new(ctx.target().connection(), ctx.prefix());
        let key = |token| sessions.key(token).map(Option::unwrap_or_default);
        Ok(Self {
            abc123: key("abc123")?,
            crashed: key("crashed")?,
            late: key("late")?,
            devices: sessions.user_key(USER)?.companion("devices"),
            cart: Cart::new(ctx.target().connection(), ctx.prefix()).key("abc123")?.as_str().to_owned(),
        })
    }

    /// All that an earlier run may have left.
    fn all(&self, ctx: &LessonContext) -> Result<Vec<String>, BoxError> {
        let redis = ctx.target().connection();
        let user = Sessions::new(redis.clone(), ctx.prefix()).user_key(USER)?;
        let cart = Cart::new(redis, ctx.prefix());
        let mut keys = vec![self.abc123.clone(), user.as_str().to_owned(), self.devices.clone()];
        for owner in ["abc123", USER] {
            keys.extend(cart.keys(owner)?);
        }
        keys.extend([self.crashed.clone(), self.late.clone()]);
        keys.extend(mistakes::keys(ctx.target())?);
        keys.extend(Visitors::of(READS, MAX_IN_FLIGHT, ctx.prefix())?.keys());
        Ok(keys)
    }
}
