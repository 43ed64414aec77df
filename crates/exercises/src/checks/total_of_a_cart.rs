//! The total is exact to the cent.

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

/// Units and price of each line, and the total.
type Cart = (&'static [(&'static str, &'static str)], &'static str);

const CARTS: &[Cart] = &[
    (&[("3", "19.99")], "59.97"),
    (&[("1", "0.29")], "0.29"),
    (&[("100", "0.29")], "29.00"),
    (&[("2", "0.50")], "1.00"),
    (&[("1", "0.05")], "0.05"),
    (&[("1", "0.10"), ("1", "0.20"), ("7", "1.10")], "8.00"),
    (&[("99", "4999.99"), ("5", "12")], "495059.01"),
    (&[], "0.00"),
];

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    for (index, (lines, total)) in CARTS.iter().enumerate() {
        let (cart, prices) = (format!("cart:{{{index}}}"), format!("prices:{{{index}}}"));
        for (line, (units, price)) in lines.iter().enumerate() {
            let sku = format!("sku-{line}");
            redis::cmd("HSET").arg(&cart).arg(&sku).arg(units).exec_async(&mut redis).await?;
            redis::cmd("HSET").arg(&prices).arg(&sku).arg(price).exec_async(&mut redis).await?;
        }
        let replied: String = script.call(&mut redis, &[&cart, &prices], &[]).await?;
        let shown: Vec<String> = lines.iter().map(|(units, price)| format!("{units} x {price}")).collect();
        ensure(replied == *total, || {
            let shown = if shown.is_empty() { "an empty cart".into() } else { shown.join(" + ") };
            let decimals = replied.parse::<f64>().ok() == total.parse().ok();
            let why = if decimals { ": two decimals are wanted" } else { "" };
            Fault::new(format!("For {shown} the script replied {replied}, and not {total}{why}."))
        })?;
    }
    redis::cmd("HSET").arg("cart:{x}").arg("sku-unknown").arg(1).exec_async(&mut redis).await?;
    match script.call::<String>(&mut redis, &["cart:{x}", "prices:{x}"], &[]).await {
        Ok(replied) => {
            return Err(Fault::new(format!(
                "sku-unknown has no price, and the script replied {replied} and no error."
            )));
        }
        Err(fault) => ensure(fault.what.contains("sku-unknown"), || {
            Fault::new("sku-unknown has no price, and the error does not name it.")
                .observed([fault.what.clone()])
        })?,
    }
    Ok(Passed::with(format!(
        "{} carts, exact to the cent, and an error for a product without a price.",
        CARTS.len()
    )))
}
