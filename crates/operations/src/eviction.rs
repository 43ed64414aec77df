//! What does a server throw away when memory is full?
//!
//! `cargo ops eviction`

mod ideal;
mod play;
mod trace;
mod victims;

use lab_connection::server_info::server_time;
use lab_runner::concurrent::try_join_all;
use lab_runner::table::{Table, thousands};
use lab_runner::{BoxError, Lesson, LessonContext, outcome, source};
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, RedisResult};

pub use self::ideal::{Ideal, hit_rate};
use self::play::{Played, play_all};
pub use self::trace::{HitRate, Trace};
use self::victims::{Damage, JOBS, LOCKS, PAGES, QUEUES};
use crate::private::{self, code, connect, set_config};

/// Every policy on two traces, and what else it takes away.
pub static LESSON: Lesson = Lesson {
    name: "eviction",
    title: "Eviction",
    question: "What does a server throw away when memory is full?",
    commands: &["CONFIG SET", "CONFIG GET", "OBJECT IDLETIME", "DBSIZE"],
    needs: &[],
    sources: &[
        source!("src/eviction.rs"),
        source!("src/eviction/play.rs"),
        source!("src/eviction/victims.rs"),
    ],
    rule: "A cache evicts, a database refuses: give each its own server.",
    takeaways: &[
        "Set maxmemory and a policy. For a cache, allkeys-lfu also survives a scan. LRU does not.",
        "Under allkeys-* and volatile-*, a lock or a session can vanish long before its TTL.",
        "noeviction refuses writes with the code OOM. Reads and deletes still work.",
    ],
    quiz: &[14, 16, 17, 126],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// The traces come from this seed, so they are the same in every run.
const SEED: u64 = 7;
/// Values of 1,000 bytes on the first server, and by how many bytes they exceed its limit.
const VALUES: usize = 300;
const OVER: i64 = 30_000;
/// Keys of which one in twenty expires.
const KEYS: usize = 10_000;
const EXPIRING: usize = KEYS / 20;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let server = private::start(ctx.target(), &[]).await?;
    let redis = connect(&server).await?;
    refuse(ctx, &redis).await?;
    let policies = name_policies(ctx, &redis).await?;
    compare_policies(ctx, &policies).await?;
    tell_idle_time(ctx, &redis).await?;
    evict_nothing(ctx, &redis).await?;
    expire_late(ctx, &redis).await?;
    lose_locks(ctx).await?;
    Ok(private::stop(server).await?)
}

async fn refuse(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (mut full, mut quiet) = (ctx.redis_of("private", redis.clone()), redis.clone());
    ctx.step(
        "This lesson fills servers until they evict or refuse. It starts private ones, which end with it, and never touches yours. \
         Without a limit, a server takes memory until the operating system kills it. So set maxmemory. The default policy is noeviction.",
    )
    .await?;
    let settings: Vec<String> =
        redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(&mut full).await?;
    ctx.check("nothing is evicted by default", settings.last().is_some_and(|policy| policy == "noeviction"))?;

    store_values(&mut quiet).await?;
    play::limit_memory(&mut quiet, -OVER).await?;
    ctx.announce(format!("SET stored {VALUES} values of 1,000 bytes. Then CONFIG SET maxmemory allowed less than INFO says they take."));
    ctx.step("Now it is full, and refuses every command that may need memory. Reads and deletes still work:")
        .await?;
    let refused = full.set("order:1", "paid").await;
    let length = full.strlen("value:0").await?;
    let first: Vec<String> = (0..VALUES / 2).map(|number| format!("value:{number}")).collect();
    let deleted = full.unlink(&first).await?;
    let written = full.set("order:1", "paid").await;
    ctx.check_eq(
        "the error has a code, so a program can tell it from others",
        &code(&refused),
        &Some("OOM"),
    )?;
    ctx.check("the value was read, and others deleted", length == 1_000 && deleted == first.len())?;
    ctx.check("then there was room for the order", written.is_ok())?;
    Ok(())
}

async fn store_values(redis: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    for number in 0..VALUES {
        pipe.set(format!("value:{number}"), [b'v'; 1_000].as_slice());
    }
    pipe.exec_async(redis).await
}

async fn name_policies(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<Vec<String>, BoxError> {
    let mut private = ctx.redis_of("private", redis.clone());
    ctx.step(
        "Any other policy makes room: allkeys-* evicts any key, volatile-* only keys with a TTL. Ask for a policy that does not exist, \
         and the server names those that it has:",
    )
    .await?;
    let policies = play::policies(&mut private).await?;
    ctx.check(
        "it has LRU, LFU, and noeviction",
        ["allkeys-lru", "allkeys-lfu", "noeviction"]
            .iter()
            .all(|name| policies.iter().any(|policy| policy == name)),
    )?;
    ctx.say(
        "LRU evicts what was not used for the longest time, LFU what is used least often, ttl what expires soonest, and random just any \
         key. The server looks at five keys (maxmemory-samples) and takes the best, since an exact order would cost memory in every key.",
    );
    Ok(policies)
}

async fn compare_policies(ctx: &LessonContext, policies: &[String]) -> Result<(), BoxError> {
    let traces = [Trace::zipf(SEED), Trace::with_scans(SEED)];
    ctx.step(format!(
        "Which one is best for a cache? {} requests of customers go to 4,000 products, and few products get most of them (Zipf). There is \
         room for about a quarter of the products. Then the same with scans: four times, an export also reads 2,000 records that nobody \
         else wants. Every policy gets the same requests, on a server of its own:",
        thousands(traces[0].len() as f64),
    ))
    .await?;
    ctx.function("request");
    let guess = ctx
        .predict(
            "With scans, which policy finds more of what customers want?",
            ["allkeys-lru", "allkeys-lfu", "both about the same"],
        )
        .await?;
    ctx.announce(format!(
        "On {} private servers at the same time: MGET, SET with a TTL, CONFIG SET, DBSIZE, and INFO.",
        policies.len() * traces.len()
    ));
    let played = play_all(ctx.target(), policies, &traces).await?;
    ctx.step("Here is what customers found in the cache. What the scans read is not counted.").await?;
    ctx.table(hit_rates(policies, &traces, &played));
    let rate = |name: &str, trace: usize| {
        let row = policies.iter().position(|policy| policy == name).and_then(|row| played.get(row));
        row.and_then(|row| row.get(trace)).map_or(0.0, |played| played.rate.percent())
    };
    let lead = rate("allkeys-lfu", 1) - rate("allkeys-lru", 1);
    guess.answer(match lead {
        lead if lead > 5.0 => "allkeys-lfu",
        lead if lead < -5.0 => "allkeys-lru",
        _ => "both about the same",
    })?;
    let (refusing, evicting): (Vec<_>, Vec<_>) =
        policies.iter().zip(&played).partition(|(policy, _)| *policy == "noeviction");
    ctx.check(
        "every policy that evicts did, and refused nothing",
        evicting.iter().flat_map(|(_, row)| *row).all(|played| played.evicted > 0 && played.refused == 0),
    )?;
    ctx.check(
        "noeviction evicted nothing, and refused writes",
        refusing.iter().flat_map(|(_, row)| *row).all(|played| played.evicted == 0 && played.refused > 0),
    )?;
    ctx.check(format!("with scans, LFU keeps {lead:.0} points more than LRU"), lead > 5.0)?;
    ctx.say(
        "A scan's records are the most recent ones, so LRU keeps them and evicts what customers want. LFU has seen them once, and \
         products often. ttl is no measure of use. noeviction does well here only because its first products stay popular forever. Nothing new gets in.",
    );
    Ok(())
}

/// One row for each policy, and two for what exact ones would have kept in as many keys.
fn hit_rates(policies: &[String], traces: &[Trace], played: &[Vec<Played>]) -> Table {
    let percent = |rate: HitRate| format!("{:.1}%", rate.percent());
    let mut table = Table::new("Hit rate of customers", &["policy", "Zipf", "with scans", "keys", "refused"]);
    for (policy, row) in policies.iter().zip(played) {
        let rates = row.iter().map(|played| percent(played.rate));
        let kept = row.iter().map(|played| played.kept).sum::<usize>() / row.len().max(1);
        let refused: usize = row.iter().map(|played| played.refused).sum();
        let numbers = [thousands(kept as f64), thousands(refused as f64)];
        table = table.labeled(policy, rates.chain(numbers));
    }
    let kept: Vec<usize> = played.iter().flatten().map(|played| played.kept).collect();
    let capacity = kept.iter().sum::<usize>() / kept.len().max(1);
    for (name, ideal) in [("exact LRU", Ideal::Lru), ("exact LFU", Ideal::Lfu)] {
        let rates = traces.iter().map(|trace| percent(hit_rate(ideal, trace, capacity)));
        let numbers = [thousands(capacity as f64), "0".to_owned()];
        table = table.labeled(name, rates.chain(numbers));
    }
    table
}

async fn tell_idle_time(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let mut private = ctx.redis_of("private", redis.clone());
    ctx.step(
        "The server's LRU is behind exact LRU also because its clock for idle time ticks once a second. The traces took about two seconds, so \
         most keys looked equally idle. With hours between uses, as in most caches, that does not matter.",
    )
    .await?;
    private.strlen("value:200").await?;
    let idle: u64 = redis::cmd("OBJECT").arg("IDLETIME").arg("value:200").query_async(&mut private).await?;
    ctx.check("idle time is counted in whole seconds", idle <= 1)?;
    Ok(())
}

async fn evict_nothing(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let mut private = ctx.redis_of("private", redis.clone());
    let guess = ctx
        .step(
            "The first server gets a limit again, and is full. None of its keys has a TTL. An order is written under volatile-lru, and then \
             under allkeys-lru:",
        )
        .predict("Under which of the two is the order refused?", ["volatile-lru", "allkeys-lru", "both", "neither"])
        .await?;
    play::limit_memory(&mut redis.clone(), -OVER).await?;
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory-policy")
        .arg("volatile-lru")
        .exec_async(&mut private)
        .await?;
    let volatile = private.set("order:2", "paid").await;
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory-policy")
        .arg("allkeys-lru")
        .exec_async(&mut private)
        .await?;
    let all = private.set("order:2", "paid").await;
    guess.answer(match (volatile.is_err(), all.is_err()) {
        (true, true) => "both",
        (true, false) => "volatile-lru",
        (false, true) => "allkeys-lru",
        (false, false) => "neither",
    })?;
    ctx.announce(
        "CONFIG SET maxmemory allows the first private server less than INFO says it uses, as before.",
    );
    ctx.say("A volatile-* policy evicts only keys with a TTL. Without any, it refuses like noeviction.");
    ctx.check_eq("refused, although the policy is not noeviction", &code(&volatile), &Some("OOM"))?;
    ctx.check("allkeys-lru evicts other keys for it", all.is_ok())?;
    Ok(())
}

async fn expire_late(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let mut private = ctx.redis_of("private", redis.clone());
    let mut quiet = redis.clone();
    set_config("maxmemory", 0, &mut quiet).await?;
    redis::cmd("FLUSHALL").exec_async(&mut quiet).await?;
    ctx.announce("CONFIG SET maxmemory 0 and FLUSHALL empty the private server.");
    let guess = ctx
        .step(format!(
            "{} keys are stored, of which {EXPIRING} expire after 5 ms. Right after that, DBSIZE counts the keys. Then EXISTS asks for all \
             that have expired, and DBSIZE counts again:",
            thousands(KEYS as f64)
        ))
        .predict("Does the first DBSIZE count keys that have expired?", ["no", "some of them", "most of them"])
        .await?;
    let expiring = store_expiring(&mut quiet).await?;
    let before: usize = redis::cmd("DBSIZE").query_async(&mut private).await?;
    let living: usize = redis::cmd("EXISTS").arg(&expiring).query_async(&mut private).await?;
    let after: usize = redis::cmd("DBSIZE").query_async(&mut private).await?;
    let counted = before.saturating_sub(after);
    guess.answer(match counted {
        0 => "no",
        _ if counted > EXPIRING / 2 => "most of them",
        _ => "some of them",
    })?;
    ctx.announce("SET stored the keys, and TIME waited for their end.");
    ctx.say(
        "So expired keys take memory, too. The server deletes one when somebody asks for it, and looks at some others ten times a second. \
         Where less than a tenth of those have expired, as here, it stops.",
    );
    ctx.check_eq("all of these have expired: nobody can read them", &living, &0)?;
    ctx.check(
        format!("DBSIZE still counted {counted} of {EXPIRING} expired keys"),
        before > KEYS - EXPIRING + EXPIRING / 2,
    )?;
    ctx.check_eq("asking for them deleted them", &after, &(KEYS - EXPIRING))?;
    Ok(())
}

/// Stores keys, waits until one in twenty has expired, and names those.
async fn store_expiring(redis: &mut MultiplexedConnection) -> RedisResult<Vec<String>> {
    let mut pipe = redis::pipe();
    for number in 0..KEYS - EXPIRING {
        pipe.cmd("SET").arg(format!("page:{number}")).arg("…").arg("EX").arg(3_600);
    }
    let expiring: Vec<String> = (0..EXPIRING).map(|number| format!("flash:{number}")).collect();
    for key in &expiring {
        pipe.cmd("SET").arg(key).arg("…").arg("PX").arg(5);
    }
    pipe.exec_async(redis).await?;
    let expired = server_time(redis).await? + 6;
    while server_time(redis).await? <= expired {
        tokio::task::yield_now().await;
    }
    Ok(expiring)
}

async fn lose_locks(ctx: &LessonContext) -> Result<(), BoxError> {
    let policies = ["allkeys-lru", "volatile-lru", "noeviction"];
    ctx.step(format!(
        "Now a shop keeps more than a cache there: {LOCKS} locks, {LOCKS} sessions, and {QUEUES} queues of {JOBS} jobs. All are in use. \
         Then the cache stores {} pages, many times what fits. Client B then tries to take each lock that client A holds:",
        thousands(PAGES as f64)
    ))
    .await?;
    ctx.function("take_again");
    let guess = ctx
        .predict(
            "What does volatile-lru keep whole?",
            ["all of it", "locks and sessions", "the queues", "nothing"],
        )
        .await?;
    ctx.announce("On three private servers: SET, HSET, EXPIRE, RPUSH, LLEN, EXISTS, CONFIG SET, and INFO.");
    let damage = try_join_all(policies.map(|policy| victims::fill(ctx.target(), policy))).await?;
    let header = ["policy", "locks held twice", "logged out", "jobs lost", "pages refused"];
    ctx.table(policies.iter().zip(&damage).fold(
        Table::new("What a full cache took", &header),
        |table, (policy, damage)| {
            let Damage { held_twice, lost_sessions, lost_jobs, refused } = damage;
            table.labeled(
                *policy,
                [*held_twice, *lost_sessions, *lost_jobs, *refused].map(|count| thousands(count as f64)),
            )
        },
    ));
    let [all, volatile, none] = damage[..] else { return Err("three policies were played".into()) };
    guess.answer(match (volatile.lost_jobs == 0, volatile.held_twice + volatile.lost_sessions == 0) {
        (true, true) => "all of it",
        (true, false) => "the queues",
        (false, true) => "locks and sessions",
        (false, false) => "nothing",
    })?;
    ctx.check(
        format!("allkeys-lru: {} of {LOCKS} locks had two holders, and jobs were lost", all.held_twice),
        all.held_twice > LOCKS / 2 && all.lost_jobs > 0,
    )?;
    ctx.check(
        "volatile-lru kept the queues, which have no TTL, but locks and sessions have one",
        volatile.lost_jobs == 0 && volatile.held_twice > LOCKS / 2 && volatile.lost_sessions > LOCKS / 2,
    )?;
    ctx.check(
        "noeviction lost nothing: it refused pages, which a cache can do without",
        (none.held_twice, none.lost_sessions, none.lost_jobs) == (0, 0, 0) && none.refused > 0,
    )?;
    ctx.say(
        "Nobody got an error under the first two. So keep the cache on one server with an allkeys-* policy, and what must stay on another \
         with noeviction.",
    );
    Ok(())
}
