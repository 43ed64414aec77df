//! Members by chance.

use std::collections::HashSet;

use lab_runner::{LessonContext, Outcome};
use redis::AsyncTypedCommands;

use crate::keys::Keys;

const TICKETS: [&str; 6] = ["ann", "bob", "cem", "dee", "eve", "fay"];

pub(super) async fn draw(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let raffle = keys.raffle();

    ctx.step(
        "SRANDMEMBER draws by chance and leaves the Set as it is. With a positive count all drawn are different, so there \
         are at most as many as the Set has. With a negative one each is drawn anew, and may come again.",
    ).await?;
    redis.sadd(&raffle, &TICKETS).await?;
    let few = redis.srandmember_multiple(&raffle, 3).await?;
    let all = redis.srandmember_multiple(&raffle, 10).await?;
    let with_repeats = redis.srandmember_multiple(&raffle, -10).await?;
    let different = |drawn: &[String]| drawn.iter().collect::<HashSet<_>>().len();
    ctx.check("three different ones", few.len() == 3 && different(&few) == 3)?;
    ctx.check("10 of 6 are 6", all.len() == 6 && different(&all) == 6)?;
    ctx.check(
        "-10 of 6 are 10, so some came twice",
        with_repeats.len() == 10 && different(&with_repeats) <= 6,
    )?;

    ctx.step("For a raffle, a ticket must be drawn once. SPOP draws and removes in one step:").await?;
    let winners: Vec<String> = redis::cmd("SPOP").arg(&raffle).arg(5).query_async(&mut redis).await?;
    let left = redis.smembers(&raffle).await?;
    ctx.check(
        "five winners, all different, and none of them is left",
        different(&winners) == 5 && left.len() == 1 && winners.iter().all(|winner| !left.contains(winner)),
    )?;

    ctx.step("Break it: draw with SRANDMEMBER, and remove with SREM. Two clients, A and B, draw for the last prize:").await?;
    let (mut a, mut b) = (ctx.dedicated_redis().await?, ctx.dedicated_redis().await?);
    let drawn = (a.srandmember(&raffle).await?, b.srandmember(&raffle).await?);
    let removed = (a.srem(&raffle, &drawn.0).await?, b.srem(&raffle, &drawn.1).await?);
    ctx.check("one ticket, and two who believe that it won", drawn.0.is_some() && drawn.0 == drawn.1)?;
    ctx.check("only the answers of SREM tell: 1 and 0", removed == (1, 0))?;

    ctx.step("The same with SPOP:").await?;
    redis.sadd(&raffle, "gus").await?;
    let mut drawn = Vec::new();
    for client in [&mut a, &mut b] {
        drawn.push(redis::cmd("SPOP").arg(&raffle).query_async::<Option<String>>(client).await?);
    }
    ctx.check_eq("one has the ticket, the other nil", &drawn, &vec![Some("gus".into()), None])
}
