//! Whatever has arrived of the commands, a customer sees all the old prices or all the new ones.

use exercises::check_prelude::*;
use redis::aio::MultiplexedConnection;

use super::attempt::change;

const PRODUCTS: u64 = 3_000;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut customer = server.connect().await?;
    let prices: Vec<(String, u64)> = (1..=PRODUCTS).map(|number| (format!("p{number}"), number)).collect();
    let mut old = redis::cmd("MSET");
    for (product, cents) in &prices {
        old.arg(format!("price:{product}")).arg(cents + 1_000_000);
    }
    old.arg("price:other").arg(7);
    let mut gate = Gate::in_front_of(&server).await?;

    // The connection breaks when a part of the commands has arrived: one network packet, or two, or three.
    for parts in 1..=3 {
        old.exec_async(&mut customer).await?;
        let mut shop = connect(&gate.client()).await?;
        let mut requests = 0;
        let changing = in_time(change(&mut shop, &prices));
        // It may fail: its connection broke.
        let _ = gate
            .during(changing, async |message| {
                requests += u32::from(message.request);
                Ok(if message.request && requests > parts { Action::Cut } else { Action::Pass })
            })
            .await?;
        drop(shop);
        gone(&server).await?;
        look(&mut customer, &prices, "The connection broke while the prices changed").await?;
    }

    old.exec_async(&mut customer).await?;
    let mut shop = connect(&gate.client()).await?;
    let mut looked = 0;
    let changing = in_time(change(&mut shop, &prices));
    gate.during(changing, async |_| {
        looked += 1;
        look(&mut customer, &prices, "While the prices changed").await?;
        Ok(Action::Pass)
    })
    .await???;
    let new = look(&mut customer, &prices, "When the prices had changed").await?;
    ensure(new, || Fault::new("Your function is done, and all prices are the old ones."))?;
    let other: Option<u64> = redis::cmd("GET").arg("price:other").query_async(&mut customer).await?;
    ensure(other == Some(7), || Fault::new("price:other was not to change, and did."))?;
    Ok(Passed::with(format!(
        "{PRODUCTS} prices changed at once: a customer looked {looked} times meanwhile, and three connections broke."
    )))
}

/// Whether all prices are new. A mixture is a fault.
async fn look(
    customer: &mut MultiplexedConnection,
    prices: &[(String, u64)],
    when: &str,
) -> Result<bool, Fault> {
    let mut keys = redis::cmd("MGET");
    keys.arg(prices.iter().map(|(product, _)| format!("price:{product}")).collect::<Vec<_>>());
    let seen: Vec<Option<u64>> = keys.query_async(customer).await?;
    let missing = seen.iter().filter(|seen| seen.is_none()).count();
    let new = seen.iter().zip(prices).filter(|(seen, (_, cents))| **seen == Some(*cents)).count();
    ensure(missing == 0, || Fault::new(format!("{when}, {missing} of {PRODUCTS} products have no price.")))?;
    ensure(new == 0 || new == seen.len(), || {
        Fault::new(format!("{when}, a customer saw {new} new prices and {} old ones.", seen.len() - new))
    })?;
    Ok(new > 0)
}

/// Waits until the server has noticed that the shop is gone, and so has done all that it will.
async fn gone(server: &LabServer) -> Result<(), Fault> {
    // The customer, and the connection that asks.
    let others = || async { Ok::<_, Fault>(server.info("clients", "connected_clients").await? != "2") };
    in_time(async {
        while others().await? {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        Ok(())
    })
    .await?
}
