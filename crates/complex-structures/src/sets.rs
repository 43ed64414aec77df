//! Who belongs to a group, and who belongs to two?
//!
//! `cargo complex sets`

use std::collections::HashSet;
use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::clients::{connect, run_clients};
use lab_runner::table::{Table, thousands};
use lab_runner::{
    AnyConnection, Approach, Comparison, Keys, Lesson, LessonContext, Need, Outcome, labeled, source,
};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

use crate::encoding::{EncodingChange, LARGEST};

/// Tags, unique visitors, intersections, and random members.
pub static LESSON: Lesson = Lesson {
    name: "sets",
    title: "Sets",
    question: "Who belongs to a group, who belongs to two, and how many are there?",
    #[rustfmt::skip]
    commands: &[
        "SADD", "SREM", "SISMEMBER", "SMISMEMBER", "SMEMBERS", "SCARD", "SINTER", "SUNION", "SDIFF",
        "SUNIONSTORE", "SINTERCARD", "SRANDMEMBER", "SPOP", "OBJECT ENCODING",
    ],
    // SMISMEMBER came with Redis 6.2.
    needs: &[Need { command: "SMISMEMBER", available_in: "--server valkey-9.1" }],
    sources: &[source!("src/sets.rs"), source!("src/encoding.rs")],
    rule: "Let the server combine Sets, and ask for no more than you need: the members, or only how many.",
    takeaways: &[
        "SADD tells you whether a member is new; asking first is a race.",
        "SPOP draws and removes in one step; SRANDMEMBER followed by SREM gives one prize to two clients.",
        "On a cluster, Sets that you combine need a hash tag in common.",
    ],
    quiz: &[1, 6],
    run: |ctx| Box::pin(run(ctx)),
};

/// How many clients report the same visitors, and how many of those there are.
const CLIENTS: usize = 8;
const VISITORS: usize = 25;
/// How many buyers each product has, and with how many others the first product is compared.
const BUYERS: u64 = 1_000;
const OTHERS: usize = 5;
const TICKETS: [&str; 6] = ["ann", "bob", "cem", "dee", "eve", "fay"];
const SINTERCARD: Need =
    Need { command: "SINTERCARD", available_in: "--server valkey-9.1 (Redis has it since 7.0)" };

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let names = ["product:101:tags", "{tag}:sale:products", "{tag}:outdoor:products", "raffle:tickets"];
    let [tags, sale, outdoor, raffle] = names.map(|name| keys.key(name));
    let days =
        ["{visitors}:2024-01-01", "{visitors}:2024-01-02", "{visitors}:both-days"].map(|day| keys.key(day));
    let [numbers, words] = ["growing:numbers", "growing:words"].map(|name| keys.key(name));
    let purchases = Purchases::new(BUYERS, OTHERS, &keys);
    let counts = CountNew::ALL.map(|count| count.keys(&keys)).concat();
    let used = [&tags, &sale, &outdoor, &raffle, &numbers, &words].map(String::clone);
    ctx.start_clean(&[&used[..], &days, &counts, &purchases.keys].concat()).await?;

    tag_products(ctx, &tags, &sale, &outdoor).await?;
    count_visitors(ctx, &keys).await?;
    combine_days(ctx, &days, &keys).await?;
    count_only(ctx, &days).await?;
    draw(ctx, &raffle).await?;
    watch_the_encoding(ctx, &numbers, &words).await?;
    compare(ctx, &keys).await?;

    let first_product = purchases.keys[..1].iter().cloned();
    ctx.keys([tags, sale].into_iter().chain(days).chain([numbers]).chain(first_product));
    Ok(())
}

async fn tag_products(ctx: &LessonContext, tags: &str, sale: &str, outdoor: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("A Set holds members, each once and in no order. SADD returns how many are new, so adding a member again does \
              no harm. SISMEMBER says whether a member is in the Set, as fast for a million members as for ten. SMISMEMBER \
              (Redis 6.2) does so for several. SCARD counts the members.").await?;
    let new = redis.sadd(tags, &["sale", "outdoor"]).await?;
    let new_again = redis.sadd(tags, &["sale", "new"]).await?;
    let on_sale = redis.sismember(tags, "sale").await?;
    let several = redis.smismember(tags, &["outdoor", "vegan"]).await?;
    let removed = redis.srem(tags, &["new", "vegan"]).await?;
    let count = redis.scard(tags).await?;
    ctx.check("two were new, then one: 'sale' was there already", (new, new_again) == (2, 1))?;
    ctx.check("on sale, outdoor, not vegan", on_sale && several == [true, false])?;
    ctx.check("SREM removed the one that was there", (removed, count) == (1, 2))?;

    ctx.step("This tells you the tags of a product. To find the products of a tag, keep a Set for each tag too. Then a \
              filter on the screen is an intersection. SMEMBERS reads a whole Set; read large ones in parts, with SSCAN.").await?;
    redis.sadd(sale, &[101, 102, 103]).await?;
    redis.sadd(outdoor, &[101, 103, 104]).await?;
    let both = redis.sinter(&[sale, outdoor]).await?;
    let all = redis.smembers(sale).await?;
    ctx.check("101 and 103 are outdoor and on sale", sorted(both) == "101 103")?;
    ctx.check("three products are on sale", all.len() == 3)
}

fn sorted(members: HashSet<String>) -> String {
    let mut members: Vec<String> = members.into_iter().collect();
    members.sort_unstable();
    members.join(" ")
}

async fn count_visitors(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step("How many different visitors came? Break it: ask with SISMEMBER, and if the visitor is not there, add it and raise \
              a counter. Fix it: SADD says whether the member is new, and it says so to one client only. (Or use no counter, \
              because SCARD knows.)")
        .await?;
    ctx.function("report");
    let visitors = ctx.fit("visitors", VISITORS, 2, 6.0);

    let guess = ctx.step(format!("Now {CLIENTS} clients report the same {visitors} visitors. In the first way, all of them ask before \
                                  any of them adds."))
        .predict("How often is each visitor counted, if they ask first?", ["once", "twice", "once per client"])
        .await?;
    ctx.announce(format!(
        "{CLIENTS} clients send SISMEMBER, SADD, and INCRBY to report the same {visitors} visitors. GET reads the counters."
    ));
    let mut table = Table::new("New visitors", &["approach", "visitors", "counted", "too many"]);
    let mut counted = Vec::new();
    let clients = connect(ctx.target(), CLIENTS).await?;
    for approach in CountNew::ALL {
        let count = approach.race(ctx.target(), &clients, keys, visitors).await?;
        table = table.labeled(approach.label(), [visitors, count, count.saturating_sub(visitors)]);
        counted.push(count);
    }
    ctx.table(table);
    guess.answer(match counted[0] / visitors {
        1 => "once",
        2 => "twice",
        _ => "once per client",
    })?;
    ctx.check_eq(
        "asking first counts each visitor once per client; SADD counts each once",
        &counted,
        &vec![CLIENTS * visitors, visitors],
    )
}

labeled! {
    /// How a client counts a visitor who was not there before.
    pub enum CountNew {
        /// All clients ask before any of them writes.
        AskThenAdd => "SISMEMBER, then SADD and INCRBY",
        /// The reply says whether the member is new.
        Add => "SADD, and INCRBY if it returns 1",
    }
}

impl CountNew {
    /// The Set of visitors, and the counter of new ones.
    pub fn keys(self, keys: &Keys) -> [String; 2] {
        let name = match self {
            Self::AskThenAdd => "ask-then-add",
            Self::Add => "add-and-look",
        };
        [keys.key(format!("visitors:{name}")), keys.key(format!("visitors:{name}:new"))]
    }

    /// Lets the clients report the same visitors. Returns how many visitors were counted as new.
    pub async fn race(
        self,
        target: &Target,
        clients: &[Connection],
        keys: &Keys,
        visitors: usize,
    ) -> RedisResult<usize> {
        let (keys, all) = (self.keys(keys), Arc::new(Barrier::new(clients.len())));
        let work = |_, redis| self.report(redis, keys.clone(), visitors, Arc::clone(&all));
        run_clients(clients, work).await?;
        Ok(target.connection().get_int(&keys[1]).await?.unwrap_or_default().unsigned_abs())
    }

    async fn report(
        self,
        mut redis: Connection,
        [set, counter]: [String; 2],
        visitors: usize,
        all: Arc<Barrier>,
    ) -> RedisResult<()> {
        for number in 1..=visitors {
            let visitor = format!("visitor:{number}");
            let is_new = match self {
                Self::AskThenAdd => {
                    let known = redis.sismember(&set, &visitor).await?;
                    all.wait().await; // the worst case: all have asked, and no one has added
                    redis.sadd(&set, &visitor).await?;
                    !known
                }
                Self::Add => redis.sadd(&set, &visitor).await? == 1,
            };
            if is_new {
                redis.incr(&counter, 1).await?;
            }
        }
        Ok(())
    }
}

async fn combine_days(ctx: &LessonContext, days: &[String; 3], keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let [monday, tuesday, both_days] = days;

    ctx.step("Who came on which day? A Set per day answers more than a counter. SINTER returns the members that are in all \
              Sets: who came back. SUNION returns the members that are in any, each once. SDIFF returns the members of the \
              first Set that are in none of the others: who is new on the second day.").await?;
    redis.sadd(monday, &["ann", "bob", "cem", "dee"]).await?;
    redis.sadd(tuesday, &["cem", "dee", "eve"]).await?;
    let returned = redis.sinter(&[monday, tuesday]).await?;
    let all = redis.sunion(&[monday, tuesday]).await?;
    let new = redis.sdiff(&[tuesday, monday]).await?;
    ctx.check_eq(
        "Cem and Dee came back, five people came in all, and Eve is new",
        &[returned, all, new].map(sorted),
        &["cem dee", "ann bob cem dee eve", "eve"].map(str::to_owned),
    )?;

    ctx.step("SINTERSTORE, SUNIONSTORE, and SDIFFSTORE store the result instead of sending it. They return its size.").await?;
    let stored = redis.sunionstore(both_days, &[monday, tuesday]).await?;
    ctx.check("five visitors on two days", stored == 5)?;
    ctx.say("Combining two Sets of a hundred thousand members takes time, and all other clients wait meanwhile. SINTER looks \
             up each member of the smallest Set in the others; SUNION and SDIFF read more. On a cluster, all Sets must be in \
             one slot. That is what {visitors} in these names is for: the server computes the slot from the part in braces, \
             the hash tag.");

    if ctx.target().is_cluster() {
        ctx.step("The cluster refuses Sets without a common hash tag.").await?;
        let apart: Vec<String> = (101..105).map(|id| keys.key(format!("product:{id}:tags"))).collect();
        let refused = redis.sinter(&apart).await;
        ctx.check("it does not intersect across slots", refused.is_err())?;
    }
    Ok(())
}

async fn count_only(ctx: &LessonContext, days: &[String; 3]) -> Outcome {
    let mut redis = ctx.redis();
    let [monday, tuesday, _] = days;
    let counts = ctx.can(SINTERCARD.command).await;

    ctx.step("Often you need to know how many, not who.").await?;
    if !counts {
        ctx.skip(SINTERCARD);
        return Ok(());
    }
    ctx.step("SINTERCARD (Redis 7.0) sends only the size of an intersection. With LIMIT it stops as soon as it has found \
              that many. That is a fast way to ask whether there is any, or at least ten.").await?;
    let sintercard = || redis::cmd("SINTERCARD").arg(2).arg(&[monday, tuesday]).take();
    let count: u64 = sintercard().query_async(&mut redis).await?;
    let limited: u64 = sintercard().arg("LIMIT").arg(1).query_async(&mut redis).await?;
    ctx.check("two came back, so at least one did", (count, limited) == (2, 1))
}

async fn draw(ctx: &LessonContext, raffle: &str) -> Outcome {
    let mut redis = ctx.redis();

    let guess = ctx.step("SRANDMEMBER draws random members and leaves the Set as it is. With a positive count all of them are \
                          different. With a negative count each draw is independent, and a member may repeat.")
        .predict("How many do you get if you ask for 10 out of 6?", ["6", "10", "an error"])
        .await?;
    redis.sadd(raffle, &TICKETS).await?;
    let few = redis.srandmember_multiple(raffle, 3).await?;
    let all = redis.srandmember_multiple(raffle, 10).await?;
    let repeated = redis.srandmember_multiple(raffle, -10).await?;
    guess.answer(all.len())?;
    let different = |drawn: &[String]| drawn.iter().collect::<HashSet<_>>().len();
    ctx.check("three different ones", few.len() == 3 && different(&few) == 3)?;
    ctx.check("10 out of 6 are 6", all.len() == 6 && different(&all) == 6)?;
    ctx.check("-10 out of 6 are 10, some of them twice", repeated.len() == 10 && different(&repeated) <= 6)?;

    ctx.step("In a raffle you draw each ticket once. SPOP draws and removes in one step.").await?;
    let winners: Vec<String> = redis::cmd("SPOP").arg(raffle).arg(5).query_async(&mut redis).await?;
    let left = redis.smembers(raffle).await?;
    ctx.check(
        "five different winners, and none of them is left",
        different(&winners) == 5 && left.len() == 1 && winners.iter().all(|winner| !left.contains(winner)),
    )?;

    let [mut a, mut b] = ctx.dedicated().await?;
    let guess = ctx.step("Break it: draw with SRANDMEMBER, then remove with SREM. One ticket is left, and clients A and B draw for the \
                          last prize.")
        .predict("How many clients draw a ticket?", ["one", "both"])
        .await?;
    let drawn = (a.srandmember(raffle).await?, b.srandmember(raffle).await?);
    let removed = (a.srem(raffle, &drawn.0).await?, b.srem(raffle, &drawn.1).await?);
    guess.answer(if drawn.0.is_some() && drawn.1.is_some() { "both" } else { "one" })?;
    ctx.check("both clients drew the same ticket", drawn.0.is_some() && drawn.0 == drawn.1)?;
    ctx.check("only the replies to SREM tell who won: 1 and 0", removed == (1, 0))?;

    ctx.step("Fix it: both draw with SPOP.").await?;
    redis.sadd(raffle, "gus").await?;
    let won: Option<String> = a.spop(raffle).await?;
    let nothing: Option<String> = b.spop(raffle).await?;
    ctx.check("A has the ticket, B has nil", won.as_deref() == Some("gus") && nothing.is_none())
}

async fn watch_the_encoding(ctx: &LessonContext, numbers: &str, words: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("How much memory does a Set take? That depends on its members. The server keeps whole numbers as an intset: \
              sorted, side by side, 2, 4, or 8 bytes each. The first member that is not a number ends that.").await?;
    redis.sadd(numbers, &[3, 1, 2]).await?;
    let before = redis.object_encoding(numbers).await?.unwrap_or_default();
    redis.sadd(numbers, "four").await?;
    let after = redis.object_encoding(numbers).await?.unwrap_or_default();
    ctx.check(format!("one word, and {before} became {after}"), before == "intset" && after != before)?;

    ctx.step("Other members are packed as a listpack while there are few and they are short (since Redis 7.2). A larger Set \
              is a hash table. We add one member at a time and look until the encoding changes.").await?;
    ctx.function("grow_and_look");
    let mut other = ctx
        .untraced(format!("UNLINK {numbers}; then SADD, OBJECT ENCODING, and MEMORY USAGE for each size."));
    other.unlink(numbers).await?;
    let add = |key: &str, member: String| redis::cmd("SADD").arg(key).arg(member).take();
    let add_number = |size: usize| add(numbers, size.to_string());
    let add_word = |size: usize| add(words, format!("word:{size}"));
    let (number, word) = tokio::try_join!(
        EncodingChange::find(other.clone(), numbers, LARGEST, add_number),
        EncodingChange::find(other.clone(), words, LARGEST, add_word),
    )?;
    ctx.table(EncodingChange::table(&[("numbers", &number), ("words", &word)]));
    if word.is_none() {
        ctx.say("On this server, a Set of words is a hash table from the first word, or it is configured differently.");
    }
    if let Some(EncodingChange { before, after }) = number {
        ctx.check(
            format!("one number more than {}, and the Set takes more memory", thousands(before.size as f64)),
            before.encoding == "intset" && after.bytes > before.bytes,
        )?;
    }
    ctx.say("The limits are set-max-intset-entries and, since Redis 7.2, set-max-listpack-entries. So 123 is a better member \
             than 'customer:123': it is smaller, and in a small Set much smaller.");
    Ok(())
}

async fn compare(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step("What does that save? \"Customers who bought this also bought\": one product is compared with others, and each \
              has a thousand buyers. The first way sends both Sets to the client, which intersects them. Look at the bytes \
              received. SINTER sends only the members in both, and SINTERCARD one number.").await?;
    let purchases = Purchases::new(BUYERS, ctx.fit("other products", OTHERS, 1, 16.0), keys);
    ctx.function("count");
    let approaches = &BoughtBoth::ALL[..if ctx.can(SINTERCARD.command).await { 3 } else { 2 }];
    ctx.compare(Comparison { title: "Who bought both?", approaches, input: &purchases }).await
}

labeled! {
    /// How to count the members that two Sets have in common.
    pub enum BoughtBoth {
        /// The client intersects them.
        InTheClient => "SMEMBERS twice",
        /// The client counts.
        Intersection => "SINTER",
        /// Since Redis 7.0.
        Cardinality => "SINTERCARD",
    }
}

/// One product, others, and who bought them.
#[derive(Clone, Debug)]
pub struct Purchases {
    /// A Set for each product, the first product first.
    pub keys: Vec<String>,
    buyers: u64,
}

impl Purchases {
    /// `others + 1` products with `buyers` customers each. Each product shares a tenth of them less with the first product
    /// than the one before.
    pub fn new(buyers: u64, others: usize, keys: &Keys) -> Self {
        Self { keys: (101..=101 + others).map(|id| keys.key(format!("{{buyers}}:{id}"))).collect(), buyers }
    }

    /// The first product with each of the others.
    fn pairs(&self) -> impl Iterator<Item = [&String; 2]> {
        self.keys.iter().skip(1).map(|other| [&self.keys[0], other])
    }
}

impl Approach for BoughtBoth {
    type Input = Purchases;
    /// For each pair, how many customers bought both.
    type Output = Vec<usize>;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, purchases: &Purchases) -> u64 {
        purchases.pairs().count() as u64
    }

    async fn reset<C: AnyConnection>(self, purchases: &Purchases, redis: &mut C) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for (key, shift) in purchases.keys.iter().zip(0..) {
            let first = shift * purchases.buyers / 10;
            let customers = first..first + purchases.buyers;
            let customers: Vec<String> = customers.map(|number| format!("customer:{number}")).collect();
            pipeline.sadd(key, customers).ignore();
        }
        pipeline.exec_async(redis).await
    }

    async fn run<C: AnyConnection>(self, purchases: &Purchases, redis: &mut C) -> RedisResult<Vec<usize>> {
        let mut counts = Vec::new();
        for pair in purchases.pairs() {
            counts.push(count(self, redis, pair).await?);
        }
        Ok(counts)
    }
}

async fn count<C: AnyConnection>(how: BoughtBoth, redis: &mut C, pair: [&String; 2]) -> RedisResult<usize> {
    match how {
        BoughtBoth::InTheClient => {
            let one = redis.smembers(pair[0]).await?;
            let other = redis.smembers(pair[1]).await?;
            Ok(one.intersection(&other).count())
        }
        BoughtBoth::Intersection => Ok(redis.sinter(&pair).await?.len()),
        BoughtBoth::Cardinality => redis::cmd("SINTERCARD").arg(2).arg(&pair).query_async(redis).await,
    }
}
