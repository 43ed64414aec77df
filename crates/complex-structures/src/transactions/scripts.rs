//! A script and a function: read, decide and write in one step on the server.

use lab_runner::{LessonContext, Outcome};

use super::CENTS;
use super::function::{self, Library};
use super::transfer::{Moved, TRANSFER, TRANSFER_SOURCE, Transfer};
use super::watch::{balances, open};
use crate::keys::Keys;

pub(super) async fn run_a_script(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (ada, ben) = (keys.account("ada"), keys.account("ben"));
    open(ctx, keys, CENTS, 0).await?;

    ctx.step(
        "Or fix it with a script. The server runs it as one step: it reads, decides and writes, and nobody comes between. \
         There is nothing to watch and nothing to try again.",
    ).await?;
    ctx.listing(TRANSFER_SOURCE);
    ctx.step(
        "SCRIPT LOAD stores it, EVALSHA calls it by its digest. A server may forget it, when it restarts; redis-rs then loads \
         it again.",
    ).await?;
    TRANSFER.load_async(&mut redis).await?;
    let first = Transfer::Script.once(&mut redis, &ada, &ben, CENTS).await?;
    let second = Transfer::Script.once(&mut redis, &ada, &ben, CENTS).await?;
    let after = balances(ctx, keys).await?;
    ctx.check(
        "the first moved 100 euros, the second found too little and wrote nothing",
        (first, second) == (Moved::Done, Moved::NotEnough) && after == (0, CENTS),
    )?;
    ctx.step(
        "All keys of a script are in KEYS, never built inside it, and on a cluster all are in one slot: the {bank} in the names. \
         While a script runs, everybody waits, so it must be short. And it does not roll back either: a script that fails \
         half-way leaves its first half. So it checks first, and writes last.",
    ).await?;
    Ok(())
}

pub(super) async fn call_a_function(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (ada, ben) = (keys.account("ada"), keys.account("ben"));
    open(ctx, keys, CENTS, 0).await?;

    ctx.step(
        "Since Redis 7.0 the same can be a function. A script belongs to the client that brings it; a library of functions \
         belongs to the server, which saves it with the data and copies it to its replicas, and the client calls it \
         by name.",
    ).await?;
    ctx.listing(function::SOURCE);
    Library::load(&mut redis).await?;
    let first = Transfer::Function.once(&mut redis, &ada, &ben, CENTS).await?;
    let second = Transfer::Function.once(&mut redis, &ada, &ben, CENTS).await?;
    let after = balances(ctx, keys).await?;
    ctx.check(
        "the same decisions, the same balances",
        (first, second) == (Moved::Done, Moved::NotEnough) && after == (0, CENTS),
    )?;
    ctx.step(
        "A library is there for all users of the server, and on a cluster each primary needs it. That is why this lesson loads \
         one only on its private server, and deletes it at the end.",
    ).await?;
    Ok(())
}
