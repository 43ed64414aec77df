//! An order takes all that it needs, or nothing.

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

/// Stocks, units of the order, and whether it can be filled.
type Order = (&'static [(&'static str, i64)], &'static [&'static str], bool);

const ORDERS: &[Order] = &[
    (&[("stock:mouse", 10), ("stock:mat", 1)], &["2", "5"], false),
    (&[("stock:mouse", 10), ("stock:mat", 5)], &["2", "5"], true),
    (&[("stock:mouse", 3)], &["3"], true),
    (&[("stock:mouse", 100), ("stock:mat", 20)], &["9", "3"], true),
    (&[("stock:mouse", 8), ("stock:mat", 40), ("stock:cable", 2)], &["8", "10", "3"], false),
];

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    for (stocks, units, can) in ORDERS {
        for (stock, left) in *stocks {
            redis::cmd("SET").arg(stock).arg(left).exec_async(&mut redis).await?;
        }
        let names: Vec<&str> = stocks.iter().map(|(stock, _)| *stock).collect();
        let took: i64 = script.call(&mut redis, &names, units).await?;
        let left: Vec<i64> = redis::cmd("MGET").arg(&names).query_async(&mut redis).await?;
        let before: Vec<i64> = stocks.iter().map(|(_, left)| *left).collect();
        let seen = || {
            stocks.iter().zip(*units).zip(&left).map(|(((stock, before), units), left)| {
                format!("{stock} had {before}, the order took {units}, and {left} are left")
            })
        };
        ensure(left.iter().all(|left| *left >= 0), || {
            Fault::new("A stock fell below zero.").observed(seen())
        })?;
        if *can {
            let why = if left == before {
                "There was enough of each, and the order failed"
            } else {
                "The order was filled in part"
            };
            let number = "(compare numbers, and not as text: \"10\" and \"9\")";
            let text = units.iter().zip(&before).any(|(units, left)| left.to_string().as_str() < *units);
            ensure(took == 1, || {
                Fault::new(format!(
                    "{why}: the script replied {took}.{}",
                    if text { format!(" Is it compared as text? {number}") } else { String::new() }
                ))
                .observed(seen())
            })?;
            let expected: Vec<i64> = before
                .iter()
                .zip(*units)
                .map(|(left, units)| left - units.parse::<i64>().unwrap_or_default())
                .collect();
            ensure(left == expected, || {
                Fault::new("The order was filled, but the stocks are not what they should be.")
                    .observed(seen())
            })?;
        } else {
            ensure(left == before, || {
                Fault::new("A stock was taken for an order that failed.").observed(seen())
            })?;
            ensure(took == 0, || {
                Fault::new(format!("One stock has too few, and the script replied {took}.")).observed(seen())
            })?;
        }
    }
    redis::cmd("DEL").arg("stock:none").exec_async(&mut redis).await?;
    let took: i64 = script.call(&mut redis, &["stock:none"], &["1"]).await?;
    ensure(took == 0, || Fault::new("A stock that does not exist gave a unit."))?;
    Ok(Passed::with(format!("{} orders: the stocks add up.", ORDERS.len() + 1)))
}
