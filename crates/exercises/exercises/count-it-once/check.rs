//! Each request and each reply of the function is lost once, and two calls with one ID come at the same time.

use exercises::check_prelude::*;
use redis::aio::MultiplexedConnection;

use super::attempt::add_point;

/// The longest sequence of requests, or of replies, in which one is lost.
const MOST_MESSAGES: usize = 6;
/// How often the caller calls again.
const CALLS: usize = 5;
const PAIRS: usize = 3;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let mut gate = Gate::in_front_of(&server).await?;
    let client = gate.client();
    let mut expected = 0;
    let mut lost = 0;
    for what in ["request", "reply"] {
        for at in 1..=MOST_MESSAGES {
            expected += 1;
            let id = format!("{what}-{at}");
            let (mut seen, mut log) = (0, Vec::new());
            let calling = in_time(async {
                let mut result = add_point(&client, &id).await;
                for _ in 1..CALLS {
                    if result.is_ok() {
                        break;
                    }
                    result = add_point(&client, &id).await;
                }
                result
            });
            let result = gate
                .during(calling, async |message| {
                    seen += usize::from(message.request == (what == "request"));
                    let cut = message.request == (what == "request") && seen == at;
                    let fate = if cut { ", which is lost" } else { "" };
                    log.push(format!("{}{fate}", message.shown()));
                    lost += usize::from(cut);
                    Ok(if cut { Action::Cut } else { Action::Pass })
                })
                .await??;
            let points = points(&mut redis).await?;
            ensure(points == expected, || {
                Fault::new(format!(
                    "The connection broke, and {what} {at} of the function was lost. The customer's request was counted {} times.",
                    (points + 1).saturating_sub(expected)
                ))
                .observed(log.clone())
            })?;
            let returned = result.map_err(|error| {
                Fault::new(format!(
                    "One {what} was lost, and after {CALLS} calls there is still an error: {error}"
                ))
                .observed(log.clone())
            })?;
            ensure(returned == points, || {
                Fault::new(format!("There are {points} points, and the function returned {returned}."))
            })?;
            if seen < at {
                break;
            }
        }
    }

    // Again, long after.
    let returned =
        gate.during(in_time(add_point(&client, "reply-1")), async |_| Ok(Action::Pass)).await???;
    ensure(returned == expected && points(&mut redis).await? == expected, || {
        Fault::new(
            "An ID that was counted before was counted 2 times: once more when the caller called again.",
        )
    })?;
    // Another customer's request comes between two messages of this one.
    let direct = server.client();
    for moment in 1..=MOST_MESSAGES {
        let (mut seen, id) = (0, format!("slow-{moment}"));
        let slow = in_time(add_point(&client, &id));
        let done = gate.during(slow, async |_| {
            seen += 1;
            if seen == moment {
                in_time(add_point(&direct, &format!("fast-{moment}"))).await??;
            }
            Ok(Action::Pass)
        });
        done.await???;
        expected += if seen < moment { 1 } else { 2 };
        let points = points(&mut redis).await?;
        ensure(points == expected, || {
            Fault::new(format!(
                "Two requests with different IDs came at the same time, and the points are {points}, not {expected}."
            ))
        })?;
    }
    // Two at the same time: the server holds all writes back until both have read what they read.
    for pair in 1..=PAIRS {
        expected += 1;
        let id = format!("pair-{pair}");
        redis::cmd("CLIENT").arg(&["PAUSE", "50", "WRITE"]).exec_async(&mut redis).await?;
        let (one, two) =
            in_time(async { tokio::join!(add_point(&direct, &id), add_point(&direct, &id)) }).await?;
        (one?, two?);
        let points = points(&mut redis).await?;
        ensure(points == expected, || {
            Fault::new(format!(
                "There were two calls at the same time with one ID, and it was counted {} times.",
                (points + 1).saturating_sub(expected)
            ))
        })?;
    }
    Ok(Passed::with(format!(
        "{expected} requests, {lost} lost messages, and {PAIRS} pairs at the same time: {expected} points."
    )))
}

async fn points(redis: &mut MultiplexedConnection) -> Result<u64, Fault> {
    let points: Option<u64> = redis::cmd("GET").arg("points").query_async(redis).await?;
    Ok(points.unwrap_or_default())
}
