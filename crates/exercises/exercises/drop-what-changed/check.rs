//! Prices change behind the program's back, and reads of those that do not change cost nothing.

use std::time::{Duration, Instant};

use exercises::check_prelude::{Fault, Lab, Passed, Verdict, ensure, in_time};
use tokio::time::sleep;

use super::attempt::{Cache, connect, price};

/// What is asked for is half a second.
const SOON: Duration = Duration::from_millis(500);
const READS: usize = 1_000;
const MOST_COMMANDS: u64 = 30;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut shop = server.connect().await?;
    let set = ["price:lamp", "100", "price:desk", "200", "price:sofa", "300"];
    redis::cmd("MSET").arg(&set).exec_async(&mut shop).await?;
    let cache = Cache::default();
    let mut redis = in_time(connect(&server.client(), &cache)).await??;
    let asked = async || -> Result<u64, Fault> {
        let calls = server.calls().await?;
        let names = ["get", "mget", "exists", "strlen", "hget", "eval", "evalsha", "xread"];
        Ok(names.iter().filter_map(|name| calls.get(*name)).sum())
    };

    let before = asked().await?;
    for number in 0..READS {
        let (product, expected) = [("lamp", "100"), ("desk", "200")][number % 2];
        let got = in_time(price(&mut redis, &cache, product)).await??;
        ensure(got.as_deref() == Some(expected), || {
            Fault::new(format!("price:{product} is {expected}, and the program says {got:?}."))
        })?;
    }
    let cost = asked().await? - before;
    ensure(cost <= MOST_COMMANDS, || {
        Fault::new(format!(
            "For {READS} reads of two prices that did not change, it asked the server {cost} times."
        ))
    })?;

    let changes: [(&[&str], &str, Option<&str>); 7] = [
        (&["SET", "price:lamp", "150"], "lamp", Some("150")),
        (&["SET", "price:lamp", "160"], "lamp", Some("160")),
        (&["MSET", "price:lamp", "170", "price:desk", "270"], "desk", Some("270")),
        (&["SET", "price:unread", "1"], "lamp", Some("170")),
        (&["DEL", "price:desk"], "desk", None),
        (&["SET", "price:desk", "280"], "desk", Some("280")),
        (&["FLUSHALL"], "lamp", None),
    ];
    for (change, product, expected) in changes {
        redis::cmd(change[0]).arg(&change[1..]).exec_async(&mut shop).await?;
        let begun = Instant::now();
        loop {
            let got = in_time(price(&mut redis, &cache, product)).await??;
            if got.as_deref() == expected {
                break;
            }
            ensure(begun.elapsed() < SOON, || {
                let got = got.unwrap_or_else(|| "nothing".to_owned());
                Fault::new(format!(
                    "Somebody sent {}, and {} ms later the program still says {got} for price:{product}.",
                    change.join(" "),
                    SOON.as_millis()
                ))
            })?;
            sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(Passed::with(format!(
        "{READS} reads asked the server {cost} times; {} changes arrived.",
        changes.len()
    )))
}
