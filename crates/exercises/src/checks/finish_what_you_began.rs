//! A worker that starts again gets what it left.

use redis::Value;

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let add = async |redis: &mut _, number: usize| {
        redis::cmd("XADD").arg(&["mail", "*", "to"]).arg(format!("mail-{number}")).exec_async(redis).await
    };
    for number in 1..=3 {
        add(&mut redis, number).await?;
    }
    redis::cmd("XGROUP").arg(&["CREATE", "mail", "senders", "0"]).exec_async(&mut redis).await?;
    let died = ["GROUP", "senders", "worker-1", "COUNT", "3", "STREAMS", "mail", ">"];
    redis::cmd("XREADGROUP").arg(&died).exec_async(&mut redis).await?;
    for number in 4..=5 {
        add(&mut redis, number).await?;
    }

    let mut worker = Player::connect(&server, "worker-1").await?;
    let replies = commands.with("$worker", "worker-1").play(&mut worker).await?;
    let got = |number: usize| replies.iter().any(|reply| holds(reply, &format!("mail-{number}")));
    for number in 1..=5 {
        let why = if number <= 3 {
            format!("mail-{number} was read by the worker before it died, and never comes back.")
        } else {
            format!("mail-{number} is a new message, and the worker did not get it.")
        };
        ensure(got(number), || Fault::new(why).observed(worker.log.clone()))?;
    }
    let pending = redis::cmd("XPENDING").arg(&["mail", "senders"]).query_async(&mut redis).await?;
    let (pending, _, _, _): (u64, Value, Value, Value) = pending;
    ensure(pending == 5, || {
        Fault::new(format!(
            "The worker saw all five, but the group does not know that it has them: {pending} are pending. Another worker would get the others again."
        ))
        .observed(worker.log.clone())
    })?;
    Ok(Passed::with("The worker got the three messages that it had left, and the two new ones."))
}

/// Whether this text is anywhere in a reply.
fn holds(reply: &Value, text: &str) -> bool {
    match reply {
        Value::BulkString(bytes) => bytes == text.as_bytes(),
        Value::SimpleString(string) => string == text,
        Value::Array(items) | Value::Set(items) => items.iter().any(|item| holds(item, text)),
        Value::Map(pairs) => pairs.iter().any(|(key, value)| holds(key, text) || holds(value, text)),
        _ => false,
    }
}
