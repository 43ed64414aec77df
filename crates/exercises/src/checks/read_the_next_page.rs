//! Pages that stay right while articles arrive.

use redis::aio::MultiplexedConnection;

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const ON_A_PAGE: usize = 10;

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let mut reader = Player::connect(&server, "reader").await?;
    for time in 1..=40 {
        publish(&mut redis, time).await?;
    }
    let mut newest = 40;
    let (mut shown, mut before): (Vec<u32>, String) = (Vec::new(), "+inf".into());
    for page in 0..4 {
        let first = page * ON_A_PAGE;
        let read = commands
            .with("$first", &first.to_string())
            .with("$last", &(first + ON_A_PAGE - 1).to_string())
            .with("$before", &before);
        let replies = read.play(&mut reader).await?;
        let articles: Vec<String> =
            replies.last().and_then(|reply| redis::from_redis_value(reply.clone()).ok()).unwrap_or_default();
        let times: Vec<u32> =
            articles.iter().filter_map(|article| article.strip_prefix("article-")?.parse().ok()).collect();
        let log = || {
            [
                format!("Page {}: {}", page + 1, articles.join(", ")),
                "After each page, three new articles arrive.".into(),
            ]
        };
        ensure(times.len() == ON_A_PAGE, || {
            Fault::new(format!("Page {} has {} articles.", page + 1, articles.len())).observed(log())
        })?;
        if let Some(twice) = times.iter().find(|time| shown.contains(time)) {
            return Err(Fault::new(format!("article-{twice} was shown twice.")).observed(log()));
        }
        let expected: Vec<u32> =
            (1..=40 - u32::try_from(first).unwrap_or_default()).rev().take(ON_A_PAGE).collect();
        ensure(times == expected, || {
            Fault::new(format!("Page {} does not go on where the last one ended, newest first: it should begin with article-{}.", page + 1, expected[0])).observed(log())
        })?;
        before = times.last().map(u32::to_string).unwrap_or_default();
        shown.extend(times);
        for _ in 0..3 {
            newest += 1;
            publish(&mut redis, newest).await?;
        }
    }
    Ok(Passed::with("Four pages, twelve new articles in between: each of the 40 was shown once."))
}

async fn publish(redis: &mut MultiplexedConnection, time: u32) -> Result<(), Fault> {
    Ok(redis::cmd("ZADD").arg("news").arg(time).arg(format!("article-{time}")).exec_async(redis).await?)
}
