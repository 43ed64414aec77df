//! Forty requests in two processes miss at once, and later one dies while it loads.

use std::cell::Cell;
use std::time::Duration;

use exercises::check_prelude::*;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::{attempt, second_process};

const REQUESTS: usize = 20;
/// Up to 300 ms is allowed. This leaves time for a busy machine.
const LOAD: Duration = Duration::from_millis(100);
const PRICE: &str = "19.99";

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let (first, second) = (server.connect().await?, server.connect().await?);
    let loads = Cell::new(0);
    let load = async || {
        loads.set(loads.get() + 1);
        sleep(LOAD).await;
        PRICE.to_owned()
    };
    let everybody = async |product: &str| -> Result<(), Fault> {
        let here = join_all((0..REQUESTS).map(|_| attempt::price(&first, product, load)));
        let there = join_all((0..REQUESTS).map(|_| second_process::price(&second, product, load)));
        let (here, there) = in_time(async { tokio::join!(here, there) }).await?;
        for got in here.into_iter().chain(there) {
            let got = got?;
            ensure(got == PRICE, || Fault::new(format!("A request got {got:?}, and not the price.")))?;
        }
        Ok(())
    };

    everybody("lamp").await?;
    ensure(loads.get() == 1, || {
        Fault::new(format!(
            "{} requests in two processes missed the price at once, and it was loaded {} times.",
            2 * REQUESTS,
            loads.get()
        ))
    })?;
    let cached: Option<String> = redis::cmd("GET").arg("price:lamp").query_async(&mut redis).await?;
    ensure(cached.as_deref() == Some(PRICE), || Fault::new(format!("price:lamp holds {cached:?}.")))?;
    let left: i64 = redis::cmd("PTTL").arg("price:lamp").query_async(&mut redis).await?;
    ensure((50_000..=60_000).contains(&left), || {
        Fault::new(format!("The cached price has a time to live of {left} ms, and not of 60 seconds."))
    })?;
    everybody("lamp").await?;
    ensure(loads.get() == 1, || Fault::new("The price is cached, and was loaded again."))?;

    // The request that loads dies.
    loads.set(0);
    let started = Notify::new();
    let endless = async || {
        started.notify_one();
        std::future::pending::<String>().await
    };
    tokio::select! {
        _ = attempt::price(&first, "desk", endless) => {}
        () = started.notified() => {}
    }
    everybody("desk").await.map_err(|mut fault| {
        fault.what = format!("The request that loaded died, and another asked. {}", fault.what);
        fault
    })?;
    ensure(loads.get() == 1, || {
        Fault::new(format!(
            "The request that loaded died, and then the price was loaded {} times.",
            loads.get()
        ))
    })?;
    Ok(Passed::with(format!(
        "{} requests in two processes, one load; when the one that loaded died, one more.",
        2 * REQUESTS
    )))
}
