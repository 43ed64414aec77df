//! What the inventory lesson shows is counted: the damage of the naive ways, and none of the right one.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::inventory::{BUYERS, SellLast, Stock, TakeStock, UNITS};
use lab_runner::clients::connect;
use lab_runner::{Approach, Comparison};

use lab_testing::lessons::{open, run_lesson, stored_keys, table};

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
        let oversold: Vec<&str> =
            table(&report, "The last units").iter().map(|row| row[4].as_str()).collect();
        assert_eq!(oversold, ["15", "15", "0"]);
        let too_many: Vec<&str> = table(&report, "Lost replies").iter().map(|row| row[3].as_str()).collect();
        assert_eq!(too_many, ["12", "0"]);
        let states: Vec<&str> = table(&report, "An order").iter().map(|row| row[1].as_str()).collect();
        assert_eq!(states, ["open", "open", "paying", "paid", "sold", "done", "done"]);
        let states: Vec<&str> =
            table(&report, "A buyer who disappears").iter().map(|row| row[1].as_str()).collect();
        assert_eq!(states, ["paid", "done"]);

        let stored = stored_keys(&target).await;
        let expected = [
            ("inventory:PROD123", "string"),
            ("low_stock_alerts", "zset"),
            ("inventory_updates", "list"),
            ("order:ORD-1001", "hash"),
        ];
        for (name, expected) in expected {
            let key = &format!("{}{name}", target.prefix());
            assert!(stored.contains(key), "{key} is not stored: {stored:?}");
            let kind: String =
                redis::cmd("TYPE").arg(key).query_async(&mut target.connection()).await.unwrap();
            assert_eq!(kind, expected, "{key}");
        }
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
