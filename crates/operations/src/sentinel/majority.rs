//! Two Sentinels, of which one dies together with the primary.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_server::{Choice, PRIMARY_NAME, Sentinels, Server};
use redis::{RedisError, RedisResult, Value};

use super::client::is_role;
use crate::private::{self, PATIENCE};

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
    let failed = |error: lab_server::Error| private::failure(&error);
    let refused = |error: RedisError| private::failure(&error);
    let builder = Server::builder().choice(choice);
    // One replica, two Sentinels, a quorum of 1.
    let mut group = Sentinels::start_with(builder, 1, 2, 1, down_after).map_err(failed)?;
    let client = group.sentinels[0].client();
    // It gives up after a second, not after five.
    let mut sentinel = client.get_connection().map_err(refused)?;
    let mut setting = redis::cmd("SENTINEL");
    setting.arg("SET").arg(PRIMARY_NAME).arg("failover-timeout").arg(1_000);
    setting.exec(&mut sentinel).map_err(refused)?;

    let mut listener = client.get_connection().map_err(refused)?;
    let mut events = listener.as_pubsub();
    events.psubscribe("*").map_err(refused)?;
    group.sentinels[1].kill();
    group.data.primary.kill();
    let events = events_until_it_gives_up(&mut events).map_err(refused)?;

    let mut check = redis::cmd("SENTINEL");
    check.arg("CKQUORUM").arg(PRIMARY_NAME);
    let verdict = match check.query::<String>(&mut sentinel) {
        Ok(verdict) => verdict,
        Err(error) => private::server_error(&error),
    };
    let mut replica = group.data.replicas[0].client().get_connection().map_err(refused)?;
    let role: Vec<Value> = redis::cmd("ROLE").query(&mut replica).map_err(refused)?;
    let role = if is_role(&role, "slave") { "slave" } else { "master" };
    Ok(Attempt { events, verdict, role: role.to_owned() })
}

/// The events of the primary and of the election: the name of each, and what it is about.
fn events_until_it_gives_up(pubsub: &mut redis::PubSub<'_>) -> RedisResult<Vec<String>> {
    let begun = Instant::now();
    let mut events = Vec::new();
    pubsub.set_read_timeout(Some(PATIENCE))?;
    while begun.elapsed() < PATIENCE {
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
