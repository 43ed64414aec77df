//! Who has a key in a cluster, and what do clients notice when that changes?
//!
//! `cargo ops cluster`, and with more slots `cargo ops reshard --slots 1000`

mod atomic;
mod failover;
mod group;
mod hot_slot;
mod redirections;
mod resharding;
mod traffic;

use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::{BoxError, Lesson, LessonContext, outcome, source};

use self::group::Group;
use crate::private::{self, code};

/// Slots, redirections, a live reshard, and a failover.
pub static LESSON: Lesson = Lesson {
    name: "cluster",
    title: "Cluster",
    question: "Who has a key in a cluster, and what do clients notice when that changes?",
    commands: &["CLUSTER KEYSLOT", "CLUSTER SETSLOT", "ASKING", "MIGRATE", "CLUSTER FAILOVER"],
    needs: &[],
    sources: &[
        source!("src/cluster.rs"),
        source!("src/cluster/group.rs"),
        source!("src/cluster/redirections.rs"),
        source!("src/cluster/resharding.rs"),
        source!("src/cluster/atomic.rs"),
        source!("src/cluster/hot_slot.rs"),
        source!("src/cluster/failover.rs"),
        source!("src/cluster/traffic.rs"),
    ],
    rule: "A cluster moves slots, not keys: what must stay together shares a tag, and what is hot must not.",
    takeaways: &[
        "MOVED changes the client's map. ASK holds for one command, and needs ASKING on the same connection right before it.",
        "Test your own client with slots that move: the server loses nothing, but the client may.",
        "A failover takes the node timeout and an election. Until then, by default, the other slots may refuse too.",
    ],
    quiz: &[30, 31, 32, 33, 34, 35, 36, 129, 151, 156],
    run: |ctx| Box::pin(outcome(run(ctx, USUAL_SLOTS))),
};

/// How many slots move if nothing else is said.
pub const USUAL_SLOTS: u16 = 20;
/// The most slots that can move: those that no other part of the lesson uses.
pub const MOST_SLOTS: u16 = 2_500;

/// Runs the lesson and moves so many slots, 1 to [`MOST_SLOTS`].
pub async fn command(args: &TargetArgs, slots: u16, output: &OutputArgs) -> Result<(), Failure> {
    let target = course::open(args).await?;
    course::run_with(&target, &LESSON, output, move |ctx| Box::pin(outcome(run(ctx, slots)))).await
}

async fn run(ctx: &mut LessonContext, moved: u16) -> Result<(), BoxError> {
    let group = start(ctx).await?;
    slots(ctx, &group).await?;
    several_slots(ctx, &group).await?;
    redirections::moved(ctx, &group).await?;
    redirections::ask(ctx, &group).await?;
    redirections::end_the_move(ctx, &group).await?;
    let by_slot = resharding::compare(ctx, &group, moved).await?;
    atomic::compare(ctx, &group, &by_slot, moved).await?;
    hot_slot::find(ctx, &group).await?;
    failover::compare(ctx, &group).await?;
    group.stop().await
}

async fn start(ctx: &LessonContext) -> Result<Group, BoxError> {
    ctx.step(
        "This lesson moves slots and kills a node. So it starts a cluster of its own and leaves your server alone: three primaries, \
         node1 to node3, and a replica of each. There are 16,384 slots, and each primary serves a third of them.",
    )
    .await?;
    ctx.function("start_cluster");
    ctx.announce("lab-server starts six nodes, and joins them with CLUSTER MEET and CLUSTER REPLICATE.");
    Group::start_cluster(private::choice(ctx.target())?).await
}

async fn slots(ctx: &LessonContext, group: &Group) -> Result<(), BoxError> {
    let mut node1 = group.node(ctx, 0);
    let guess = ctx
        .step(
            "The slot of a key is a hash of its name. If the name has something in braces, a tag, then only the tag is hashed. Any node \
             can compute it:",
        )
        .predict("Are {}:1 and {}:2 in the same slot?", ["yes", "no"])
        .await?;
    let mut slots: Vec<u16> = Vec::new();
    for key in ["user:1", "user:2", "{user:1}:name", "{user:1}:cart", "{}:1", "{}:2"] {
        slots.push(redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query_async(&mut node1).await?);
    }
    guess.answer(if slots[4] == slots[5] { "yes" } else { "no" })?;
    ctx.check("two users are in two slots", slots[0] != slots[1])?;
    ctx.check("what has the tag {user:1} is in the slot of user:1", slots[2..4] == [slots[0]; 2])?;
    ctx.check("if the braces are empty, the whole name is hashed", slots[4] != slots[5])?;
    Ok(())
}

async fn several_slots(ctx: &LessonContext, group: &Group) -> Result<(), BoxError> {
    let mut node2 = group.node(ctx, 1);
    let guess = ctx
        .step(
            "Two users are in two slots, and node2 serves both slots. It gets one MSET for both users, and one for two keys with the same \
             tag:",
        )
        .predict("Which MSET does node2 accept?", ["both", "only the one with the tag", "neither"])
        .await?;
    let mut apart = redis::cmd("MSET");
    apart.arg("user:1").arg("Parker").arg("user:2").arg("Robin");
    let both_users = apart.exec_async(&mut node2).await;
    let mut together = redis::cmd("MSET");
    together.arg("{user:1}:name").arg("Parker").arg("{user:1}:cart").arg("SKU-7");
    together.exec_async(&mut node2).await?;
    let of_both: Vec<String> =
        redis::cmd("MGET").arg(&["{user:1}:name", "{user:1}:cart"]).query_async(&mut node2).await?;
    guess.answer(if both_users.is_ok() { "both" } else { "only the one with the tag" })?;
    ctx.say("A command may have keys of one slot only, even where the node serves both: each slot can move away by itself.");
    ctx.check("keys of several slots: CROSSSLOT", code(&both_users) == Some("CROSSSLOT"))?;
    ctx.check_eq("keys of one slot: both are written and read at once", &of_both.len(), &2)?;
    Ok(())
}
