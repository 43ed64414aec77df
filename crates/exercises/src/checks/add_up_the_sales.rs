//! The sum of many small amounts is exact.

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const SALES: i32 = 1_000;

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let mut till = Player::connect(&server, "till").await?;
    for (day, price, cents) in [("monday", "0.10", "10"), ("tuesday", "0.29", "29")] {
        let sale = commands.with("$price", price).with("$cents", cents).with("$day", day);
        for _ in 0..SALES {
            sale.play(&mut till).await?;
        }
        let score: Option<f64> =
            redis::cmd("ZSCORE").arg("sales").arg(day).query_async(&mut redis).await.unwrap_or_default();
        let Some(score) = score else {
            return Err(Fault::new(format!("`sales` has no member {day}.")));
        };
        let in_cents = f64::from(SALES) * cents.parse().unwrap_or(0.0);
        let exact = [in_cents, in_cents / 100.0].iter().any(|sum| sum.to_bits() == score.to_bits());
        ensure(exact, || {
            Fault::new(format!(
                "After {SALES} sales of {price}, the score of {day} is {score}. That is not exact."
            ))
        })?;
    }
    Ok(Passed::with(format!("{SALES} sales of 0.10 and {SALES} of 0.29 add up exactly.")))
}
