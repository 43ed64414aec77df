//! How do you copy a server that is in use, and how do you know that the copy is good?
//!
//! `cargo ops backup`

pub(crate) mod aof;
mod compare;
mod data;
mod single_keys;
mod transfers;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lab_connection::Target;
use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{BoxError, Lesson, LessonContext, Need, Retry, outcome, source};
use lab_server::Server;
use redis::AsyncTypedCommands;
use redis::aio::{ConnectionLike, MultiplexedConnection};

pub use self::aof::annotations;
pub use self::compare::{Compared, OfType, compare};
pub use self::data::{PREFIX, write};
pub use self::single_keys::{Restored, SavedKey, restore_keys, save_keys};
use self::transfers::{ACCOUNTS, BALANCE, TOTAL, Transfers, audit, open_accounts};
use crate::private::{self, READY_TIMEOUT, connect, info_fields, knows, set_config};

/// Copies of a server in use, restored and compared.
pub static LESSON: Lesson = Lesson {
    name: "backup",
    title: "Backup",
    question: "How do you copy a server that is in use, and how do you know that the copy is good?",
    commands: &[
        "BGSAVE",
        "LASTSAVE",
        "CONFIG SET",
        "DUMP",
        "RESTORE",
        "PEXPIRETIME",
        "BACKUP START",
        "BACKUP SEAL",
    ],
    needs: &[],
    sources: &[
        source!("src/backup.rs"),
        source!("src/backup/aof.rs"),
        source!("src/backup/compare.rs"),
        source!("src/backup/single_keys.rs"),
    ],
    rule: "A backup that was never restored is not a backup.",
    takeaways: &[
        "A snapshot is one moment of the whole server. Reading it key by key is many moments.",
        "To restore an RDB file, start with appendonly no. With yes, the server ignores it and starts empty.",
        "Copy the append-only files only while no rewrite can run, and restore every copy on another server.",
    ],
    quiz: &[19, 22, 107, 114],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Keys of all types.
const KEYS: usize = 2_000;
/// Orders before somebody empties the server.
const ORDERS: usize = 100;
/// Where the server puts its snapshot.
const RDB: &str = "dump.rdb";
const BACKUP: Need = Need { command: "BACKUP", available_in: "Redis 8.10" };

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let live = private::start(ctx.target(), &[]).await?;
    let redis = connect(&live).await?;
    copy_key_by_key(ctx, &redis).await?;
    let backup = copy_snapshot(ctx, &live, &redis).await?;
    let restored = restore_snapshot(ctx, &backup, &redis).await?;
    recover_a_key(ctx, &redis, &restored).await?;
    load_nothing(ctx, &backup).await?;
    let restored = switch_on_aof(ctx, &redis, restored).await?;
    copy_during_a_rewrite(ctx, &restored).await?;
    copy_aof_files(ctx, &restored).await?;
    go_back_in_time(ctx).await?;
    use_backup_command(ctx, &redis).await?;
    Ok(private::stop((live, restored)).await?)
}

async fn copy_key_by_key(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (mut live, mut quiet) = (ctx.redis_of("live", redis.clone()), redis.clone());
    open_accounts(&mut quiet).await?;
    ctx.announce(format!("SET opened {ACCOUNTS} accounts with {BALANCE} each on a private server."));
    let guess = ctx
        .step(
            "Can a program read all keys and write them to a file? This lesson starts private servers, which end with it, and never touches \
             yours. On the first one, called live, two accounts have 1,000 each, and a transfer happens between two reads of such a \
             program:",
        )
        .predict("How much do the two accounts have in the copy?", ["1,900", "2,000", "2,100"])
        .await?;
    let first = live.get_int("account:1").await?.unwrap_or_default();
    let mut transfer = redis::pipe();
    transfer.atomic().decr("account:2", 100).incr("account:1", 100);
    transfer.exec_async(&mut live).await?;
    let second = live.get_int("account:2").await?.unwrap_or_default();
    guess.answer(thousands((first + second) as f64))?;
    ctx.check_eq(
        "the copy has 1,900 of 2,000: money seems to be missing that never was",
        &(first + second),
        &1_900,
    )?;
    Ok(())
}

async fn copy_snapshot(
    ctx: &LessonContext,
    server: &Server,
    redis: &MultiplexedConnection,
) -> Result<PathBuf, BoxError> {
    let (mut live, mut quiet) = (ctx.redis_of("live", redis.clone()), redis.clone());
    data::write(&mut quiet, KEYS).await?;
    set_config("rdb-key-save-delay", -10, &mut quiet).await?;
    ctx.announce(format!(
        "More keys, {} of all types: SET, RPUSH, SADD, HSET, ZADD, XADD, PFADD, SETBIT, EXPIRE. CONFIG SET rdb-key-save-delay makes \
         the snapshot slower, like that of a large server. A client transfers money all the time: MULTI, DECRBY, INCRBY, INCR, EXEC.",
        thousands(KEYS as f64)
    ));
    ctx.step(
        "A snapshot is one moment. BGSAVE forks, and the child writes the memory as it was at the fork, while the server goes on. It writes \
         to a temporary file and renames it in the end, so dump.rdb is always whole. LASTSAVE only knows seconds, so INFO tells the end:",
    )
    .await?;
    ctx.function("snapshot");
    let transfers = Transfers::start(connect(server).await?);
    transfers.go_on().await?;
    let before = transfers.acknowledged();
    snapshot(&mut live, &mut quiet).await?;
    let saved = transfers.acknowledged();
    let directory = server.dir().join("backup");
    fs::create_dir(&directory)?;
    let backup = directory.join(RDB);
    fs::copy(server.dir().join(RDB), &backup)?;
    transfers.go_on().await?;
    let all = transfers.stop().await?;
    set_config("rdb-key-save-delay", 0, &mut quiet).await?;
    ctx.say(format!(
        "Meanwhile the server acknowledged {} transfers, and {} in all. The file has {}.",
        thousands((saved - before) as f64),
        thousands(all as f64),
        bytes(usize::try_from(fs::metadata(&backup)?.len())?),
    ));
    ctx.check("writes went on while the snapshot was written", saved > before)?;
    Ok(backup)
}

/// Saves, and waits until the file is complete.
async fn snapshot(
    live: &mut (impl ConnectionLike + Send),
    quiet: &mut MultiplexedConnection,
) -> Result<(), BoxError> {
    redis::cmd("BGSAVE").exec_async(live).await?;
    let mut retry = Retry::within(READY_TIMEOUT);
    let mut info = private::info_fields("persistence", quiet).await?;
    while info.get("rdb_bgsave_in_progress").is_none_or(|running| running != "0") {
        retry.again("the snapshot is written").await?;
        info = private::info_fields("persistence", quiet).await?;
    }
    let _second: u64 = redis::cmd("LASTSAVE").query_async(live).await?;
    match info.get("rdb_last_bgsave_status").map(String::as_str) {
        Some("ok") => Ok(()),
        status => Err(format!("the snapshot failed: {status:?}").into()),
    }
}

async fn restore_snapshot(
    ctx: &LessonContext,
    backup: &Path,
    live: &MultiplexedConnection,
) -> Result<Server, BoxError> {
    ctx.step("Now restore it. The new server must be down when the file is put in place:").await?;
    ctx.function("restore");
    ctx.announce("On the restored server, MGET and GET read the accounts.");
    let copy = backup.to_owned();
    let server =
        restore(ctx.target(), &[], move |directory| fs::copy(copy, directory.join(RDB)).map(drop)).await?;
    let mut restored = connect(&server).await?;
    let (total, transfers) = audit(&mut restored).await?;
    let (_, now) = audit(&mut live.clone()).await?;
    ctx.check(
        format!(
            "it has the state at the fork: {} of {} transfers",
            thousands(transfers as f64),
            thousands(now as f64)
        ),
        transfers > 0 && transfers < now,
    )?;
    ctx.check_eq("no money is missing", &total, &TOTAL)?;

    ctx.step(
        "That it starts is not enough. Compare every key that was not written since: the same type, the same DUMP, and a TTL that \
         differs by a second at most. A large Set or Hash has another order on each server, so there compare the members.",
    )
    .await?;
    ctx.announce(
        "On both servers: SCAN, TYPE, PEXPIRETIME, DUMP, and where DUMP differs, SMEMBERS and HGETALL.",
    );
    let compared = compare(data::PREFIX, live, &restored).await?;
    ctx.table(comparison(&compared));
    ctx.check(
        format!("all {} keys are the same", thousands(KEYS as f64)),
        compared.different.is_empty() && compared.keys() == KEYS,
    )?;
    Ok(server)
}

/// Starts a new server with these files.
async fn restore(
    target: &Target,
    settings: &[(&str, &str)],
    put_files: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
) -> Result<Server, BoxError> {
    let mut server = private::start(target, settings).await?;
    private::on_another_thread(move || {
        server.kill();
        put_files(server.dir())?;
        server.restart()?;
        Ok(server)
    })
    .await?
}

fn comparison(compared: &Compared) -> Table {
    let header = ["type", "keys", "with TTL", "same DUMP", "same members"];
    compared.types.iter().fold(Table::new("The restored server", &header), |table, (name, of_type)| {
        let OfType { keys, with_ttl, same_dump, same_members } = of_type;
        table.labeled(name, [keys, with_ttl, same_dump, same_members].map(|count| thousands(*count as f64)))
    })
}

async fn recover_a_key(
    ctx: &LessonContext,
    live: &MultiplexedConnection,
    restored: &Server,
) -> Result<(), BoxError> {
    let key = format!("{}27", data::PREFIX);
    let (mut live, mut quiet) = (ctx.redis_of("live", live.clone()), live.clone());
    let mut backup = ctx.redis_of("backup", connect(restored).await?);
    ctx.step(
        "Somebody deleted one key. Do not restore the whole server for it: start the backup on a second server, as here, and move the key. PEXPIRETIME is \
         -1 without a TTL, and -2 if there is no such key. With ABSTTL, RESTORE takes it as a time and not as a span, so the time that has passed counts. EXISTS shows whether the \
         key is there, since RESTORE says OK even to one that has expired:",
    )
    .await?;
    ctx.function("restore_key");
    live.unlink(&key).await?;
    let names = [key];
    let saved = save_keys(&names, &mut backup).await?;
    let restored = restore_keys(&saved, &mut live).await?;
    let now = save_keys(&names, &mut quiet).await?;
    ctx.check(
        "the key is back, byte for byte, and expires at the same millisecond",
        restored.restored == 1 && now == saved && now.iter().all(|key| key.expires > 0),
    )?;
    Ok(())
}

async fn load_nothing(ctx: &LessonContext, backup: &Path) -> Result<(), BoxError> {
    let original = fs::read(backup)?;
    let copy = backup.to_owned();
    let put_snapshot = move |directory: &Path| fs::copy(copy, directory.join(RDB)).map(drop);
    let server = restore(ctx.target(), &[("appendonly", "yes")], put_snapshot).await?;
    let redis = connect(&server).await?;
    let (mut new, mut quiet) = (ctx.redis_of("new", redis.clone()), redis);
    ctx.announce(
        "A new private server, called new, started with appendonly yes and a copy of the same dump.rdb.",
    );
    let guess = ctx
        .step("A new server has the snapshot in its directory, and its append-only file is on. Later, it writes a snapshot of its own:")
        .predict("How many keys did it load from dump.rdb?", ["none", "some", "all"])
        .await?;
    let loaded: usize = redis::cmd("DBSIZE").query_async(&mut new).await?;
    snapshot(&mut new, &mut quiet).await?;
    let left = fs::metadata(server.dir().join(RDB))?.len();
    guess.answer(match loaded {
        0 => "none",
        loaded if loaded < KEYS => "some",
        _ => "all",
    })?;
    ctx.say(
        "With appendonly yes, the server reads the append-only file only, which is empty. And the next snapshot, which a save point or a \
         replica starts by itself, replaces dump.rdb.",
    );
    ctx.check_eq("0 keys were loaded, without an error", &loaded, &0)?;
    ctx.check(
        format!("dump.rdb had {}, and has {left} B: the copy is gone", bytes(original.len())),
        left < original.len() as u64 / 10,
    )?;
    ctx.check("the backup is as it was, since only a copy of it was used", fs::read(backup)? == original)?;
    Ok(private::stop(server).await?)
}

async fn switch_on_aof(
    ctx: &LessonContext,
    live: &MultiplexedConnection,
    server: Server,
) -> Result<Server, BoxError> {
    let redis = connect(&server).await?;
    let (mut restored, mut quiet) = (ctx.redis_of("restored", redis.clone()), redis);
    ctx.step(
        "The right order: load with the append-only file off, as above. Then switch it on while the server runs, which writes it from memory. \
         Wait until that is done, and keep the setting for the next start:",
    )
    .await?;
    redis::cmd("CONFIG").arg("SET").arg("appendonly").arg("yes").exec_async(&mut restored).await?;
    until_rewritten(&mut quiet).await?;
    redis::cmd("CONFIG").arg("REWRITE").exec_async(&mut restored).await?;
    ctx.announce(
        "INFO tells when the file is written. Then the server is killed and started again, and \
 SCAN, TYPE, PEXPIRETIME, DUMP, SMEMBERS, and HGETALL compare it with the live one.",
    );
    let server = start_again(server).await?;
    let compared = compare(data::PREFIX, live, &connect(&server).await?).await?;
    ctx.check(
        format!("all {} keys came back, now from the append-only file", thousands(compared.keys() as f64)),
        compared.different.is_empty() && compared.keys() == KEYS,
    )?;
    Ok(server)
}

/// A server that runs is killed first.
async fn start_again(mut server: Server) -> Result<Server, BoxError> {
    Ok(private::blocking(move || server.restart().map(|()| server)).await?)
}

/// Waits until no rewrite of the append-only file runs or is due.
async fn until_rewritten(redis: &mut MultiplexedConnection) -> Result<(), BoxError> {
    let mut retry = Retry::within(READY_TIMEOUT);
    let mut info = info_fields("persistence", redis).await?;
    while ["aof_rewrite_in_progress", "aof_rewrite_scheduled"]
        .iter()
        .any(|field| info.get(*field).is_none_or(|value| value != "0"))
    {
        retry.again("the append-only file is written").await?;
        info = info_fields("persistence", redis).await?;
    }
    match info.get("aof_last_bgrewrite_status").map(String::as_str) {
        Some("ok") => Ok(()),
        status => Err(format!("the rewrite failed: {status:?}").into()),
    }
}

async fn copy_during_a_rewrite(ctx: &LessonContext, server: &Server) -> Result<(), BoxError> {
    let redis = connect(server).await?;
    let (mut restored, mut quiet) = (ctx.redis_of("restored", redis.clone()), redis);
    let guess = ctx
        .step(
            "The append-only file is a directory: a base, increments, and a manifest that names them. A program copies the manifest first. \
             Before it comes to the others, a rewrite ends, which makes new files and deletes the old ones:",
        )
        .predict("What happens when a server starts with this copy?", ["it has all keys", "it has older keys", "it refuses to start"])
        .await?;
    let (files, copy) = (server.dir().join(aof::DIRECTORY), server.dir().join("copy"));
    fs::create_dir(&copy)?;
    fs::copy(files.join(aof::MANIFEST), copy.join(aof::MANIFEST))?;
    let named = aof::named_files(&copy)?;
    redis::cmd("BGREWRITEAOF").exec_async(&mut restored).await?;
    until_rewritten(&mut quiet).await?;
    until_deleted(&files, &named).await?;
    let missing = named.iter().filter(|name| fs::copy(files.join(name), copy.join(name)).is_err()).count();
    let start = restore(ctx.target(), &[("appendonly", "yes")], move |to| replace_aof(&copy, to)).await;
    let starts = start.is_ok();
    guess.answer(if starts { "it has older keys" } else { "it refuses to start" })?;
    ctx.check(
        format!("{missing} of {} files that the manifest names are not in the copy", named.len()),
        missing == named.len(),
    )?;
    ctx.check("a server does not even start with it", !starts)?;
    Ok(())
}

/// The server deletes old files in the background.
async fn until_deleted(directory: &Path, names: &[String]) -> Result<(), BoxError> {
    let mut retry = Retry::within(READY_TIMEOUT);
    while names.iter().any(|name| directory.join(name).exists()) {
        retry.again("the old files are deleted").await?;
    }
    Ok(())
}

/// Puts a copy of append-only files in place of what a first start made.
fn replace_aof(from: &Path, directory: &Path) -> io::Result<()> {
    let own = directory.join(aof::DIRECTORY);
    fs::remove_dir_all(&own)?;
    aof::copy_directory(from, &own)
}

async fn copy_aof_files(ctx: &LessonContext, server: &Server) -> Result<(), BoxError> {
    let redis = connect(server).await?;
    let (mut restored, mut quiet) = (ctx.redis_of("restored", redis.clone()), redis);
    ctx.step(
        "So keep rewrites from starting while you copy, wait for one that runs, and then set auto-aof-rewrite-percentage to its old value again, even if the copy fails. While \
         the disk is busy, the server may hold acknowledged writes back, so also wait until its buffer is empty. Transfers go on meanwhile:",
    )
    .await?;
    ctx.function("copy_aof");
    let (from, to) = (server.dir().join(aof::DIRECTORY), server.dir().join("aof-backup"));
    let (_, earlier) = audit(&mut quiet).await?;
    let transfers = Transfers::start(connect(server).await?);
    transfers.go_on().await?;
    let acknowledged = earlier + transfers.acknowledged();
    copy_aof(&from, &to, &mut restored, &mut quiet).await?;
    let all = earlier + transfers.stop().await?;
    ctx.announce("INFO tells whether a rewrite runs, and what is in the buffer. A new private server starts with the copy, and MGET and GET read the accounts.");
    let copy =
        restore(ctx.target(), &[("appendonly", "yes")], move |directory| replace_aof(&to, directory)).await?;
    let (total, copied) = audit(&mut connect(&copy).await?).await?;
    ctx.check(
        format!(
            "the copy has {} transfers: all {} that were acknowledged before it",
            thousands(copied as f64),
            thousands(acknowledged as f64)
        ),
        (acknowledged..=all).contains(&copied),
    )?;
    ctx.check_eq("no money is missing", &total, &TOTAL)?;
    Ok(private::stop(copy).await?)
}

/// Copies the files while no rewrite can replace them.
async fn copy_aof(
    from: &Path,
    to: &Path,
    restored: &mut (impl ConnectionLike + Send),
    quiet: &mut MultiplexedConnection,
) -> Result<(), BoxError> {
    let setting = "auto-aof-rewrite-percentage";
    let [_, before]: [String; 2] = redis::cmd("CONFIG").arg("GET").arg(setting).query_async(restored).await?;
    redis::cmd("CONFIG").arg("SET").arg(setting).arg(0).exec_async(restored).await?;
    let copied = async {
        until_rewritten(quiet).await?;
        until_flushed(quiet).await?;
        Ok(aof::copy_directory(from, to)?)
    };
    let copied = copied.await;
    redis::cmd("CONFIG").arg("SET").arg(setting).arg(before).exec_async(restored).await?;
    copied
}

/// Waits until the file has every write that was acknowledged before. With appendfsync everysec, the server may hold writes back for
/// up to two seconds while the disk is busy.
async fn until_flushed(redis: &mut MultiplexedConnection) -> Result<(), BoxError> {
    let mut retry = Retry::within(READY_TIMEOUT);
    while private::info(redis, "persistence", "aof_buffer_length").await? != "0" {
        retry.again("the server has written its buffer to the append-only file").await?;
    }
    Ok(())
}

async fn go_back_in_time(ctx: &LessonContext) -> Result<(), BoxError> {
    let settings =
        [("appendonly", "yes"), ("aof-timestamp-enabled", "yes"), ("auto-aof-rewrite-percentage", "0")];
    let mut server = private::start(ctx.target(), &settings).await?;
    let redis = connect(&server).await?;
    let (mut shop, mut quiet) = (ctx.redis_of("shop", redis.clone()), redis);
    let mut orders = redis::pipe();
    for order in 0..ORDERS {
        orders.set(format!("order:{order}"), "paid");
    }
    orders.exec_async(&mut quiet).await?;
    let [good, _]: [u64; 2] = redis::cmd("TIME").query_async(&mut quiet).await?;
    let directory = server.dir().join(aof::DIRECTORY);
    let file = aof::last_increment(&directory)?;
    // Other writes go on. The first one in a new second also writes a line with the time.
    let mut retry = Retry::within(READY_TIMEOUT);
    while aof::annotations(&fs::read(&file)?).iter().all(|(_, second)| *second <= good) {
        retry.again("the next second has begun").await?;
        quiet.set("heartbeat", "1").await?;
    }
    ctx.announce(format!(
        "On a private server with appendonly yes and aof-timestamp-enabled yes, SET stored {ORDERS} orders. TIME told the second, and SET \
         wrote a heartbeat until the next one."
    ));
    ctx.step(
        "Now the mistake that no replica survives. But with aof-timestamp-enabled, the append-only file also has the time, on separate \
         lines, so it can be cut before the mistake:",
    )
    .await?;
    shop.flushall().await?;
    let left: usize = redis::cmd("DBSIZE").query_async(&mut shop).await?;
    until_flushed(&mut quiet).await?;
    server = private::on_another_thread(move || {
        server.kill();
        server
    })
    .await?;
    ctx.check_eq("everything is gone, and a restart would not help", &left, &0)?;

    ctx.step(format!(
        "Take a copy of the files first. Then cut after second {good}. redis-check-aof --truncate-to-timestamp {good} does the same:"
    ))
    .await?;
    ctx.function("truncate_after");
    ctx.listing(tail(&fs::read(&file)?));
    let cut = aof::truncate_after(&file, good)?;
    let server = start_again(server).await?;
    let back: usize = redis::cmd("DBSIZE").query_async(&mut connect(&server).await?).await?;
    ctx.announce(format!("{} went. After the start, DBSIZE counts the keys.", bytes(cut)));
    ctx.check(format!("all {ORDERS} orders are back"), (ORDERS..=ORDERS + 1).contains(&back))?;
    Ok(private::stop(server).await?)
}

/// The last lines of an append-only file, from its last annotation on.
fn tail(content: &[u8]) -> String {
    let at = aof::annotations(content).last().map_or(0, |(at, _)| *at);
    let text = String::from_utf8_lossy(content.get(at..).unwrap_or_default());
    let lines: Vec<&str> = text.lines().collect();
    let (first, last) = (lines.iter().take(1), lines.iter().skip(lines.len().saturating_sub(3).max(1)));
    first.chain(std::iter::once(&"…")).chain(last).copied().collect::<Vec<_>>().join("\n")
}

async fn use_backup_command(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (mut live, mut quiet) = (ctx.redis_of("live", redis.clone()), redis.clone());
    let what = "BACKUP makes a consistent set of append-only files, even if appendonly is no. From START on, it keeps what is \
                written. SEAL ends that, and the set is as of this moment. LIST names the files to copy, and CLEANUP removes them.";
    if !knows("BACKUP", &mut quiet).await? {
        ctx.step(what).await?;
        ctx.skip(BACKUP);
        return Ok(());
    }
    ctx.step(what).await?;
    redis::cmd("BACKUP").arg("START").exec_async(&mut live).await?;
    until_state("incrementing", &mut quiet).await?;
    live.set("account:written-after-start", 0).await?;
    redis::cmd("BACKUP").arg("SEAL").exec_async(&mut live).await?;
    until_state("sealed", &mut quiet).await?;
    let files: Vec<String> = redis::cmd("BACKUP").arg("LIST").query_async(&mut live).await?;
    ctx.announce("BACKUP STATUS tells when the base is written, and when the set is sealed.");
    let put_files = move |directory: &Path| {
        let own = directory.join(aof::DIRECTORY);
        fs::remove_dir_all(&own)?;
        fs::create_dir(&own)?;
        files
            .iter()
            .filter_map(|file| Some((file, Path::new(file).file_name()?)))
            .try_for_each(|(file, name)| fs::copy(file, own.join(name)).map(drop))
    };
    let copy = restore(ctx.target(), &[("appendonly", "yes")], put_files).await?;
    redis::cmd("BACKUP").arg("CLEANUP").exec_async(&mut quiet).await?;
    let mut restored = connect(&copy).await?;
    let compared = compare("", &quiet, &restored).await?;
    let late: usize =
        redis::cmd("EXISTS").arg("account:written-after-start").query_async(&mut restored).await?;
    ctx.announce("A new private server starts with these files. SCAN, TYPE, PEXPIRETIME, DUMP, SMEMBERS, and HGETALL compare both, and BACKUP CLEANUP ends it.");
    ctx.check(
        format!(
            "all {} keys are the same, with the one that was written after START",
            thousands(compared.keys() as f64)
        ),
        compared.different.is_empty() && late == 1,
    )?;
    Ok(private::stop(copy).await?)
}

/// Waits until the backup is in this state.
async fn until_state(wanted: &str, redis: &mut MultiplexedConnection) -> Result<(), BoxError> {
    let mut retry = Retry::within(READY_TIMEOUT);
    while state(redis).await? != wanted {
        retry.again("the backup goes on").await?;
    }
    Ok(())
}

async fn state(redis: &mut MultiplexedConnection) -> Result<String, BoxError> {
    let status: std::collections::HashMap<String, redis::Value> =
        redis::cmd("BACKUP").arg("STATUS").query_async(redis).await?;
    let state = status.get("state").cloned().unwrap_or(redis::Value::Nil);
    let state: String = redis::from_redis_value(state)?;
    if state == "failed" { Err("the backup failed".into()) } else { Ok(state) }
}

#[cfg(test)]
mod tests {
    use lab_server::Choice;

    use super::*;

    async fn server(settings: &[(&str, &str)]) -> (Server, MultiplexedConnection) {
        let server = private::start_program(Choice::from_env().unwrap(), settings).await.unwrap();
        let redis = connect(&server).await.unwrap();
        (server, redis)
    }

    /// LASTSAVE only knows seconds, and does not change if the snapshot fails.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_snapshot_that_fails_is_an_error_with_a_reason() {
        let (server, mut redis) = server(&[]).await;
        snapshot(&mut redis.clone(), &mut redis).await.unwrap();
        // A file cannot take the place of a folder that is not empty.
        fs::remove_file(server.dir().join(RDB)).unwrap();
        fs::create_dir_all(server.dir().join(RDB).join("inside")).unwrap();
        redis.set("order:1", "paid").await.unwrap();
        let failed = snapshot(&mut redis.clone(), &mut redis).await.unwrap_err().to_string();
        assert!(failed.contains("the snapshot failed"), "{failed}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rewrites_may_start_again_also_after_a_copy_that_failed() {
        let (server, mut redis) =
            server(&[("appendonly", "yes"), ("auto-aof-rewrite-percentage", "70")]).await;
        let from = server.dir().join(aof::DIRECTORY);
        let setting = async || -> (String, String) {
            let mut get = redis::cmd("CONFIG");
            get.arg("GET").arg("auto-aof-rewrite-percentage").query_async(&mut redis.clone()).await.unwrap()
        };
        let in_the_way = server.dir().join("a file");
        fs::write(&in_the_way, "").unwrap();
        copy_aof(&from, &in_the_way, &mut redis.clone(), &mut redis.clone()).await.unwrap_err();
        assert_eq!(setting().await.1, "70");
        copy_aof(&from, &server.dir().join("copy"), &mut redis.clone(), &mut redis.clone()).await.unwrap();
        assert_eq!(setting().await.1, "70");
        redis.set("order:1", "paid").await.unwrap();
    }
}
