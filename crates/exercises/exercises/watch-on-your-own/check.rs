//! Fifty customers have all read the number of tickets before the first of them can write.

use std::collections::BTreeSet;

use exercises::check_prelude::*;
use futures_util::future::join_all;

use super::attempt::buy;

const CUSTOMERS: usize = 50;
const TICKETS: usize = 10;
/// For so long the server holds all writes back, and answers reads.
const HOLD_MS: u64 = 150;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    redis::cmd("SET").arg("tickets").arg(TICKETS).exec_async(&mut redis).await?;
    let shared = server.connect().await?;
    let client = server.client();
    let names: Vec<String> = (1..=CUSTOMERS).map(|number| format!("customer-{number}")).collect();
    redis::cmd("CLIENT").arg("PAUSE").arg(HOLD_MS).arg("WRITE").exec_async(&mut redis).await?;
    let replies = in_time(join_all(names.iter().map(|name| buy(&client, &shared, name)))).await?;
    let mut told = BTreeSet::new();
    for (name, reply) in names.iter().zip(replies) {
        if reply? {
            told.insert(name.clone());
        }
    }
    let left: i64 = redis::cmd("GET").arg("tickets").query_async(&mut redis).await?;
    let buyers: BTreeSet<String> = redis::cmd("SMEMBERS").arg("buyers").query_async(&mut redis).await?;
    let observed = || {
        [
            format!("{} of {CUSTOMERS} customers were told that they have a ticket.", told.len()),
            format!("tickets: {left}"),
            format!("buyers: {} members", buyers.len()),
        ]
    };
    ensure(told.len() <= TICKETS, || {
        Fault::new(format!("{} tickets were sold, and there were {TICKETS}.", told.len()))
            .observed(observed())
    })?;
    ensure(told.len() == TICKETS, || {
        Fault::new(format!(
            "{CUSTOMERS} customers asked for {TICKETS} tickets, and {} are there that nobody has bought.",
            TICKETS - told.len()
        ))
        .observed(observed())
    })?;
    ensure(left == 0, || Fault::new(format!("All are sold, and `tickets` is {left}.")).observed(observed()))?;
    ensure(buyers == told, || {
        Fault::new("`buyers` does not have those who were told that they have a ticket.").observed(observed())
    })?;
    // The shared connection is as it was.
    redis::cmd("SET").arg("tickets").arg(1).exec_async(&mut redis).await?;
    let late = in_time(buy(&client, &shared, "late")).await??;
    ensure(late, || Fault::new("One ticket came back, one customer asked for it, and did not get it."))?;
    Ok(Passed::with(format!("{CUSTOMERS} customers at the same time; {TICKETS} got the {TICKETS} tickets.")))
}
