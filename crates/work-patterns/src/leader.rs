//! Of many processes, which one leads, and how does it learn that it no longer does?
//!
//! `cargo work leader`

mod two_leaders;

use std::time::{Duration, Instant};

use lab_connection::Connection;
use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::{Table, duration};
use lab_runner::{BoxError, Lesson, LessonContext, Retry, outcome, source};
use patterns::fence::{self, Fence, FenceError};
use patterns::leader::{self, CAMPAIGN, Candidate, Elections, RESIGN, Standing};
use redis::AsyncTypedCommands;

pub use self::two_leaders::{Way, elections_with_two_leaders};

/// One process that leads, and how it learns that it no longer does.
pub static LESSON: Lesson = Lesson {
    name: "leader",
    title: "Leader",
    question: "Of many processes, which one leads, and how does it learn that it no longer does?",
    commands: &["EVALSHA", "GET", "PTTL"],
    needs: &[],
    sources: &[source!("src/leader.rs"), source!("src/leader/two_leaders.rs")],
    rule: "A leader holds a lease that it renews, stops by its own clock, and sends its term with every write.",
    takeaways: &[
        "Reading who leads and then writing your name elects two leaders. One script elects one.",
        "Count the lease from before you asked, by a monotonic clock, and stop a little early.",
        "A process that was stopped writes late, whatever its clock says. Only the record can refuse.",
    ],
    quiz: &[74],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

const DAY: Duration = Duration::from_hours(24);
/// Elections with two candidates at the same moment.
const ELECTIONS: usize = 10;
/// Leaders that are lost.
const TAKEOVERS: usize = 3;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let elections = Elections::new(ctx.target().connection(), ctx.prefix());
    let records = Fence::new(ctx.target().connection(), ctx.prefix());
    let [leading, term] = elections.keys("reports")?;
    let record = records.key("schedule")?.as_str().to_owned();
    let mut keys = vec![leading.clone(), term.clone(), record.clone()];
    keys.extend(elections.keys("takeovers")?);
    keys.extend(two_leaders::keys(ctx.target(), ELECTIONS)?);
    ctx.start_clean(&keys).await?;
    load(ctx, &[leader::scripts(), fence::scripts()]).await?;

    elect_two(ctx).await?;
    elect_one(ctx).await?;
    take_over(ctx, &elections).await?;
    stop_a_leader(ctx, &leading, &record).await?;

    ctx.keys([leading, term, record]);
    Ok(())
}

async fn elect_two(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "Three processes can send the daily reports, and one should. The obvious code reads who leads, and if nobody does, writes its \
         own name. Two of them start at the same moment, and both read before one writes:",
    )
    .await?;
    ctx.function("by_get_and_set");
    let guess = ctx.predict("In how many of 10 elections do both lead?", ["none", "some", "all"]).await?;
    ctx.announce("In each of 10 elections, two candidates send GET and SET, or EVALSHA. UNLINK cleans up.");
    let mut table =
        Table::new("Two candidates at the same moment", &["approach", "elections", "with two leaders"]);
    let mut results = Vec::new();
    for way in Way::ALL {
        let two = elections_with_two_leaders(way, ctx.target(), ELECTIONS).await?;
        table = table.labeled(way.label(), [ELECTIONS, two]);
        results.push(two);
    }
    ctx.table(table);
    guess.answer(match results[0] {
        0 => "none",
        ELECTIONS => "all",
        _ => "some",
    })?;
    ctx.check_eq("the script never elects two", &results, &vec![ELECTIONS, 0])?;
    Ok(())
}

async fn elect_one(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "The pattern's script elects and renews. The leader's key has a TTL, the lease, so a leader that dies leads no longer than \
         that. Each term has a number that is higher than all before it.",
    )
    .await?;
    ctx.script(&lua(&CAMPAIGN).whole()).await?;
    ctx.script(&lua(&RESIGN).contract()).await?;

    let elections = Elections::new(ctx.redis(), ctx.prefix());
    let (worker_1, worker_2) = (Candidate::new("worker-1")?, Candidate::new("worker-2")?);
    let guess = ctx
        .step(
            "Two candidates campaign. The first one leads, the second one learns who does. Then the leader campaigns again, which renews \
             its lease, and resigns. Anyone can ask who leads. Each candidate notes a monotonic time before it asks, and counts its lease \
             from there, so by its own clock the lease ends first:",
        )
        .predict("After the leader renews, what is the number of its term?", ["the same", "a higher one"])
        .await?;
    let first = elections.campaign("reports", &worker_1).await?;
    let second = elections.campaign("reports", &worker_2).await?;
    let renewed = elections.campaign("reports", &worker_1).await?;
    let resigned = elections.resign("reports", &worker_1).await?;
    let next = elections.campaign("reports", &worker_2).await?;
    let leader = elections.leader("reports").await?;
    let (Standing::Leads(first), Standing::Leads(renewed), Standing::Leads(next)) = (first, renewed, next)
    else {
        return Err("both lead in turn".into());
    };
    guess.answer(if renewed.number == first.number { "the same" } else { "a higher one" })?;
    ctx.check(
        "worker 2 followed worker 1",
        matches!(second, Standing::Follows(leader) if leader.candidate == "worker-1"),
    )?;
    ctx.check("the lease was renewed in the same term", renewed.number == first.number && resigned)?;
    ctx.check("worker 2 leads in a later term", next.number > first.number)?;
    ctx.check(
        "the lease ends by worker 2's own clock before it does by the server's",
        leader.is_some_and(|leader| leader.term == next.number && next.lease.left() < leader.expires_in),
    )?;
    Ok(())
}

async fn take_over(ctx: &LessonContext, elections: &Elections<Connection>) -> Result<(), BoxError> {
    let lease = Duration::from_millis(300 + 6 * u64::try_from(ctx.round_trip().as_millis())?);
    let elections = elections.clone().with_lease(lease);
    ctx.step(format!(
        "Elections::stand does all of that in the background: it campaigns, renews three times per lease, and campaigns again after a \
         lost term. Here two candidates stand, with leases of {} ms. The leader dies, without a word, and the other one takes over:",
        lease.as_millis(),
    ))
    .await?;
    ctx.announce("Both candidates send EVALSHA in the background until they are dropped.");
    let mut table = Table::new("Takeovers", &["leader lost", "the next one led after", "lease"]);
    let mut leading = elections.stand("takeovers", "worker-0")?;
    let mut term = leading.elected().await;
    let mut rising = true;
    for lost in 1..=TAKEOVERS {
        let next = elections.stand("takeovers", &format!("worker-{lost}"))?;
        drop(std::mem::replace(&mut leading, next)); // the leader dies
        let died = Instant::now();
        let later = leading.elected().await;
        table = table.labeled(lost.to_string(), [died.elapsed(), lease].map(duration));
        rising &= later > std::mem::replace(&mut term, later);
    }
    ctx.table(table);
    ctx.check("each leader had a later term than the one before", rising)?;
    leading.resign().await?;
    ctx.say(
        "The lease of a lost leader has to end first. Each of these had just been renewed, so this is the longest wait: otherwise only \
         what is left of the lease remains. A candidate asks again at that moment. If nobody else has taken over, a leader that lost the server leads again, without a restart.",
    );
    Ok(())
}

async fn stop_a_leader(ctx: &LessonContext, leading: &str, record: &str) -> Result<(), BoxError> {
    let lease = Duration::from_millis(50) + 4 * ctx.round_trip();
    let records = Fence::new(ctx.redis(), ctx.prefix());
    let elections = Elections::new(ctx.redis(), ctx.prefix());
    let (worker_1, worker_2) = (Candidate::new("worker-1")?, Candidate::new("worker-2")?);
    ctx.step(
        "A leader that was stopped writes before it looks at any clock. So the record has to refuse it, as with a lock. The term is the \
         number of a fence:",
    )
    .await?;
    ctx.script(&lua(&fence::WRITE).contract()).await?;
    let mut untraced =
        ctx.untraced("UNLINK ends the former term, and EXISTS asks until the short lease has ended.");
    untraced.unlink(leading).await?;
    ctx.step(format!(
        "A leader is stopped for longer than its lease of {} ms: SIGSTOP, a garbage collection, a suspended machine. Another one takes \
         over and writes. Then the first one goes on. It sends its term with the write:",
        lease.as_millis(),
    ))
    .await?;
    let Standing::Leads(old) = elections.clone().with_lease(lease).campaign("reports", &worker_1).await?
    else {
        return Err("worker 1 leads".into());
    };
    wait_until_gone(&mut untraced, leading).await?; // worker 1 is stopped here
    let Standing::Leads(new) = elections.with_lease(DAY).campaign("reports", &worker_2).await? else {
        return Err("worker 2 leads".into());
    };
    records.write("schedule", new.number, &[("sent_by", "worker-2")]).await?;
    let over = !old.lease.is_held();
    let late = records.write("schedule", old.number, &[("sent_by", "worker-1")]).await;
    untraced.expire(record, DAY.as_secs().cast_signed()).await?;
    ctx.announce("EXPIRE gives the record a day, so that you find it in Redis Insight.");
    ctx.check("worker 1 sees by its own clock that its term is over", over)?;
    ctx.check(
        "and if it does not look, the record refuses the write of the older term",
        matches!(late, Err(FenceError::Stale { seen, .. }) if seen == new.number),
    )?;
    Ok(())
}

async fn wait_until_gone(redis: &mut Connection, key: &str) -> Result<(), BoxError> {
    let mut retry = Retry::within(Duration::from_secs(10));
    while redis.exists(key).await? {
        retry.again("the lease ends").await?;
    }
    Ok(())
}
