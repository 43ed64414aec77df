//! Who leads, who is near me, and what happened in the last hour?
//!
//! `cargo complex sorted-sets`

mod packed_score;
mod paging;
mod season;

use lab_connection::{Connection, Transcript};
use lab_runner::concurrent::try_join_all;
use lab_runner::table::{Table, thousands};
use lab_runner::{Comparison, Keys, Lesson, LessonContext, Need, Outcome, source};
use redis::{AsyncTypedCommands, RedisResult};

pub use self::packed_score::PackedScore;
pub use self::paging::{Change, Paging, PagingResult, Player, page_after};
pub use self::season::{AskStanding, DeepPage, DeepPages, Season, Standing};

/// Leaderboards, ranks, ranges, paging, and time windows.
pub static LESSON: Lesson = Lesson {
    name: "sorted-sets",
    title: "Sorted sets",
    question: "Who leads, who is near me, and what happened in the last hour?",
    #[rustfmt::skip]
    commands: &[
        "ZADD", "ZINCRBY", "ZSCORE", "ZCARD", "ZRANGE", "ZRANK", "ZREVRANK", "ZCOUNT", "ZREMRANGEBYSCORE",
    ],
    // ZRANGESTORE came with Redis 6.2, and so did ZADD with GT and LT, and ZRANGE with REV and BYSCORE.
    needs: &[Need { command: "ZRANGESTORE", available_in: "--server valkey-9.1" }],
    sources: &[
        source!("src/sorted_sets.rs"),
        source!("src/sorted_sets/packed_score.rs"),
        source!("src/sorted_sets/paging.rs"),
        source!("src/sorted_sets/season.rs"),
    ],
    rule: "To page through a board that changes, remember the score and member of the last player, not the rank.",
    takeaways: &[
        "A Sorted Set keeps its order while you write, so no one sorts when you read.",
        "A score is a double: whole numbers are exact only up to 2^53.",
        "For events in a time window, use the time as score, and a member that is different for each event.",
    ],
    quiz: &[1, 6, 100, 149],
    run: |ctx| Box::pin(run(ctx)),
};

/// How many players the comparison ranks that reads all of them.
pub const PLAYERS: usize = 10_000;
/// How many the comparison ranks that reads pages far down.
pub const DEEP: usize = 100_000;
/// ZRANK learned WITHSCORE with Redis 7.2, the release that also brought WAITAOF.
const RANK_WITH_SCORE: Need =
    Need { command: "ZREVRANK with WITHSCORE", available_in: "--server valkey-9.1" };
/// The players at the start.
#[rustfmt::skip]
const WEEK: [(u32, &str); 8] = [
    (1_200, "ada"), (950, "ben"), (1_430, "cleo"), (700, "dan"),
    (1_050, "eva"), (880, "finn"), (1_310, "gita"), (400, "hugo"),
];
/// Players with 500 points, and when they reached them: milliseconds after the season began.
const TIED: [(&str, u64); 3] = [("zoe", 60_000), ("Zed", 180_000), ("anna", 120_000)];
const HOUR: i64 = 3_600;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let board = |name: &str| keys.key(format!("leaderboard:{name}"));
    let [week, laps, tied, packed, season] = ["week", "laps", "tied", "packed", "season"].map(board);
    let busy = ["busy:1", "busy:2", "busy:3", "busy"].map(board);
    let [logins, collided] = ["logins:user:1", "logins:user:1:collided"].map(|name| keys.key(name));
    let used = [&week, &laps, &tied, &packed, &season, &board("season:hash"), &logins, &collided];
    ctx.start_clean(&[&used.map(String::clone)[..], &busy].concat()).await?;

    rank_players(ctx, &week).await?;
    keep_the_best(ctx, &week, &laps).await?;
    choose_by_score(ctx, &week).await?;
    order_ties(ctx, &tied, &packed).await?;
    read_pages(ctx, &busy).await?;
    count_the_last_hour(ctx, &logins, &collided).await?;
    compare(ctx, &keys).await?;

    let [.., busy] = busy;
    ctx.keys([week, laps, packed, busy, season, logins]);
    Ok(())
}

async fn rank_players(ctx: &LessonContext, board: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("A Sorted Set holds members, each once and with a score, always in the order of the scores. To read the first \
              ten, or the rank of one player, the server does not sort, because the order is already there.").await?;
    let added = redis.zadd_multiple(board, &WEEK).await?;
    let count = redis.zcard(board).await?;
    ctx.check("eight players were added", (added, count) == (8, 8))?;

    ctx.step("ZINCRBY adds to a score and returns the new one. The member moves to its new place.").await?;
    let points = redis.zincr(board, "ada", 200).await?;
    let stored = redis.zscore(board, "ada").await?;
    ctx.check("1,200 + 200 is 1,400", paging::whole(points) == 1_400 && stored == Some(points))?;

    ctx.step("The order goes from the lowest score to the highest. A leaderboard wants the highest first: REV. ZREVRANK \
              returns a member's rank from the top and ZRANK its rank from the bottom. Both count from 0. nil means that the \
              member is not there.").await?;
    let top = zrange(&mut redis, board, &["0", "2", "REV"]).await?;
    let from_top = redis.zrevrank(board, "ada").await?;
    let from_bottom = redis.zrank(board, "ada").await?;
    let stranger = redis.zrevrank(board, "zoe").await?;
    ctx.check_eq("cleo leads, and ada is second", &top.join(" ").as_str(), &"cleo ada gita")?;
    ctx.check(
        "the rank from the top is the number of players with more points",
        (from_top, from_bottom, stranger) == (Some(1), Some(6), None),
    )?;

    if ctx.can("WAITAOF").await {
        ctx.step(
            "Since Redis 7.2, WITHSCORE returns the score too. Two commands could see two different moments.",
        )
        .await?;
        let with_score = redis::cmd("ZREVRANK").arg(board).arg("ada").arg("WITHSCORE").take();
        let (rank, points): (usize, f64) = with_score.query_async(&mut redis).await?;
        ctx.check("rank 1, 1,400 points", rank == 1 && paging::whole(points) == 1_400)?;
    } else {
        ctx.skip(RANK_WITH_SCORE);
    }

    let guess = ctx.step("Players want to see whom they can overtake. eva has rank 3, so two above and two below are ranks 1 to 5. ada \
                          has rank 1. Two above and two below are ranks -1 to 3.")
        .predict("How many players are in the range from -1 to 3?", ["none", "4", "5"])
        .await?;
    let around_eva = zrange(&mut redis, board, &["1", "5", "REV"]).await?;
    let trap = zrange(&mut redis, board, &["-1", "3", "REV"]).await?;
    let around_ada = zrange(&mut redis, board, &["0", "3", "REV"]).await?;
    guess.answer(match trap.len() {
        0 => "none".to_owned(),
        some => some.to_string(),
    })?;
    ctx.say("A negative rank counts from the end, so -1 is the last player. From there to 3 there is nothing. If you compute the \
             start of a range, take at least 0: start.max(0).");
    ctx.check_eq("two above eva, two below", &around_eva.join(" ").as_str(), &"ada gita eva ben finn")?;
    ctx.check("from -1 nothing comes, from 0 four players", trap.is_empty() && around_ada.len() == 4)
}

type Redis = Transcript<Connection>;

/// ZRANGE with words such as REV, which the typed methods of redis-rs do not have.
async fn zrange(redis: &mut Redis, board: &str, words: &[&str]) -> RedisResult<Vec<String>> {
    redis::cmd("ZRANGE").arg(board).arg(words).query_async(redis).await
}

async fn zadd(redis: &mut Redis, board: &str, words: &[&str]) -> RedisResult<Option<i64>> {
    redis::cmd("ZADD").arg(board).arg(words).query_async(redis).await
}

async fn keep_the_best(ctx: &LessonContext, board: &str, laps: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("A plain ZADD overwrites the score. For a personal best that is wrong, and reading the old score first is a \
              race. ZADD can decide for itself (Redis 6.2): GT writes only a higher score, LT only a lower one. Both still \
              add new members. With CH it returns how many members changed.").await?;
    ctx.function("zadd");
    let worse = zadd(&mut redis, board, &["GT", "CH", "300", "ben"]).await?;
    let better = zadd(&mut redis, board, &["GT", "CH", "990", "ben"]).await?;
    let first = zadd(&mut redis, laps, &["LT", "CH", "83250", "ben"]).await?;
    let slower = zadd(&mut redis, laps, &["LT", "CH", "84000", "ben"]).await?;
    ctx.check("300 after 950 changed nothing, 990 did", (worse, better) == (Some(0), Some(1)))?;
    ctx.check("of two lap times the lower one stays", (first, slower) == (Some(1), Some(0)))?;

    ctx.step("NX only adds and never changes a score: starting points that no one gets twice. XX changes only members that \
              are there. INCR makes ZADD work like ZINCRBY under the same conditions; it returns the new score, or nil if \
              the condition did not hold.").await?;
    let again = zadd(&mut redis, board, &["NX", "0", "ben"]).await?;
    let new = zadd(&mut redis, board, &["NX", "0", "ivy"]).await?;
    let raised = zadd(&mut redis, board, &["XX", "INCR", "10", "ben"]).await?;
    let stranger = zadd(&mut redis, board, &["XX", "INCR", "10", "zoe"]).await?;
    ctx.check("ben kept his points, ivy starts with 0", (again, new) == (Some(0), Some(1)))?;
    ctx.check("ben has 1,000 points, and zoe did not appear", (raised, stranger) == (Some(1_000), None))
}

async fn choose_by_score(ctx: &LessonContext, board: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("BYSCORE selects by score instead of rank. Both ends are part of the range, and +inf means no end. A ( leaves \
              the end itself out, so that ranges can touch without counting a member twice.").await?;
    let from = zrange(&mut redis, board, &["1000", "+inf", "BYSCORE"]).await?;
    let above = zrange(&mut redis, board, &["(1000", "+inf", "BYSCORE"]).await?;
    let names = "ben eva gita ada cleo";
    ctx.check_eq("five players have 1,000 points or more", &from.join(" ").as_str(), &names)?;
    ctx.check("ben has exactly 1,000, and ( leaves him out", above[..] == from[1..])?;

    ctx.step(
        "With REV the higher end comes first. In the wrong order the range is empty, without a warning.",
    )
    .await?;
    let empty = zrange(&mut redis, board, &["1000", "+inf", "BYSCORE", "REV"]).await?;
    let best = zrange(&mut redis, board, &["+inf", "1000", "BYSCORE", "REV", "LIMIT", "0", "2"]).await?;
    ctx.check("from the top, at most two", empty.is_empty() && best == ["cleo", "ada"])?;

    ctx.step(
        "ZCOUNT counts a range without reading it. Leagues with a common border count every player once.",
    )
    .await?;
    let bronze = redis.zcount(board, "-inf", "(700").await?;
    let silver = redis.zcount(board, 700, "(1000").await?;
    let gold = redis.zcount(board, 1_000, "+inf").await?;
    let all = redis.zcount(board, "-inf", "+inf").await?;
    ctx.check("bronze, silver, and gold are all nine", bronze + silver + gold == all && all == 9)
}

async fn order_ties(ctx: &LessonContext, tied: &str, packed: &str) -> Outcome {
    let mut redis = ctx.redis();

    let guess = ctx
        .step("Three players have 500 points each: first zoe, then Zed, then anna.")
        .predict("In which order are they?", ["zoe Zed anna", "Zed anna zoe", "anna Zed zoe"])
        .await?;
    redis.zadd_multiple(tied, &[(500, "zoe"), (500, "Zed"), (500, "anna")]).await?;
    let by_bytes = redis.zrange(tied, 0, -1).await?;
    guess.answer(by_bytes.join(" "))?;
    ctx.say("Members with the same score are in the order of their bytes, capital letters first, no matter who came first.");
    ctx.check("Zed, anna, zoe: by bytes, not by time", by_bytes == ["Zed", "anna", "zoe"])?;

    ctx.step("It is fairer if the player who reached the points first ranks higher. So put both into the score: points x \
              2^32, plus the milliseconds left in the season. A score is a double, exact for whole numbers up to 2^53. 32 \
              bits of milliseconds are 49 days. That leaves 21 bits, for up to 2,097,151 points.").await?;
    ctx.function("new");
    let scores: Vec<(u64, &str)> = TIED
        .iter()
        .filter_map(|&(player, millis)| Some((PackedScore::new(500, millis)?.score(), player)))
        .collect();
    redis.zadd_multiple(packed, &scores).await?;
    let words = ["0", "-1", "REV", "WITHSCORES"];
    let fair: Vec<(String, f64)> =
        redis::cmd("ZRANGE").arg(packed).arg(&words).query_async(&mut redis).await?;
    let unpacked: Vec<(&str, u64, u64)> = fair
        .iter()
        .filter_map(|(player, score)| {
            let packed = PackedScore::from_score(*score)?;
            Some((player.as_str(), packed.points(), packed.millis_into_season()))
        })
        .collect();
    ctx.check_eq(
        "the first is first, and points and times come back exactly",
        &unpacked,
        &vec![("zoe", 500, 60_000), ("anna", 500, 120_000), ("Zed", 500, 180_000)],
    )?;

    ctx.step("Above 2^53 a double skips every second number. Two scores that differ by 1 become the same, without a warning. \
              So your program must refuse points and times that do not fit.").await?;
    let (highest, too_high) = ((1_u64 << 53) - 1, (1_u64 << 53) + 1);
    redis.zadd(packed, "limit", highest).await?;
    let kept = redis.zscore(packed, "limit").await?;
    redis.zadd(packed, "limit", too_high).await?;
    let rounded = redis.zscore(packed, "limit").await?;
    redis.zrem(packed, "limit").await?;
    let exact =
        |score: Option<f64>, sent: u64| score.is_some_and(|score| format!("{score:.0}") == sent.to_string());
    ctx.check(
        "2^53 - 1 came back as it was, 2^53 + 1 did not",
        exact(kept, highest) && PackedScore::HIGHEST.score() == highest && !exact(rounded, too_high),
    )?;
    ctx.check(
        "`new` above returns None for points and times that do not fit",
        PackedScore::new(2_097_152, 0).is_none() && PackedScore::new(0, 1 << 32).is_none(),
    )
}

async fn read_pages(ctx: &LessonContext, boards: &[String; 4]) -> Outcome {
    ctx.step("Break it: read a board page by page, by rank: 0 to 9, then 10 to 19. If a player enters above in the meantime, \
              all others move down one place, and the last player of this page is the first one of the next. If a player \
              above leaves, one player moves up onto the page that you have already read, and you never see that player.").await?;
    let players = ctx.fit("pages", 10, 3, 12.0) * paging::PAGE;
    ctx.say(format!("Here are {players} players, ten on a page, and one change after each page."));
    ctx.function("read_all");
    let other = ctx.untraced(
        "A client sends UNLINK and ZADD to fill the board, ZRANGE to read it, and ZADD or ZPOPMAX \
                                  to change it after each page.",
    );
    let header = ["next page", "meanwhile", "shown", "twice", "missed"];
    let mut table = Table::new("Reading all pages", &header);
    let races = Paging::ALL.into_iter().flat_map(|paging| Change::ALL.map(|change| (paging, change)));
    let races: Vec<_> = races.zip(boards).collect();
    let read =
        races.iter().map(|((paging, change), board)| paging.read_all(other.clone(), board, players, *change));
    let results = try_join_all(read.collect::<Vec<_>>()).await?;
    for (((paging, change), _), result) in races.iter().zip(&results) {
        let numbers = [result.shown, result.twice, result.missed].map(|number| number.to_string());
        table = table.labeled(paging.label(), [change.label().to_owned()].into_iter().chain(numbers));
    }
    ctx.table(table);
    if let [entering, leaving, by_cursor @ ..] = &results[..] {
        ctx.check(
            format!("by rank, {} players came twice, and {} were missed", entering.twice, leaving.missed),
            entering.twice > 0 && leaving.missed > 0,
        )?;
        ctx.check(
            "by score and member, no one came twice, and no one was missed",
            by_cursor.iter().all(|result| (result.twice, result.missed) == (0, 0)),
        )?;
    }

    ctx.step("Fix it: remember the score and the member of the last player, and ask for what comes after. Then changes above \
              do not matter. The range includes that score, because other players may have it too, so the client drops the \
              players it has already seen. Here are the first page and the second.").await?;
    ctx.function("page_after");
    let (mut redis, [first_boards @ .., board]) = (ctx.redis(), boards);
    let last = page_after(&mut redis, board, None, paging::PAGE).await?.pop();
    let next = page_after(&mut redis, board, last.as_ref(), paging::PAGE).await?;
    ctx.check(
        "the second page has ten players and does not repeat the last one",
        next.len() == paging::PAGE && next.iter().all(|player| Some(player) != last.as_ref()),
    )?;
    ctx.start_clean(first_boards).await?;
    ctx.say("One case remains: a player whose own score changes while you read can be seen twice or not at all. If a board \
             must stand still, copy it first, with ZRANGESTORE.");
    Ok(())
}

async fn count_the_last_hour(ctx: &LessonContext, logins: &str, collided: &str) -> Outcome {
    let mut redis = ctx.redis();

    let guess = ctx.step("With the time as score, a Sorted Set tells you how often something happened in the last hour. Every event is a \
              member, and ZCOUNT counts from an hour ago. Use the server's clock (TIME), because the clocks of clients \
              differ. Break it: use the time as member too. There are five logins, three of them in the same millisecond.")
        .predict("How many members does the Sorted Set get?", ["1", "3", "5"])
        .await?;
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await?;
    let now = seconds * 1_000 + micros / 1_000;
    let hour_ago = now - HOUR * 1_000;
    let times = [hour_ago - 5_000, hour_ago + 60_000, now, now, now];
    let added = redis.zadd_multiple(collided, &times.map(|time| (time, time))).await?;
    guess.answer(added)?;
    ctx.say(
        "Three logins in the same millisecond are one, because ZADD of a member that exists adds nothing.",
    );
    ctx.check("five logins, but only three members", added == 3)?;

    ctx.step(
        "Fix it: end the member in something that is different for each event, such as the request's ID.",
    )
    .await?;
    let requests = ["a1", "b2", "c3", "d4", "e5"];
    let events: Vec<(i64, String)> =
        times.iter().zip(requests).map(|(time, request)| (*time, format!("{time}-{request}"))).collect();
    let added = redis.zadd_multiple(logins, &events).await?;
    let recent = redis.zcount(logins, format!("({hour_ago}"), "+inf").await?;
    ctx.check("five logins, four of them in the last hour", (added, recent) == (5, 4))?;

    ctx.step("This grows forever unless you remove old events. So each new event removes them, in one transaction. EXPIRE \
              removes the key of a user who never comes back.").await?;
    let mut transaction = redis::pipe();
    transaction.atomic().zrembyscore(logins, "-inf", hour_ago);
    transaction.zadd(logins, format!("{now}-f6"), now);
    transaction.zcard(logins).expire(logins, HOUR).ttl(logins);
    let (removed, added, left, _, ttl): (usize, usize, usize, bool, i64) =
        transaction.query_async(&mut redis).await?;
    ctx.check("one was removed, one was added, five are left", (removed, added, left) == (1, 1, 5))?;
    ctx.check("the key ends an hour after its last event", (1..=HOUR).contains(&ttl))
}

async fn compare(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(format!(
        "What does the order save? One of {} players wants to see the top ten and their own rank. If the points are in a Hash, \
         all of them travel and the client sorts them. A Sorted Set that you read as a whole travels too. Look at the bytes \
         received.",
        thousands(PLAYERS as f64),
    )).await?;
    ctx.function("ask_for_rank");
    let season = Season::new(PLAYERS, keys);
    let comparison =
        Comparison { title: "Top ten and own rank", approaches: &AskStanding::ALL, input: &season };
    ctx.compare(comparison).await?;

    ctx.step(format!(
        "And what does a page far down cost? Here are pages from nine tenths down a board of {} players. By rank and by \
         score the server goes there directly. An offset within scores is different: before Redis 7.4 and Valkey 8 the \
         server walks over everything that it skips, and is many times slower. Newer servers go there directly too. The \
         table shows which kind yours is. So on a new server you page by score not for speed, but because of what you \
         counted above.",
        thousands(DEEP as f64),
    )).await?;
    ctx.function("by_offset");
    ctx.function("by_rank");
    let pages = DeepPages::new(Season::new(DEEP, keys), ctx.fit("pages", 10, 1, 12.0));
    ctx.compare(Comparison { title: "Pages far down", approaches: &DeepPage::ALL, input: &pages }).await
}
