//! A stolen password: what it opens, how you see it, and how you close it.

use std::collections::HashMap;

use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome, Retry};
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, RedisResult, Value};

use super::shop::{self, Shop, USERS};
use crate::private::{READY_TIMEOUT, code};

/// What a thief tries. Whether it is allowed, ACL DRYRUN says without doing it.
const ATTEMPTS: [(&str, &str); 9] = [
    ("change carts", "HSET cart:1 sku123 9"),
    ("read a session of another service", "GET session:1"),
    ("list all keys", "SCAN 0"),
    ("watch the commands of all clients", "MONITOR"),
    ("copy all data, as a replica does", "PSYNC ? -1"),
    ("delete everything", "FLUSHALL"),
    ("change settings", "CONFIG SET maxmemory 1"),
    ("run a script, the way into most known holes", "EVAL script 0"),
    ("stop the server", "SHUTDOWN"),
];

pub(super) async fn compare(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let guess = ctx
        .step(
            "Now the password is stolen: from a log, a laptop, or a repository. What does the thief get? ACL DRYRUN says whether a user \
             may run a command, and does not run it (since 7.0):",
        )
        .predict("own-keys has all commands, and only keys of carts. May it run FLUSHALL?", ["yes", "no"])
        .await?;
    let mut admin = ctx.redis_of("admin", shop.admin.clone());
    let shown: String = dry_run("own-keys", "FLUSHALL").query_async(&mut admin).await?;
    guess.answer(if shown == "OK" { "yes" } else { "no" })?;
    ctx.announce("ACL DRYRUN asks for the rest of the table.");
    let mut quiet = shop.admin.clone();
    let header: Vec<&str> = std::iter::once("a thief may").chain(USERS.map(|(name, _)| name)).collect();
    let mut table = Table::new("With a stolen password", &header);
    let mut open = [0; USERS.len()];
    for (what, command) in ATTEMPTS {
        let mut cells = vec![what.to_owned()];
        for (at, (user, _)) in USERS.iter().enumerate() {
            let reply: String = dry_run(user, command).query_async(&mut quiet).await?;
            open[at] += usize::from(reply == "OK");
            cells.push(if reply == "OK" { "yes" } else { "-" }.to_owned());
        }
        table = table.row(cells);
    }
    ctx.table(table);
    ctx.check("FLUSHALL is open to a user with one key pattern", shown == "OK")?;
    ctx.check_eq("of nine things, the thief may do nine, eight, and one", &open, &[9, 8, 1])?;
    ctx.say("The smallest user does not protect its own carts. Against that, only a backup and a new password help.");
    Ok(())
}

fn dry_run(user: &str, command: &str) -> redis::Cmd {
    let mut dry_run = redis::cmd("ACL");
    dry_run.arg("DRYRUN").arg(user).arg(command.split(' ').collect::<Vec<_>>());
    dry_run
}

/// What the thief tries with the password of the smallest user.
const SESSIONS_TRIED: usize = 50;
const GUESSES: usize = 3;

pub(super) async fn read_the_log(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "The server notes what it refuses. The thief logs in as the smallest user and looks around, and guesses the password of another \
         user:",
    )
    .await?;
    ctx.function("look_around");
    let guess = ctx
        .predict("ACL LOG keeps commands and keys that were refused. Wrong passwords, too?", ["yes", "no"])
        .await?;
    ctx.announce(
        "ACL LOG RESET empties the log first: on connecting, client libraries send CLIENT SETINFO, and this user is refused that, too. \
         The thief sends AUTH, HGETALL, CONFIG GET, KEYS, and FLUSHALL.",
    );
    let mut quiet = shop.admin.clone();
    let mut thief = shop.log_in("smallest").await?;
    redis::cmd("ACL").arg("LOG").arg("RESET").exec_async(&mut quiet).await?;
    let refused = look_around(&mut thief).await;
    let mut admin = ctx.redis_of("admin", shop.admin.clone());
    let mut newest = redis::cmd("ACL");
    newest.arg("LOG").arg(1).exec_async(&mut admin).await?;
    let entries: Vec<HashMap<String, Value>> =
        redis::cmd("ACL").arg("LOG").arg(128).query_async(&mut quiet).await?;
    ctx.announce("ACL LOG 128 counts all entries.");
    let counts = ["key", "command", "auth"].map(|reason| count(&entries, reason));
    guess.answer(if counts[2] > 0 { "yes" } else { "no" })?;
    let header = ["refused because of", "times"];
    let table = Table::new("In ACL LOG", &header);
    let labels = ["the key", "the command", "the password"];
    ctx.table(
        labels.into_iter().zip(counts).fold(table, |table, (label, times)| table.labeled(label, [times])),
    );
    ctx.check_eq("everything that was refused is in the log", &counts.iter().sum(), &refused)?;
    ctx.check_eq("by reason", &counts, &[SESSIONS_TRIED, 3, GUESSES])?;
    ctx.say(
        "An entry has the user, the address, and the key or command. The log keeps the last 128 (acllog-max-len), so collect it. An \
         application with the right user has no entry but CLIENT SETINFO (since 7.2, grant +client|setinfo), so alert on all others.",
    );
    Ok(())
}

/// Returns how often it was refused.
async fn look_around(redis: &mut MultiplexedConnection) -> usize {
    let mut replies = Vec::new();
    for number in 0..GUESSES {
        replies.push(redis::cmd("AUTH").arg("admin").arg(number).exec_async(redis).await);
    }
    for number in 0..SESSIONS_TRIED {
        replies.push(redis::cmd("HGETALL").arg(format!("session:{number}")).exec_async(redis).await);
    }
    for command in [&["CONFIG", "GET", "*"][..], &["KEYS", "*"], &["FLUSHALL"]] {
        replies.push(redis::cmd(command[0]).arg(&command[1..]).exec_async(redis).await);
    }
    replies.iter().filter(|reply| matches!(code(reply), Some("NOPERM" | "WRONGPASS"))).count()
}

/// How often the log has this reason. An entry stands for several refusals that are alike.
fn count(entries: &[HashMap<String, Value>], reason: &str) -> usize {
    let is = |entry: &&HashMap<String, Value>| {
        entry.get("reason") == Some(&Value::BulkString(reason.as_bytes().to_vec()))
    };
    let times = |entry: &HashMap<String, Value>| match entry.get("count") {
        Some(Value::Int(times)) => usize::try_from(*times).unwrap_or_default(),
        _ => 0,
    };
    entries.iter().filter(is).map(times).sum()
}

pub(super) async fn change_the_password(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "You change the password. The thief's connection is still open. (For a rotation without a theft, a user may have two passwords for a \
         while.)",
    )
    .await?;
    let mut thief = ctx.redis_of("thief", shop.log_in("smallest").await?);
    let mut admin = ctx.redis_of("admin", shop.admin.clone());
    let new = shop::new_password();
    let mut change = redis::cmd("ACL");
    change
        .arg("SETUSER")
        .arg("smallest")
        .arg("resetpass")
        .arg(format!(">{new}"))
        .exec_async(&mut admin)
        .await?;
    let still = thief.hgetall("cart:2").await?;
    let again = shop.log_in("smallest").await;
    ctx.check("nobody can log in with the old password", again.is_err())?;
    ctx.check("and the thief's old connection still reads carts", !still.is_empty())?;
    ctx.say(
        "So close the connections of the user, too. Your own clients connect again, with the new password:",
    );
    ctx.announce("CLIENT LIST, until the connections of the steps before are closed.");
    until_only_one_is_open("smallest", &mut shop.admin.clone()).await?;
    let mut kill = redis::cmd("CLIENT");
    let closed: usize = kill.arg("KILL").arg("USER").arg("smallest").query_async(&mut admin).await?;
    let out = until_closed(&mut thief).await?;
    ctx.check_eq("one connection was open", &closed, &1)?;
    ctx.check("it is closed, and the thief is out", out)
}

/// A server notices a moment later that a client has closed its connection.
async fn until_only_one_is_open(user: &str, admin: &mut MultiplexedConnection) -> Outcome {
    let (mut retry, user) = (Retry::within(READY_TIMEOUT), format!("user={user}"));
    loop {
        let list: String = redis::cmd("CLIENT").arg("LIST").query_async(admin).await?;
        if list.split_whitespace().filter(|field| **field == user).count() == 1 {
            return Ok(());
        }
        retry.again("only the thief is connected").await?;
    }
}

/// Whether the connection fails from now on.
async fn until_closed(redis: &mut impl AsyncTypedCommands) -> Result<bool, LessonError> {
    let mut retry = Retry::within(READY_TIMEOUT);
    loop {
        let reply: RedisResult<HashMap<String, String>> = redis.hgetall("cart:2").await;
        if reply.is_err() {
            return Ok(true);
        }
        retry.again("the connection is closed").await?;
    }
}
