//! MOVED and ASK, as a client without support for clusters sees them.

use lab_runner::{BoxError, LessonContext};
use redis::RedisResult;

use super::group::Group;
use crate::private::code;

/// The slot of the tag `{a}`, which node3 serves.
pub(super) const SLOT: u16 = 15_495;

/// The slot of `user:1` belongs to node2.
pub(super) async fn moved(ctx: &LessonContext, group: &Group) -> Result<(), BoxError> {
    let (mut node1, mut node2) = (group.node(ctx, 0), group.node(ctx, 1));
    ctx.step(
        "Each node knows who serves which slot. Ask the wrong one, and it answers MOVED, with the slot and the right address. A client \
         for clusters updates its map and asks there. This one is a plain connection to one node, so you see the answer:",
    )
    .await?;
    let wrong: RedisResult<String> = redis::cmd("GET").arg("{user:1}:name").query_async(&mut node1).await;
    let right: String = redis::cmd("GET").arg("{user:1}:name").query_async(&mut node2).await?;
    ctx.check("node1 answers MOVED, and names node2's port", names(&wrong, "MOVED", group.nodes[1].port))?;
    ctx.check_eq("node2 has it", &right.as_str(), &"Parker")?;
    Ok(())
}

/// A slot on its way from node3 to node1.
pub(super) async fn ask(ctx: &LessonContext, group: &Group) -> Result<(), BoxError> {
    let (mut node1, mut node3) = (group.node(ctx, 0), group.node(ctx, 2));
    let [id1, id3] = [0, 2].map(|index| group.nodes[index].id.as_str());
    let guess = ctx
        .step(
            "Now a slot moves, with its keys, from node3 to node1. First node1 learns that the slot comes, then node3 that it goes. From \
             here on, node3 answers for the keys that it still has. A client asks node3 for one that exists nowhere:",
        )
        .predict("What does node3 reply?", ["nil", "MOVED, go to node1", "ASK node1"])
        .await?;
    redis::cmd("SET").arg("{a}:old").arg("1").exec_async(&mut node3).await?;
    set_slot(&mut node1, "IMPORTING", id3).await?;
    set_slot(&mut node3, "MIGRATING", id1).await?;
    let old: String = redis::cmd("GET").arg("{a}:old").query_async(&mut node3).await?;
    let new: RedisResult<String> = redis::cmd("GET").arg("{a}:new").query_async(&mut node3).await;
    guess.answer(match code(&new) {
        Some("ASK") => "ASK node1",
        Some("MOVED") => "MOVED, go to node1",
        _ => "nil",
    })?;
    ctx.say("node3 can't know whether the key has moved already, or never was.");
    ctx.check_eq("a key that is still there is served", &old.as_str(), &"1")?;
    ctx.check(
        "for any other key, the answer is ASK, and names node1's port",
        names(&new, "ASK", group.nodes[0].port),
    )?;

    ctx.step(
        "node1 does not own the slot yet. It accepts a command for it only right after ASKING, on the same connection. That holds for \
         one command. A command with several keys of which some have not arrived gets TRYAGAIN:",
    )
    .await?;
    let early = redis::cmd("SET").arg("{a}:new").arg("2").exec_async(&mut node1).await;
    let mut asking = redis::pipe();
    asking.cmd("ASKING").cmd("SET").arg("{a}:new").arg("2");
    asking.exec_async(&mut node1).await?;
    let again: RedisResult<String> = redis::cmd("GET").arg("{a}:new").query_async(&mut node1).await;
    let mut both = redis::pipe();
    both.cmd("ASKING").cmd("MGET").arg("{a}:old").arg("{a}:new");
    let both = both.exec_async(&mut node1).await;
    let port3 = group.nodes[2].port;
    ctx.check(
        "without ASKING, node1 answers MOVED, and names node3's port",
        names(&early, "MOVED", port3) && names(&again, "MOVED", port3),
    )?;
    ctx.check("keys on both sides: TRYAGAIN", code(&both) == Some("TRYAGAIN"))?;
    Ok(())
}

/// Sends the keys and gives the slot to node1.
pub(super) async fn end_the_move(ctx: &LessonContext, group: &Group) -> Result<(), BoxError> {
    let (mut node1, mut node3) = (group.node(ctx, 0), group.node(ctx, 2));
    let (id1, port1, password) = (&group.nodes[0].id, group.nodes[0].port, group.password().await?);
    ctx.step(
        "MIGRATE sends keys to node1 and deletes them here, in one step. Then both learn the new owner, the new owner first. If node3 \
         learned it first, nobody would own the slot for a moment.",
    )
    .await?;
    let mut migrate = redis::cmd("MIGRATE");
    migrate.arg("127.0.0.1").arg(port1).arg("").arg(0).arg(5_000).arg("AUTH").arg(password);
    migrate.arg("KEYS").arg("{a}:old").exec_async(&mut node3).await?;
    set_slot(&mut node1, "NODE", id1).await?;
    set_slot(&mut node3, "NODE", id1).await?;
    let gone: RedisResult<String> = redis::cmd("GET").arg("{a}:old").query_async(&mut node3).await;
    let both: Vec<String> = redis::cmd("MGET").arg(&["{a}:old", "{a}:new"]).query_async(&mut node1).await?;
    ctx.check("node3 answers MOVED", names(&gone, "MOVED", port1))?;
    ctx.check_eq("node1 has both keys", &both, &vec!["1".to_owned(), "2".to_owned()])?;
    let owner = group.with(|cluster| cluster.owner_of(SLOT)).await?;
    ctx.check_eq("soon all nodes know", &owner, &0)?;
    Ok(())
}

async fn set_slot(
    node: &mut (impl redis::aio::ConnectionLike + Send),
    state: &str,
    id: &str,
) -> RedisResult<()> {
    redis::cmd("CLUSTER").arg("SETSLOT").arg(SLOT).arg(state).arg(id).exec_async(node).await
}

/// Whether it is the error `word SLOT HOST:PORT` with this port.
fn names<T>(result: &RedisResult<T>, word: &str, port: u16) -> bool {
    let error = result.as_ref().err();
    let node = error.and_then(redis::RedisError::redirect_node);
    code(result) == Some(word) && node.is_some_and(|(address, _slot)| address.ends_with(&format!(":{port}")))
}
