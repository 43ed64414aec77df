//! Users with fewer and fewer rights, and what a mistake costs with each.

use lab_connection::connection::unguarded;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, Client, RedisResult};

use super::shop::{CARTS, OF_OTHERS, Shop, USERS};
use crate::private::code;

pub(super) async fn log_in(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "This lesson deletes data and changes users, so it starts its own servers and sends nothing to yours. The first one is shared by \
         three services: carts, sessions, and orders. A client must log in:",
    )
    .await?;
    let mut admin = ctx.redis_of("admin", shop.admin.clone());
    let (name, rights) = USERS[0];
    set_user(name, &shop.password, rights).exec_async(&mut admin).await?;
    let stranger = unguarded(&Client::open(format!("redis://127.0.0.1:{}/", shop.server.port()))?).await?;
    let mut client = ctx.redis_of("client", stranger);
    let unknown = client.get("order:1").await;
    let wrong: RedisResult<String> = auth(name, "guess").query_async(&mut client).await;
    auth(name, &shop.password).exec_async(&mut client).await?;
    let who: String = redis::cmd("ACL").arg("WHOAMI").query_async(&mut client).await?;
    ctx.announce(format!("SET and HSET stored {CARTS} carts, and {OF_OTHERS} keys of the other services."));
    ctx.check("without AUTH, the server answers nothing", code(&unknown) == Some("NOAUTH"))?;
    ctx.check(
        "a wrong password is refused, and the right one is not",
        code(&wrong) == Some("WRONGPASS") && who == name,
    )?;
    ctx.say(
        "The server stores only a hash of the password. The hash is fast to compute, for an attacker too, so make \
         passwords long and random. ACL GENPASS prints one.",
    );
    Ok(())
}

fn auth(user: &str, password: &str) -> redis::Cmd {
    let mut command = redis::cmd("AUTH");
    command.arg(user).arg(password);
    command
}

/// ACL SETUSER of a new user, who is on and has this password.
fn set_user(name: &str, password: &str, rights: &[&str]) -> redis::Cmd {
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg(name).arg("reset").arg("on").arg(format!(">{password}")).arg(rights);
    command
}

/// Returns what the others lost by the cleanup, and by FLUSHALL.
pub(super) async fn lose_everything(ctx: &LessonContext, shop: &mut Shop) -> Result<[usize; 2], LessonError> {
    ctx.step(
        "The cart service uses that user, who may do everything (+@all) to all keys (~*), like the default user. Its nightly job deletes \
         old carts. The prefix comes from a variable, which is not set tonight:",
    )
    .await?;
    ctx.function("clean_up");
    ctx.announce("The job sends SCAN and UNLINK. EXISTS counts what is left, and the keys are stored again.");
    let lost = play(shop, USERS[0].0).await?;
    ctx.check_eq("the job deleted every key of the other services, too", &lost[0], &OF_OTHERS)?;
    ctx.say("No error, no attack: one empty string. FLUSHALL, typed into the wrong window, does the same.");
    Ok(lost)
}

/// Deletes the keys that begin with `prefix`.
async fn clean_up(prefix: &str, redis: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(500);
        let (next, keys): (u64, Vec<String>) = scan.query_async(redis).await?;
        if !keys.is_empty() {
            redis::cmd("UNLINK").arg(keys).exec_async(redis).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// How many keys of others the job deletes as this user, and how many FLUSHALL does. Refusals delete none.
async fn play(shop: &mut Shop, user: &str) -> Result<[usize; 2], LessonError> {
    let mut redis = shop.log_in(user).await?;
    let refused_or_done = |result: RedisResult<()>| match code(&result) {
        Some("NOPERM") => Ok(()),
        _ => result,
    };
    refused_or_done(clean_up("", &mut redis).await)?;
    let by_job = shop.lost().await?;
    shop.fill().await?;
    refused_or_done(redis::cmd("FLUSHALL").exec_async(&mut redis).await)?;
    let by_flush = shop.lost().await?;
    shop.fill().await?;
    Ok([by_job, by_flush])
}

pub(super) async fn keep_to_own_keys(
    ctx: &LessonContext,
    shop: &mut Shop,
    everything: [usize; 2],
) -> Outcome {
    ctx.step(
        "A user is a list of rules, read from left to right. The first idea: all commands, but only keys that begin with cart:. The second: \
         also only the four commands that the cart service sends.",
    )
    .await?;
    let mut admin = ctx.redis_of("admin", shop.admin.clone());
    let [_, (own_keys, with_keys), (smallest, with_commands)] = USERS;
    set_user(own_keys, &shop.password, with_keys).exec_async(&mut admin).await?;
    set_user(smallest, &shop.password, with_commands).exec_async(&mut admin).await?;
    ctx.announce("As each of the two, the job and FLUSHALL run again.");
    let by_own_keys = play(shop, own_keys).await?;
    let by_smallest = play(shop, smallest).await?;
    let header = ["user", "the job with an empty prefix", "FLUSHALL"];
    let table = Table::new(format!("Keys of others lost, of {OF_OTHERS}"), &header);
    let rows = USERS.iter().zip([everything, by_own_keys, by_smallest]);
    ctx.table(rows.fold(table, |table, ((name, _), lost)| table.labeled(*name, lost)));
    ctx.check(
        "a key pattern does not stop FLUSHALL, which names no key",
        by_own_keys == [0, OF_OTHERS] && everything[1] == OF_OTHERS,
    )?;
    ctx.check("with four commands, others lose nothing", by_smallest == [0, 0])?;
    ctx.say(
        "INFO commandstats shows what an application sends, so the list is easy to find. Once each application has a user, turn the default \
         user off.",
    );
    Ok(())
}

pub(super) async fn read_or_write(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "A key pattern can allow reading only (%R~) or writing only (%W~), since 7.0. The pricing service may read prices and add to the \
         audit log. It may not change prices, and what is in the log stays hidden from it:",
    )
    .await?;
    let mut admin = ctx.redis_of("admin", shop.admin.clone());
    let rights = ["%R~price:*", "%W~audit:*", "-@all", "+get", "+set", "+rpush", "+lrange"];
    set_user("pricing", &shop.password, &rights).exec_async(&mut admin).await?;
    admin.set("price:1", 1999).await?;
    let mut pricing = ctx.redis_of("pricing", shop.log_in("pricing").await?);
    let read = pricing.get("price:1").await?;
    let changed = pricing.set("price:1", 1).await;
    let added = pricing.rpush("audit:log", "price:1 was read").await?;
    let hidden = pricing.lrange("audit:log", 0, -1).await;
    ctx.check(
        "it reads the price and cannot set it",
        read.as_deref() == Some("1999") && code(&changed) == Some("NOPERM"),
    )?;
    ctx.check("it adds to the log and cannot read it", added == 1 && code(&hidden) == Some("NOPERM"))
}

pub(super) async fn select(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "The rules of a user apply together: each command to each key. For 'HSET for carts, but GET for prices', add a selector, a second set \
         of rules in parentheses (since 7.0). A command needs one set that allows all of it:",
    )
    .await?;
    let mut admin = ctx.redis_of("admin", shop.admin.clone());
    let rights = ["~cart:*", "-@all", "+hset", "(%R~price:* +get)"];
    set_user("checkout", &shop.password, &rights).exec_async(&mut admin).await?;
    let mut checkout = ctx.redis_of("checkout", shop.log_in("checkout").await?);
    let price = checkout.get("price:1").await?;
    checkout.hset("cart:1", "sku456", 2).await?;
    let cart = checkout.get("cart:1").await;
    let no_hash = checkout.hset("price:1", "sku456", 2).await;
    ctx.check("each set allows its own", price.as_deref() == Some("1999"))?;
    ctx.check(
        "the command of one with the keys of the other is refused",
        code(&cart) == Some("NOPERM") && code(&no_hash) == Some("NOPERM"),
    )?;
    ctx.say(
        "ACL SETUSER changes this server until it restarts. ACL SAVE (with an aclfile) or CONFIG REWRITE keeps the users. Replication does not \
         copy them: give them to every replica and cluster node, or a failover locks your applications out.",
    );
    Ok(())
}
