//! A pipeline whose keys are in many slots of a cluster. redis-rs sends a pipeline to one node and refuses keys of
//! several slots, so it is taken apart here: the commands of each slot travel as a pipeline of their own, all of
//! them at once, and the replies come back in the order of the commands.
//!
//! A command that concerns no slot or several (DBSIZE, SCRIPT LOAD, an MGET over many keys) goes alone, after the
//! commands before it and before those after it, so that it sees what it would see on a single server.
//!
//! redis-rs answers ASK and MOVED in the middle of a pipeline by sending all of it again, to where the answer points. So while
//! a slot moves, several commands of that slot in one pipeline may be carried out more than once; one alone is not.

use std::collections::HashMap;

use futures_util::future::join_all;
use redis::aio::ConnectionLike;
use redis::cluster_routing::Slot;
use redis::{Arg, Cmd, Pipeline, RedisError, RedisResult, Value};

use super::LimitedClusterConnection;

/// Sends a pipeline that is no transaction; one reply for each command, errors included.
pub(super) async fn send(
    connection: &LimitedClusterConnection,
    pipeline: &Pipeline,
) -> RedisResult<Vec<Value>> {
    let commands: Vec<(Option<Slot>, &Cmd)> = pipeline.cmd_iter().map(|cmd| (slot_of(cmd), cmd)).collect();
    let mut replies = Vec::with_capacity(commands.len());
    for stretch in commands.chunk_by(|(one, _), (next, _)| one.is_some() && next.is_some()) {
        match stretch {
            [(None, alone)] => {
                let answer = connection.clone().req_packed_command(alone).await;
                replies.push(answer.or_else(as_reply)?);
            }
            keyed => replies.extend(by_slot(connection, keyed).await?),
        }
    }
    Ok(replies)
}

/// The commands of one slot, and where among all commands each stands.
#[derive(Default)]
struct Part {
    pipeline: Pipeline,
    indices: Vec<usize>,
}

async fn by_slot(
    connection: &LimitedClusterConnection,
    commands: &[(Option<Slot>, &Cmd)],
) -> RedisResult<Vec<Value>> {
    let mut parts: HashMap<Option<Slot>, Part> = HashMap::new();
    for (endpoint, (slot, command)) in commands.iter().enumerate() {
        let part = parts.entry(*slot).or_default();
        part.pipeline.add_command((*command).clone());
        part.indices.push(endpoint);
    }
    let sent = parts.into_values().map(|part| {
        let mut connection = connection.clone();
        async move {
            let count = part.indices.len();
            let answer = connection.req_packed_commands(&part.pipeline, 0, count).await;
            (part.indices, answer.or_else(|error| as_reply(error).map(|reply| vec![reply; count])))
        }
    });
    let mut replies = vec![Value::Nil; commands.len()];
    for (indices, answer) in join_all(sent).await {
        for (index, reply) in indices.into_iter().zip(answer?) {
            replies[index] = reply;
        }
    }
    Ok(replies)
}

/// What a server refused is the reply of that command alone; only without any reply does the pipeline fail.
fn as_reply(error: RedisError) -> RedisResult<Value> {
    match error.clone().into_server_errors().as_deref() {
        Some([(_, refused), ..]) => Ok(Value::ServerError(refused.clone())),
        _ => Err(error),
    }
}

/// The slot of the command's keys; `None` where it has no key, or keys of several slots.
fn slot_of(cmd: &Cmd) -> Option<Slot> {
    let arguments: Vec<&[u8]> = cmd
        .args_iter()
        .map(|argument| match argument {
            Arg::Simple(bytes) => bytes,
            // A cursor is no key.
            _ => b"".as_slice(),
        })
        .collect();
    let name = arguments.first()?.to_ascii_uppercase();
    let keys: &[&[u8]] = match name.as_slice() {
        b"DEL" | b"UNLINK" | b"EXISTS" | b"TOUCH" | b"MGET" => arguments.get(1..)?,
        b"MSET" => return one_slot(arguments.get(1..)?.iter().step_by(2)),
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO" => counted(&arguments, 2)?,
        b"LMPOP" | b"ZMPOP" | b"SINTERCARD" | b"ZDIFF" | b"ZINTER" | b"ZINTERCARD" | b"ZUNION" => {
            counted(&arguments, 1)?
        }
        b"XREAD" | b"XREADGROUP" => {
            let streams = arguments.iter().position(|word| word.eq_ignore_ascii_case(b"STREAMS"))? + 1;
            // As many keys as there are IDs after them.
            arguments.get(streams..streams + (arguments.len() - streams) / 2)?
        }
        b"BITOP" | b"MEMORY" | b"OBJECT" | b"XGROUP" | b"XINFO" => arguments.get(2..3)?,
        b"ACL" | b"AUTH" | b"CLIENT" | b"CLUSTER" | b"COMMAND" | b"CONFIG" | b"DEBUG" | b"ECHO"
        | b"FLUSHALL" | b"FLUSHDB" | b"FUNCTION" | b"INFO" | b"JSON.MGET" | b"JSON.MSET" | b"KEYS"
        | b"LATENCY" | b"MODULE" | b"PING" | b"PUBSUB" | b"SCAN" | b"SCRIPT" | b"SLOWLOG" | b"WAIT"
        | b"WAITAOF" => return None,
        _ => arguments.get(1..2)?,
    };
    one_slot(keys.iter())
}

/// The keys behind their count, which is the argument at `at`.
fn counted<'a>(arguments: &'a [&'a [u8]], at: usize) -> Option<&'a [&'a [u8]]> {
    let count: usize = std::str::from_utf8(arguments.get(at)?).ok()?.parse().ok()?;
    arguments.get(at + 1..at.checked_add(1)?.checked_add(count)?)
}

fn one_slot<'a>(keys: impl Iterator<Item = &'a &'a [u8]>) -> Option<Slot> {
    let mut slots = keys.map(Slot::for_key);
    let first = slots.next()?;
    slots.all(|slot| slot == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(line: &str) -> Option<Slot> {
        let mut cmd = Cmd::new();
        for word in line.split(' ') {
            cmd.arg(word);
        }
        slot_of(&cmd)
    }

    #[test]
    fn keys_are_found_where_each_command_has_them() {
        let user = Some(Slot::for_key("user:1"));
        for line in [
            "GET user:1",
            "set user:1 Parker",
            "DEL user:1",
            "MGET {user:1}:a {user:1}:b",
            "MSET {user:1}:a 1 {user:1}:b 2",
            "EVALSHA 5f 1 user:1 cart:1",
            "XREAD COUNT 2 STREAMS user:1 0",
            "XREADGROUP GROUP g c STREAMS {user:1}:a {user:1}:b > >",
            "OBJECT ENCODING user:1",
            "MEMORY USAGE user:1",
            "ZUNION 2 {user:1}:a {user:1}:b",
        ] {
            assert_eq!(slot(line), user, "{line}");
        }
    }

    #[test]
    fn commands_of_no_slot_or_of_several_are_told_apart() {
        for line in [
            "PING",
            "DBSIZE",
            "SCRIPT LOAD x",
            "KEYS *",
            "EVAL x 0",
            "EVAL x nonsense user:1",
            "EVAL x 18446744073709551615 user:1",
            "MGET user:1 user:2",
            "MSET user:1 a user:2 b",
            "XREAD STREAMS",
            "DEL",
        ] {
            assert_eq!(slot(line), None, "{line}");
        }
    }
}
