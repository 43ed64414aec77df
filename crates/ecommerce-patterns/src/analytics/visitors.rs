//! Different visitors in three ways.

use std::collections::BTreeSet;

use lab_runner::table::{Facts, bytes, thousands};
use lab_runner::{Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::UserId;
use storefront::analytics::{Counting, UniqueVisitors};

use super::{Shop, explained, failed};

/// Visits, and the people who make them, numbered from 1.
const VISITS: u64 = 20_000;
const NUMBERS: u64 = 16_000;

pub(super) async fn count_in_three_ways(page: &Page, shop: &Shop) -> Outcome {
    page.say(format!(
        "How many different people made {} visits? A Set knows exactly, and who. A bitmap has a bit for each number: exact, \
         and small if the numbers of users are dense. A HyperLogLog only estimates, with an error of about 0.8 %, and takes \
         some 12 kB however many come.",
        thousands(VISITS as f64),
    ));
    // A stride visits the numbers in no order, and begins again when all had their turn.
    let number = |visit: u64| UserId::new(visit * 7_919 % NUMBERS + 1);
    let visits: Vec<UserId> = (0..VISITS).filter_map(|visit| number(visit).ok()).collect();
    let distinct = visits.iter().collect::<BTreeSet<_>>().len() as u64;
    let mut redis = page.redis();
    let mut facts = Facts::new("Unique visitors", &["counted by", "visitors", "counted", "error", "bytes"]);
    let mut errors = Vec::new();
    for counting in Counting::ALL {
        let visitors = UniqueVisitors::new(page.quietly(), shop.keys.clone(), counting);
        explained(visitors.add(shop.day, &visits).await)?;
        let key = shop.keys.unique_visitors(counting, shop.day);
        let counted = match counting {
            Counting::Set => redis.scard(&key).await? as u64,
            Counting::Bitmap => redis.bitcount(&key).await? as u64,
            Counting::HyperLogLog => redis.pfcount(&key).await? as u64,
        };
        page.check("as `UniqueVisitors` counts", visitors.count(shop.day).await.map_err(failed)? == counted)?;
        let size: usize = redis::cmd("MEMORY")
            .arg("USAGE")
            .arg(&key)
            .arg("SAMPLES")
            .arg(0)
            .query_async(&mut page.quietly())
            .await?;
        let error = counted.abs_diff(distinct) as f64 / distinct as f64;
        facts = facts.row([
            label(counting).to_owned(),
            thousands(distinct as f64),
            thousands(counted as f64),
            format!("{:.2} %", error * 100.0),
            bytes(size),
        ]);
        errors.push(error);
    }
    page.facts(facts);
    page.check(
        "Set and bitmap are exact, the HyperLogLog within 3 %",
        errors[0] + errors[1] == 0.0 && errors[2] < 0.03,
    )
}

fn label(counting: Counting) -> &'static str {
    match counting {
        Counting::Set => "Set",
        Counting::Bitmap => "bitmap",
        Counting::HyperLogLog => "HyperLogLog",
    }
}
