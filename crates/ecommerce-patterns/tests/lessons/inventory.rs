//! What the inventory lesson shows is counted: the damage of the naive ways, and none of the right one.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::inventory::{BUYERS, SellLast, Stock, TakeStock, UNITS};
use lab_runner::clients::connect;
use lab_runner::{Approach, Comparison};

use crate::{assert_types, column};
use lab_testing::lessons::{open, run_lesson};

#[tokio::test(flavor = "multi_thread")]
async fn reading_first_oversells_to_everyone_and_the_script_to_nobody() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let buyers = connect(&target, BUYERS as usize).await.unwrap();
        for sell in SellLast::ALL {
            let race = sell.race(&target, &buyers, UNITS).await.unwrap();
            let (promised, count) = match sell {
                SellLast::GetAndSet => (BUYERS, i64::from(UNITS) - 1),
                SellLast::GetAndDecr => (BUYERS, i64::from(UNITS) - i64::from(BUYERS)),
                SellLast::Reserve => (UNITS, 0),
            };
            assert_eq!((race.promised, race.count), (promised, count), "{}", sell.label());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_the_damage_and_leaves_the_keys_it_names() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let report = run_lesson(&target, PatternLesson::Inventory).await;
        assert_eq!(column(&report, "The last units", 4), ["15", "15", "0"]);
        assert_eq!(column(&report, "Lost replies", 3), ["12", "0"]);
        let states = ["open", "open", "paying", "paid", "sold", "done", "done"];
        assert_eq!(column(&report, "An order", 1), states);
        assert_eq!(column(&report, "A buyer who disappears", 1), ["paid", "done"]);
        let types = [
            ("inventory:PROD123", "string"),
            ("low_stock_alerts", "zset"),
            ("inventory_updates", "list"),
            ("order:ORD-1001", "hash"),
        ];
        assert_types(&target, &types).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_taking_stock_takes_all_of_it() {
    let target = open(false).await;
    let stock = Stock::new(120, target.prefix());
    let comparison = Comparison { title: "Taking units", approaches: &TakeStock::ALL, input: &stock };
    let traffic = comparison.verify(&target.connection()).await.unwrap();
    let trips: Vec<usize> = traffic.iter().map(|traffic| traffic.round_trips).collect();
    let operations = usize::try_from(TakeStock::Incr.operations(&stock)).unwrap();
    assert_eq!(trips, [operations, 2 * operations, operations, 2 * operations]);
}
