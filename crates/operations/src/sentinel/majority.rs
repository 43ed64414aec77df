//! Two Sentinels, of which one dies together with the primary.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_server::{Choice, PRIMARY_NAME, Sentinels, Server};
use redis::{RedisResult, Value};

use super::client::is_role;
use crate::private::{self, READY_TIMEOUT};

/// What the remaining Sentinel did.
pub struct Attempt {
    /// What it published, from the death of the primary to the end of its attempt.
    pub events: Vec<String>,
    /// What it says about its chances.
    pub verdict: String,
    /// What the replica is afterward: `slave`, or `master` if it was promoted.
    pub role: String,
}

/// Blocks until the remaining Sentinel gives up.
pub fn fail_over_with_two(choice: Choice, down_after: Duration) -> Result<Attempt, Failure> {
    let builder = Server::builder().choice(choice);
    // One replica, two Sentinels, a quorum of 1.
    let group = Sentinels::start_with(builder, 1, 2, 1, down_after);
    let mut group = group.map_err(private::failure)?;
    lose_one_machine(&mut group).map_err(private::failure)
}

fn lose_one_machine(group: &mut Sentinels) -> RedisResult<Attempt> {
    let client = group.sentinels[0].client();
    let mut sentinel = client.get_connection()?;
    // It gives up after a second, not after five.
    sentinel_command("SET").arg("failover-timeout").arg(1_000).exec(&mut sentinel)?;
    let mut listener = client.get_connection()?;
    let mut events = listener.as_pubsub();
    events.psubscribe("*")?;

    group.sentinels[1].kill();
    group.data.primary.kill();
    let events = events_until_it_gives_up(&mut events)?;
    let verdict = sentinel_command("CKQUORUM").query(&mut sentinel);
    let verdict = verdict.unwrap_or_else(|error| private::server_error(&error));
    let mut replica = group.data.replicas[0].client().get_connection()?;
    let role: Vec<Value> = redis::cmd("ROLE").query(&mut replica)?;
    let role = if is_role(&role, "slave") { "slave" } else { "master" };
    Ok(Attempt { events, verdict, role: role.to_owned() })
}

/// A command of Sentinel on the primary that it watches.
fn sentinel_command(name: &str) -> redis::Cmd {
    let mut command = redis::cmd("SENTINEL");
    command.arg(name).arg(PRIMARY_NAME);
    command
}

/// The events of the primary and of the election: the name of each, and what it is about.
fn events_until_it_gives_up(pubsub: &mut redis::PubSub<'_>) -> RedisResult<Vec<String>> {
    let begun = Instant::now();
    let mut events = Vec::new();
    pubsub.set_read_timeout(Some(READY_TIMEOUT))?;
    while begun.elapsed() < READY_TIMEOUT {
        let message = pubsub.get_message()?;
        let payload: String = message.get_payload()?;
        let name = message.get_channel_name().to_owned();
        let about = payload.split(' ').next().unwrap_or_default();
        let ended = name == "-failover-abort-not-elected" || name == "+switch-master";
        events.push(if about.len() < 40 { format!("{name} {about}") } else { name });
        if ended {
            break;
        }
    }
    Ok(events)
}
