//! WATCH: write only if nobody was faster; and why its connection must not be shared.

use lab_runner::{LessonContext, Outcome};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::CENTS;
use super::transfer::{Moved, Transfer};
use crate::keys::Keys;

/// Sets both balances, in cents, off the page.
pub(super) async fn open(ctx: &LessonContext, keys: &Keys, ada: i64, ben: i64) -> RedisResult<()> {
    let mut opening = redis::pipe();
    opening.set(keys.account("ada"), ada).ignore().set(keys.account("ben"), ben).ignore();
    opening.exec_async(&mut ctx.untraced("TODO")).await
}

/// Both balances, in cents, off the page.
pub(super) async fn balances(ctx: &LessonContext, keys: &Keys) -> RedisResult<(i64, i64)> {
    let both = [keys.account("ada"), keys.account("ben")];
    redis::cmd("MGET").arg(&both).query_async(&mut ctx.untraced("TODO")).await
}

async fn balance(redis: &mut impl ConnectionLike, account: &str) -> RedisResult<i64> {
    redis::cmd("GET").arg(account).query_async(redis).await
}

pub(super) async fn overdraw(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (ada, ben) = (keys.account("ada"), keys.account("ben"));
    let (mut one, mut other) = (ctx.dedicated_redis().await?, ctx.dedicated_redis().await?);
    open(ctx, keys, CENTS, 0).await?;

    ctx.step(
        "Break it: ada has 100 euros, kept as 10,000 cents, and 100 euros go from her to ben, twice at the same time. Each \
         of two clients reads the balance first, and finds enough. Then each moves the money, and does it within MULTI \
         and EXEC, as one should.",
    ).await?;
    let seen = (balance(&mut one, &ada).await?, balance(&mut other, &ada).await?);
    Transfer::Multi.once(&mut one, &ada, &ben, CENTS).await?;
    Transfer::Multi.once(&mut other, &ada, &ben, CENTS).await?;
    let after = balances(ctx, keys).await?;
    ctx.check(
        "both saw 100 euros, and now ada has 100 euros less than nothing",
        seen == (CENTS, CENTS) && after == (-CENTS, 2 * CENTS),
    )
}

pub(super) async fn try_again(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (ada, ben) = (keys.account("ada"), keys.account("ben"));
    let mut own = ctx.dedicated_redis().await?;
    open(ctx, keys, 2 * CENTS, 0).await?;

    ctx.step(
        "Fix it with WATCH: the client watches the account and reads it. If anybody writes the account before EXEC, EXEC \
         answers nil and does nothing. Here ada has 200 euros:",
    ).await?;
    redis::cmd("WATCH").arg(&ada).exec_async(&mut own).await?;
    let seen = balance(&mut own, &ada).await?;
    ctx.step("At this moment somebody else takes 100 euros from her account:").await?;
    redis::cmd("DECRBY").arg(&ada).arg(CENTS).exec_async(&mut ctx.redis()).await?;
    ctx.step("The client does not know, and goes on:").await?;
    let done = finish(&mut own, &ada, &ben).await?;
    ctx.check("200 euros were seen, and EXEC refused", seen == 2 * CENTS && !done)?;

    ctx.step(
        "So it begins again from the reading, and now sees what is really there. Under load it may have to do so many times; \
         it must count them, pause for a random moment, and give up at some point.",
    ).await?;
    let second = Transfer::Watch.once(&mut own, &ada, &ben, CENTS).await?;
    let third = Transfer::Watch.once(&mut own, &ada, &ben, CENTS).await?;
    ctx.check("the second try moved 100 euros", second == Moved::Done)?;
    let after = balances(ctx, keys).await?;
    ctx.check(
        "a third one finds too little, and UNWATCH ends it",
        third == Moved::NotEnough && after == (0, CENTS),
    )
}

pub(super) async fn share_a_connection(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (ada, ben) = (keys.account("ada"), keys.account("ben"));
    let shared = ctx.dedicated_redis().await?;
    // Clones of one connection, as tasks of a program have them: they speak through the same socket.
    let (mut one, mut other) = (shared.clone(), shared);
    open(ctx, keys, CENTS, 0).await?;

    ctx.step(
        "The trap: WATCH belongs to the connection, and any EXEC ends it, whoever sent it. Clones of a multiplexed connection \
         are one connection. Task A of a program watches and reads:",
    ).await?;
    redis::cmd("WATCH").arg(&ada).exec_async(&mut one).await?;
    let seen = balance(&mut one, &ada).await?;
    ctx.step("Task B of the same program uses a clone, for something that has nothing to do with it:")
        .await?;
    let mut notice = redis::pipe();
    notice.atomic().set(keys.bank_notice(), "closed on Sunday").ignore();
    notice.exec_async(&mut other).await?;
    ctx.step("Another client takes all the money:").await?;
    redis::cmd("DECRBY").arg(&ada).arg(CENTS).exec_async(&mut ctx.redis()).await?;
    ctx.step("And task A, believing that its WATCH holds:").await?;
    let done = finish(&mut one, &ada, &ben).await?;
    let after = balances(ctx, keys).await?;
    ctx.check(
        "EXEC did not refuse: the WATCH was gone, and ada owes 100 euros",
        seen == CENTS && done && after == (-CENTS, CENTS),
    )?;
    ctx.step(
        "So a connection of one's own for WATCH, for as long as it lasts; with many clients, a pool of them.",
    )
    .await?;
    Ok(())
}

/// The end of a transfer whose account is watched: true if EXEC ran it, false if it refused.
async fn finish(redis: &mut impl ConnectionLike, from: &str, to: &str) -> RedisResult<bool> {
    let mut transaction = redis::pipe();
    transaction.atomic();
    transaction.cmd("DECRBY").arg(from).arg(CENTS).ignore();
    transaction.cmd("INCRBY").arg(to).arg(CENTS).ignore();
    Ok(transaction.query_async::<Option<()>>(redis).await?.is_some())
}
