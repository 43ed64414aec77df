//! Jobs wait until a worker takes them.

use redis::aio::MultiplexedConnection;

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const JOBS: usize = 20;

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let mut shop = Player::connect(&server, "shop").await?;
    for job in 1..=JOBS {
        commands.with("$job", &format!("mail-{job}")).play(&mut shop).await?;
    }
    let stored = stored(&mut redis).await?;
    let times = |job: usize| stored.iter().filter(|stored| **stored == format!("mail-{job}")).count();
    let lost = (1..=JOBS).filter(|job| times(*job) == 0).count();
    ensure(lost == 0, || {
        Fault::new(format!("No worker was there, and {lost} of {JOBS} jobs are lost."))
            .observed(shop.log.iter().take(4).cloned())
    })?;
    if let Some(job) = (1..=JOBS).find(|job| times(*job) > 1) {
        return Err(Fault::new(format!(
            "mail-{job} is stored {} times, so it will be sent as often.",
            times(job)
        )));
    }
    let mut in_order: Vec<String> = (1..=JOBS).map(|job| format!("mail-{job}")).collect();
    let forward = stored == in_order;
    in_order.reverse();
    ensure(forward || stored == in_order, || Fault::new("The jobs are not in order."))?;
    Ok(Passed::with(format!("{JOBS} jobs wait for a worker, in order, each once.")))
}

/// What is in `jobs`.
async fn stored(redis: &mut MultiplexedConnection) -> Result<Vec<String>, Fault> {
    let kind: String = redis::cmd("TYPE").arg("jobs").query_async(redis).await?;
    match kind.as_str() {
        "list" => Ok(redis::cmd("LRANGE").arg("jobs").arg(0).arg(-1).query_async(redis).await?),
        "zset" => Ok(redis::cmd("ZRANGE").arg("jobs").arg(0).arg(-1).query_async(redis).await?),
        "stream" => {
            let range = redis::cmd("XRANGE").arg("jobs").arg("-").arg("+").query_async(redis).await?;
            let entries: Vec<(String, Vec<(String, String)>)> = range;
            Ok(entries.into_iter().flat_map(|(_, fields)| fields).map(|(_, value)| value).collect())
        }
        _ => Ok(Vec::new()),
    }
}
