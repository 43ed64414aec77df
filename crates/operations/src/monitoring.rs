//! What is slow, big, hot, or slow to read on a server, and which tool finds it?
//!
//! `cargo ops monitoring`

mod info;
mod keys;
mod log;
mod monitor_cost;
mod shop;
mod slow_reader;

use std::collections::HashMap;

use futures_util::StreamExt;
use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{BoxError, Lesson, LessonContext, Need, Retry, outcome, source};
use lab_server::Server;
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, FromRedisValue, RedisResult, Value};

use self::info::Lookups;
use self::log::Logged;
use self::shop::{BIG_KEY, HOT_KEY, LONG_KEY};
use self::slow_reader::SlowReader;
use crate::private::{self, READY_TIMEOUT, connect, fields, knows, number, set_config};

/// What INFO means, and the tools for one finding each.
pub static LESSON: Lesson = Lesson {
    name: "monitoring",
    title: "Monitoring",
    question: "What is slow, big, or hot on a server, and which tool finds it?",
    commands: &[
        "SLOWLOG GET",
        "LATENCY LATEST",
        "LATENCY HISTOGRAM",
        "LATENCY DOCTOR",
        "MEMORY USAGE",
        "MEMORY DOCTOR",
        "OBJECT FREQ",
        "CLIENT LIST",
        "CONFIG SET",
    ],
    needs: &[],
    sources: &[
        source!("src/monitoring.rs"),
        source!("src/monitoring/shop.rs"),
        source!("src/monitoring/keys.rs"),
        source!("src/monitoring/slow_reader.rs"),
        source!("src/monitoring/monitor_cost.rs"),
    ],
    rule: "Watch how counters change between two readings, then use the one tool that fits.",
    takeaways: &[
        "A counter since the start hides what happens now. Subtract two readings, or let Prometheus do it.",
        "SLOWLOG names slow commands, MEMORY USAGE big keys, LFU or HOTKEYS hot keys, CLIENT LIST slow readers.",
        "MONITOR sends you almost every command, so it takes time from everyone. Use it for seconds, if at all.",
    ],
    quiz: &[52, 53, 134, 135],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// How many keys a look at the keyspace takes at most.
const MOST_KEYS: usize = 50_000;
const COMMANDLOG: Need = Need { command: "COMMANDLOG", available_in: "Valkey 8.1 or newer" };
const HOTKEYS: Need = Need { command: "HOTKEYS", available_in: "Redis 8.6 or newer" };

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    // Slow is 1 ms here, so that a small server has something to show. The usual values are 10 ms, and no latency monitor.
    let settings = [
        ("maxmemory", "200mb"),
        ("maxmemory-policy", "allkeys-lfu"),
        ("slowlog-log-slower-than", "1000"),
        ("latency-monitor-threshold", "1"),
    ];
    let server = private::start(ctx.target(), &settings).await?;
    let redis = connect(&server).await?;
    read_info_once(ctx, &redis).await?;
    read_six_numbers(ctx, &redis).await?;
    find_slow_command(ctx, &server, &redis).await?;
    find_large_reply(ctx, &redis).await?;
    see_latency(ctx, &redis).await?;
    find_big_key(ctx, &redis).await?;
    find_hot_key(ctx, &redis).await?;
    find_slow_reader(ctx, &server, &redis).await?;
    ask_memory_doctor(ctx, &redis).await?;
    watch_keyspace_events(ctx, &server, &redis).await?;
    measure_monitor(ctx, &server, &redis).await?;
    Ok(private::stop(server).await?)
}

async fn read_info_once(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let mut untraced = redis.clone();
    let guess = ctx
        .step(
            "A shop is slow, and you look for the reason. This lesson starts a private server for that, and never touches yours. \
             Yesterday the shop's cache answered every request. Today a new release asks for keys by another name, and every \
             request misses. One look at INFO:",
        )
        .predict("What hit rate do INFO's counters show today?", ["0%", "about half", "above 90%"])
        .await?;
    shop::fill(&mut untraced).await?;
    shop::yesterday(&mut untraced).await?;
    let yesterday = Lookups::now(&mut untraced).await?;
    let missed = shop::today(&mut untraced).await?;
    let today = Lookups::now(&mut untraced).await?;
    ctx.listing(format!("INFO stats:\n  keyspace_hits:{}\n  keyspace_misses:{}", today.hits, today.misses));
    ctx.announce(format!(
        "MSET and RPUSH filled the shop. GET was sent {} times yesterday, and {} times today. INFO was read after each.",
        thousands(shop::YESTERDAY as f64),
        shop::TODAY
    ));
    guess.answer(match today.hit_rate() {
        rate if rate > 90.0 => "above 90%",
        rate if rate > 10.0 => "about half",
        _ => "0%",
    })?;
    ctx.check_eq("every request of today missed", &missed, &shop::TODAY)?;
    ctx.check(
        format!("of all requests since the start, {:.0}% hit, and that looks fine", today.hit_rate()),
        today.hit_rate() > 90.0,
    )?;
    let since = today.since(&yesterday);
    ctx.check(
        format!("since the reading of yesterday, {} of {} hit", since.hits, since.hits + since.misses),
        since.hits == 0 && since.misses == shop::TODAY as u64,
    )?;
    ctx.say(
        "Counters count from the start of the server. Read them twice, and take the difference. `cargo ops metrics` serves them \
         to Prometheus, which does that for you.",
    );
    Ok(())
}

async fn read_six_numbers(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let mut untraced = redis.clone();
    ctx.step("INFO has some 200 fields. An engineer reads these six first:").await?;
    let errors_before = number(&mut untraced, "stats", "total_error_replies").await?;
    let refused = untraced.incr(HOT_KEY, 1).await.is_err();
    let info: String = redis::cmd("INFO").query_async(&mut untraced).await?;
    ctx.announce("INCR on a text, to cause an error, and INFO.");
    let info = fields(&info);
    let rows = [
        ("used_memory", "How long until it reaches maxmemory? Here that is 200 MB."),
        ("evicted_keys", "Does it throw data away? Then it is too small."),
        ("keyspace_hits in %", "Does the cache work? A falling rate loads the database."),
        ("connected_clients", "Does a pool leak? It grows without more traffic."),
        ("total_error_replies", "Does a program get errors? INFO errorstats names them."),
        ("instantaneous_ops_per_sec", "How much traffic is there? None at all is a bad sign, too."),
    ];
    let field = |name: &str| info.get(name).cloned().unwrap_or_else(|| "-".to_owned());
    let here = rows.map(|(name, _)| match name {
        "used_memory" => field("used_memory_human"),
        "keyspace_hits in %" => format!("{:.0}", Lookups::of(&info).hit_rate()),
        name => field(name),
    });
    let table = Table::new("Six numbers of INFO", &["field", "here", "what it answers"]);
    ctx.table(
        rows.iter()
            .zip(&here)
            .fold(table, |table, ((name, question), value)| table.row([name, value.as_str(), question])),
    );
    ctx.check("the server has all of them", here.iter().all(|value| !value.contains('-')))?;
    let errors = field("total_error_replies").parse::<u64>().unwrap_or_default();
    ctx.check("the error of a moment ago was counted", refused && errors == errors_before + 1)?;
    ctx.say(
        "Where data must survive, add the results of saving, rdb_last_bgsave_status and aof_last_write_status. On a replica, add \
         master_link_status.",
    );
    Ok(())
}

async fn find_slow_command(
    ctx: &LessonContext,
    server: &Server,
    redis: &MultiplexedConnection,
) -> Result<(), BoxError> {
    let mut traced = ctx.redis_of("private", redis.clone());
    let mut report = ctx.redis_of("report", connect(server).await?);
    ctx.step(format!(
        "INFO does not say who is slow. A report sorts all {} jobs of a queue, to show two of them. Everyone else waits for \
         that, because one thread runs all commands. The slow log keeps what took longer than slowlog-log-slower-than. That is \
         10 ms by default, and 1 ms here:",
        thousands(shop::JOBS as f64)
    ))
    .await?;
    redis::cmd("SLOWLOG").arg("RESET").exec_async(&mut traced).await?;
    redis::cmd("LATENCY").arg("RESET").exec_async(&mut traced).await?;
    redis::cmd("CLIENT").arg("SETNAME").arg("report").exec_async(&mut report).await?;
    let mut sort = redis::cmd("SORT");
    let first: Vec<String> =
        sort.arg(LONG_KEY).arg("ALPHA").arg("LIMIT").arg(0).arg(2).query_async(&mut report).await?;
    let log: Value = redis::cmd("SLOWLOG").arg("GET").arg(1).query_async(&mut traced).await?;
    let slow = Logged::first(log)?;
    ctx.check_eq("the report got its jobs", &first, &vec!["job:0".to_owned(), "job:1".to_owned()])?;
    ctx.check_eq("the slow log has the command", &slow.command, &format!("SORT {LONG_KEY} ALPHA LIMIT 0 2"))?;
    ctx.check_eq("and who sent it, by CLIENT SETNAME", &slow.client.as_str(), &"report")?;
    ctx.say(format!(
        "An entry has an ID, a timestamp, {} microseconds of execution, the command, address, and name. The time holds neither \
         the network nor the wait for other commands.",
        thousands(slow.amount as f64)
    ));
    Ok(())
}

async fn find_large_reply(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (mut traced, mut untraced) = (ctx.redis_of("private", redis.clone()), redis.clone());
    if !knows("COMMANDLOG", &mut untraced).await? {
        ctx.skip(COMMANDLOG);
        return Ok(());
    }
    ctx.step(
        "A command can be quick for the server, and its reply too large for the network. COMMANDLOG (Valkey 8.1 or newer; Redis has none) \
         keeps a log of slow commands, as SLOWLOG does, one of large requests, and one of large replies. 1 MB or more is large:",
    )
    .await?;
    let read: Vec<String> = untraced.lrange(BIG_KEY, 0, -1).await?;
    let mut get = redis::cmd("COMMANDLOG");
    let log: Value = get.arg("GET").arg(1).arg("large-reply").query_async(&mut traced).await?;
    let large = Logged::first(log)?;
    ctx.announce(format!("LRANGE {BIG_KEY} 0 -1, whose reply would fill the screen."));
    let sizes: usize = read.iter().map(String::len).sum();
    ctx.check_eq("the log has the command", &large.command, &format!("LRANGE {BIG_KEY} 0 -1"))?;
    ctx.check(
        format!("and the bytes of the reply: {}", thousands(large.amount as f64)),
        large.amount >= sizes as u64,
    )?;
    Ok(())
}

async fn see_latency(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let mut traced = ctx.redis_of("private", redis.clone());
    ctx.step(
        "LATENCY shows what else makes everyone wait: forks, slow disks, keys that expire all at once. Set \
         latency-monitor-threshold, in milliseconds, for that. It is off by default, and 1 here. Each event has a time, its \
         latest duration, and its longest, in milliseconds (Valkey adds the sum and the count). LATENCY HISTOGRAM counts the calls of a \
         command up to a duration, in microseconds. Each number includes the ones before it:",
    )
    .await?;
    let events: Vec<Vec<Value>> = redis::cmd("LATENCY").arg("LATEST").query_async(&mut traced).await?;
    let mut histogram = redis::cmd("LATENCY");
    let sorts: Value = histogram.arg("HISTOGRAM").arg("sort").query_async(&mut traced).await?;
    let names: Vec<String> = events
        .into_iter()
        .filter_map(|event| String::from_redis_value(event.into_iter().next()?).ok())
        .collect();
    ctx.check("the slow command is an event", names.iter().any(|name| name == "command"))?;
    ctx.check(
        "the histogram has the one SORT",
        flatten_reply(&sorts).windows(2).any(|pair| pair == ["calls", "1"]),
    )?;
    ctx.say(
        "The histogram counts calls by microseconds of execution, and each line includes the ones before. It needs no setting.",
    );

    ctx.step("LATENCY DOCTOR reads the events for you, and gives advice:").await?;
    let advice: String = redis::cmd("LATENCY").arg("DOCTOR").query_async(&mut traced).await?;
    let event = advice.lines().find(|line| line.contains(". command:")).unwrap_or_default();
    ctx.say(format!("It names the event, and then says what to look at: \"{event}\""));
    ctx.check("it knows the slow command", !event.is_empty())?;
    ctx.check("it sends you to the slow log", advice.contains("Slow Log"))?;
    Ok(())
}

/// Texts and numbers of a reply, in order.
fn flatten_reply(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(flatten_reply).collect(),
        Value::Map(pairs) => pairs
            .iter()
            .flat_map(|(key, value)| [flatten_reply(key), flatten_reply(value)].concat())
            .collect(),
        other => String::from_redis_value_ref(other).into_iter().collect(),
    }
}

async fn find_big_key(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (traced, mut untraced) = (ctx.redis_of("private", redis.clone()), redis.clone());
    ctx.step(format!(
        "A big key makes slow commands and large replies. To find it, walk the keys with SCAN, in small steps, and ask MEMORY \
         USAGE about each. Stop after {} keys. If the server has more, this is a sample. If it saw half the keys, it misses the \
         biggest one half of the time:",
        thousands(MOST_KEYS as f64)
    ))
    .await?;
    ctx.function("sizes");
    ctx.function("usage");
    ctx.announce("SCAN and MEMORY USAGE, 500 keys at a time.");
    let sizes = keys::sizes(MOST_KEYS, &mut untraced).await?;
    let stored: usize = redis::cmd("DBSIZE").query_async(&mut untraced).await?;
    ctx.announce("DBSIZE says how many keys there are.");
    let (biggest, size) = sizes.iter().max_by_key(|(_, size)| size).ok_or("the server is empty")?;
    ctx.check_eq("all keys were looked at", &sizes.len(), &stored)?;
    ctx.check_eq(
        &format!("the biggest of {} keys has {}", thousands(stored as f64), bytes(*size)),
        &biggest.as_str(),
        &BIG_KEY,
    )?;

    ctx.step(
        "`redis-cli --bigkeys` walks the keys, too, and counts elements instead: STRLEN, LLEN, SCARD, and so on, with the \
         longest for each type. `redis-cli --memkeys` asks MEMORY USAGE as you did. Both walk all keys, and with `-i 0.01` \
         they rest in between. This is how to find the longest list yourself:",
    )
    .await?;
    ctx.function("longest_list");
    let guess = ctx
        .predict("Is the List with the most elements the one with the most memory?", ["yes", "no"])
        .await?;
    ctx.announce("SCAN with TYPE list, and LLEN of each List.");
    let (longest, elements) = keys::longest_list(MOST_KEYS, &mut untraced).await?;
    guess.answer(if longest == *biggest { "yes" } else { "no" })?;
    let usage = async |key: &str| -> RedisResult<usize> {
        redis::cmd("MEMORY")
            .arg("USAGE")
            .arg(key)
            .arg("SAMPLES")
            .arg(0)
            .query_async(&mut traced.clone())
            .await
    };
    let (long_bytes, big_bytes) = (usage(LONG_KEY).await?, usage(BIG_KEY).await?);
    let row = |finder: &str, key: &str, elements: usize, size: usize| {
        [finder.to_owned(), key.to_owned(), thousands(elements as f64), bytes(size)]
    };
    let big_elements = traced.clone().llen(BIG_KEY).await?;
    ctx.table(
        Table::new("The biggest List", &["by", "key", "elements", "memory"])
            .row(row("elements", &longest, elements, long_bytes))
            .row(row("memory", biggest, big_elements, big_bytes)),
    );
    ctx.check_eq("by elements, it is the queue", &longest.as_str(), &LONG_KEY)?;
    ctx.check("and that takes less memory", long_bytes < big_bytes)?;
    Ok(())
}

async fn find_hot_key(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (mut traced, mut untraced) = (ctx.redis_of("private", redis.clone()), redis.clone());
    ctx.step(
        "A hot key keeps one core of one node busy. Nine of ten requests of yesterday were for one product. Under an LFU policy, \
         the server keeps a counter of how much each key is used, and `redis-cli --hotkeys` reads it with OBJECT FREQ. Here the \
         policy is allkeys-lfu, with room for everything:",
    )
    .await?;
    ctx.function("hottest");
    ctx.announce("SCAN with MATCH product:*, and OBJECT FREQ of each.");
    let (hottest, _) = keys::hottest("product:*", &mut untraced).await?;
    let frequency = async |key: &str| -> RedisResult<u64> {
        redis::cmd("OBJECT").arg("FREQ").arg(key).query_async(&mut traced.clone()).await
    };
    let (hot, other) = (frequency(HOT_KEY).await?, frequency("product:1").await?);
    ctx.check_eq("the most used product", &hottest.as_str(), &HOT_KEY)?;
    ctx.check("its counter is higher than that of another product", hot > other)?;
    ctx.say(
        "The counter grows more and more slowly, up to 255, and shrinks while a key is idle. It ranks keys; it doesn't count \
         requests. For keys stored under another policy, it means nothing.",
    );

    if !knows("HOTKEYS", &mut untraced).await? {
        ctx.skip(HOTKEYS);
        return Ok(());
    }
    ctx.step(
        "HOTKEYS needs no LFU policy. It watches for a while, and ranks keys by processor time and by bytes:",
    )
    .await?;
    let mut start = redis::cmd("HOTKEYS");
    start.arg("START").arg("METRICS").arg(2).arg("CPU").arg("NET").arg("COUNT").arg(2);
    start.exec_async(&mut traced).await?;
    shop::yesterday(&mut untraced).await?;
    redis::cmd("HOTKEYS").arg("STOP").exec_async(&mut traced).await?;
    let found: Value = redis::cmd("HOTKEYS").arg("GET").query_async(&mut traced).await?;
    redis::cmd("HOTKEYS").arg("RESET").exec_async(&mut traced).await?;
    ctx.announce(format!(
        "GET, the {} requests of yesterday, between START and STOP.",
        thousands(shop::YESTERDAY as f64)
    ));
    let texts = flatten_reply(&found);
    let first = |ranking: &str| {
        let at = texts.iter().position(|text| text == ranking)?;
        texts.get(at + 1).cloned().zip(texts.get(at + 2).cloned())
    };
    let rankings = [("by-cpu-time-us", "microseconds"), ("by-net-bytes", "bytes")];
    let table = rankings.iter().fold(
        Table::new("First in each ranking", &["ranking", "key", "value", "unit"]),
        |table, (ranking, unit)| {
            let (key, value) = first(ranking).unwrap_or_default();
            table.row([(*ranking).to_owned(), key, value, (*unit).to_owned()])
        },
    );
    ctx.table(table);
    let by_bytes = first("by-net-bytes").map(|(key, _)| key);
    ctx.check_eq("the hot key has most of the bytes", &by_bytes.as_deref(), &Some(HOT_KEY))?;
    Ok(())
}

async fn find_slow_reader(
    ctx: &LessonContext,
    server: &Server,
    redis: &MultiplexedConnection,
) -> Result<(), BoxError> {
    let (mut traced, mut untraced) = (ctx.redis_of("private", redis.clone()), redis.clone());
    ctx.step(
        "A client that reads too slowly costs memory, too: what it did not read waits in its output buffer, on the server. A \
         subscriber by the name slow-reader stops reading. CLIENT LIST shows the bytes that wait for it as omem, and all that it \
         takes as tot-mem:",
    )
    .await?;
    let reader = SlowReader::start(server).await?;
    let published = reader.fall_behind(&mut untraced).await?;
    let list: String =
        redis::cmd("CLIENT").arg("LIST").arg("TYPE").arg("pubsub").query_async(&mut traced).await?;
    let waiting = slow_reader::waiting(&list);
    let shown = ["name=", "omem=", "tot-mem="];
    let fields = list.split_whitespace().filter(|field| shown.iter().any(|name| field.starts_with(name)));
    ctx.listing(fields.collect::<Vec<_>>().join(" "));
    ctx.announce(
        "CLIENT SETNAME and SUBSCRIBE, from slow-reader. PUBLISH, until more than 1 MB waits for it by CLIENT LIST.",
    );
    ctx.check(
        format!("after {} messages, {} wait for slow-reader", thousands(published as f64), bytes(waiting)),
        waiting > slow_reader::BEHIND && list.contains("name=slow-reader"),
    )?;
    ctx.say(
        "client-output-buffer-limit decides when the server cuts such a client off: subscribers at 32 MB, or after a minute \
         above 8 MB. Ordinary clients have no limit by default. `cargo work pub-sub` shows what a subscriber loses then.",
    );

    ctx.step("MEMORY STATS says what the memory is used for. The buffers are there, as clients.normal:")
        .await?;
    let stats = stats_with_buffers(waiting, &mut untraced).await?;
    ctx.announce("MEMORY STATS, until the buffers are in it: the server adds them up about once a second.");
    let number = |name: &str| stats.get(name).and_then(|value| f64::from_redis_value_ref(value).ok());
    let rows = [
        ("dataset.bytes", "keys and values"),
        ("overhead.total", "tables, buffers, and the server itself"),
        ("clients.normal", "buffers of clients, part of the overhead"),
        ("keys.bytes-per-key", "memory beyond an empty server, divided by the number of keys"),
    ];
    ctx.table(rows.iter().fold(
        Table::new("MEMORY STATS", &["field", "bytes", "what"]),
        |table, (name, what)| {
            table.row([
                (*name).to_owned(),
                number(name).map_or_else(|| "-".to_owned(), thousands),
                (*what).to_owned(),
            ])
        },
    ));
    ctx.check(
        "the buffers of clients include what waits for slow-reader",
        number("clients.normal").is_some_and(|clients| clients >= waiting as f64),
    )?;
    drop(reader);
    Ok(())
}

/// MEMORY STATS, when it says that clients have at least so many bytes of buffers.
async fn stats_with_buffers(
    waiting: usize,
    redis: &mut MultiplexedConnection,
) -> Result<HashMap<String, Value>, BoxError> {
    let mut retry = Retry::within(READY_TIMEOUT);
    loop {
        let stats: HashMap<String, Value> = redis::cmd("MEMORY").arg("STATS").query_async(redis).await?;
        let clients = stats.get("clients.normal").map(usize::from_redis_value_ref).transpose()?;
        if clients.is_some_and(|bytes| bytes >= waiting) {
            return Ok(stats);
        }
        retry.again("MEMORY STATS counts the buffers of clients").await?;
    }
}

async fn ask_memory_doctor(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (mut traced, mut untraced) = (ctx.redis_of("private", redis.clone()), redis.clone());
    ctx.step(
        "At night, an import stores 64 MB and deletes it again. In the morning, MEMORY DOCTOR still knows:",
    )
    .await?;
    untraced.setrange("import", 64_000_000, "end").await?;
    let peak = number(&mut untraced, "memory", "used_memory").await?;
    untraced.unlink("import").await?;
    ctx.announce(
        "SETRANGE stores 64 MB, INFO memory sees it, and UNLINK deletes it. INFO again, until it is freed.",
    );
    let mut retry = Retry::within(READY_TIMEOUT);
    while number(&mut untraced, "memory", "used_memory").await? > 30_000_000 {
        retry.again("the memory of the import is free again").await?;
    }
    let advice: String = redis::cmd("MEMORY").arg("DOCTOR").query_async(&mut traced).await?;
    let peak_line = advice.lines().find(|line| line.contains("Peak memory")).unwrap_or_default();
    let sentence = peak_line.trim_matches([' ', '*']).split('.').next().unwrap_or_default();
    ctx.say(format!("It begins: \"{sentence}.\""));
    ctx.check("the import was in memory", peak > 64_000_000)?;
    ctx.check("MEMORY DOCTOR names the peak", advice.contains("Peak memory"))?;
    ctx.say(
        "Plan for the peak, not for the usual use. `cargo doctor` reads INFO, the slow log, LATENCY, MEMORY USAGE, and CLIENT \
         LIST of your own server, and says what to do about each finding.",
    );
    Ok(())
}

async fn watch_keyspace_events(
    ctx: &LessonContext,
    server: &Server,
    redis: &MultiplexedConnection,
) -> Result<(), BoxError> {
    let mut traced = ctx.redis_of("private", redis.clone());
    ctx.step(
        "What happens to this key? Keyspace events tell a subscriber. They are off by default, because each costs a PUBLISH. K \
         asks for events by key, g for generic commands such as DEL and EXPIRE, $ for commands of Strings:",
    )
    .await?;
    let mut settings = redis::cmd("CONFIG");
    settings.arg("SET").arg("notify-keyspace-events").arg("Kg$").exec_async(&mut traced).await?;
    traced.set("order:1", "new").await?;
    let mut events = server.client().get_async_pubsub().await?;
    events.subscribe("__keyspace@0__:order:1").await?;
    traced.set("order:1", "paid").await?;
    traced.expire("order:1", 60).await?;
    traced.unlink("order:1").await?;
    ctx.announce("SUBSCRIBE to __keyspace@0__:order:1, between the first and the second SET.");
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let event = tokio::time::timeout(READY_TIMEOUT, events.on_message().next()).await?;
        heard.push(event.ok_or("the subscription ended")?.get_payload::<String>()?);
    }
    ctx.check_eq(
        "of four changes, the subscriber heard three: set, expire, and del",
        &heard.join(" ").as_str(),
        &"set expire del",
    )?;
    ctx.say(
        "An event says what happened, but not who did it, and not the new value. It is pub/sub: a subscriber that is not there \
         misses it, as it missed the first SET. An expired event comes when the server deletes the key, which can be long after \
         its TTL.",
    );
    set_config("notify-keyspace-events", "", &mut redis.clone()).await?;
    ctx.announce("CONFIG SET turns the events off again.");
    Ok(())
}

async fn measure_monitor(
    ctx: &LessonContext,
    server: &Server,
    redis: &MultiplexedConnection,
) -> Result<(), BoxError> {
    ctx.step(format!(
        "MONITOR shows almost every command with its client. What does it cost? {} clients send {} GETs, {} times without and {} \
         times with one client that sent MONITOR:",
        monitor_cost::CLIENTS,
        thousands(monitor_cost::REQUESTS as f64),
        monitor_cost::ROUNDS,
        monitor_cost::ROUNDS,
    ))
    .await?;
    ctx.function("load");
    ctx.announce(
        "MONITOR, on a connection of its own. GET from the clients. INFO before and after each round, and CLIENT LIST.",
    );
    let (without, with) = monitor_cost::measure(server, redis).await?;
    let row = |label: &str, cost: &monitor_cost::Cost| {
        [
            label.to_owned(),
            thousands(cost.rate),
            format!("{:.0} ms", cost.cpu_seconds * 1e3),
            bytes(cost.sent),
            thousands(cost.monitored as f64),
        ]
    };
    ctx.table(
        Table::new("The cost of MONITOR", &["", "GET/s", "server's CPU", "bytes sent", "commands seen"])
            .row(row("without", &without))
            .row(row("with MONITOR", &with)),
    );
    ctx.check(
        "every GET had its value",
        without.right == monitor_cost::REQUESTS && with.right == monitor_cost::REQUESTS,
    )?;
    ctx.check_eq("MONITOR saw every GET", &with.monitored, &monitor_cost::REQUESTS)?;
    ctx.check(
        format!("the server sent {:.1} times the bytes", with.sent as f64 / without.sent.max(1) as f64),
        with.sent > without.sent,
    )?;
    ctx.say(
        "These are medians on this machine, where clients and server share the processors. MONITOR also shows all values to \
         anyone who looks, so few users should have the right to send it.",
    );
    Ok(())
}
