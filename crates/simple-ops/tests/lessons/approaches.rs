//! Approaches that stand side by side in a table do the same thing, and leave the same data.

use lab_connection::Target;
use lab_runner::clients::connect;
use lab_runner::{Approach, Comparison, Keys};
use lab_server::Release;
use simple_ops::catalog::product;
use simple_ops::counters::Increment;
use simple_ops::json::{Assortment, ChangeField, NumberField, ReadField, Sale, Shape};
use simple_ops::strings::{Prices, ReadMany};

use lab_testing::lessons::{open, open_release};

/// Those of one server, of a cluster, and of a server with JSON where there is one.
async fn targets() -> Vec<Target> {
    let mut targets = vec![open(false).await, open(true).await];
    targets.extend(open_release(Release::Redis82Modules, None).await);
    targets
}

async fn assert_equal<A: Approach>(target: &Target, approaches: &[A], input: &A::Input) {
    let comparison = Comparison { title: "", approaches, input };
    let traffic = comparison.verify(&target.connection()).await.unwrap();
    assert_eq!(traffic.len(), approaches.len());
}

#[tokio::test]
async fn all_ways_of_reading_many_see_the_same_prices() {
    for target in targets().await {
        assert_equal(&target, &ReadMany::ALL, &Prices::first(100, &Keys::new(""))).await;
    }
}

#[tokio::test]
async fn a_missing_price_is_none_in_every_way_of_reading() {
    let target = open(false).await;
    let prices = Prices::first(3, &Keys::new(""));
    for approach in ReadMany::ALL {
        let mut connection = target.connection();
        approach.reset(&prices, &mut connection).await.unwrap();
        redis::cmd("DEL").arg(&prices.keys()[1]).exec_async(&mut connection).await.unwrap();
        let read = approach.run(&prices, &mut connection).await.unwrap();
        assert_eq!(read, [Some(499), None, Some(599)], "{}", approach.label());
    }
}

#[tokio::test]
async fn all_ways_of_reading_a_field_see_the_same_prices() {
    for target in targets().await {
        let approaches = ReadField::all(target.can("JSON.SET").await);
        assert_equal(&target, &approaches, &Assortment::with(20, &Keys::new(""))).await;
    }
}

#[tokio::test]
async fn all_ways_of_changing_a_field_leave_the_same_products() {
    let assortment = Assortment::with(20, &Keys::new(""));
    for target in targets().await {
        let approaches = ChangeField::all(target.can("JSON.SET").await);
        assert_equal(&target, &approaches, &assortment).await;
        for approach in approaches {
            let mut connection = target.connection();
            approach.reset(&assortment, &mut connection).await.unwrap();
            approach.run(&assortment, &mut connection).await.unwrap();
            for (key, before) in assortment.keys(approach.shape()).iter().zip(assortment.products()) {
                let after = approach.shape().load(&mut connection, key).await.unwrap();
                let mut sold = before.clone();
                sold.stock -= 1;
                assert_eq!(after, sold, "{}", approach.label());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_naive_increment_loses_counts() {
    for target in targets().await {
        let clients = connect(&target, 6).await.unwrap();
        for approach in Increment::ALL {
            let key = approach.key(&Keys::new(""));
            let tally = approach.count(&target, &clients, &key, 10).await.unwrap();
            match approach {
                Increment::GetSetWorstCase => assert_eq!((tally.counted, tally.lost()), (10, 50)),
                Increment::GetSet => assert_eq!(tally.counted + tally.lost(), 60),
                Increment::Watch | Increment::Incr => assert_eq!((tally.counted, tally.lost()), (60, 0)),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_naive_rewrite_loses_changes() {
    let mut sample = product(123);
    sample.stock = 500;
    for target in targets().await {
        let clients = connect(&target, 9).await.unwrap();
        for sale in Sale::all(target.can("JSON.SET").await) {
            let key = sale.shape().key(&Keys::new(""), sample.id);
            let kept = sale.hold(&target, &clients, &key, &sample, 25).await.unwrap();
            assert_eq!(kept.made, 225);
            if sale == Sale::RewriteWorstCase {
                assert!(kept.kept <= 25 * 8, "one of nine is lost in each of 25 rounds at least: {kept:?}");
            } else {
                assert_eq!(kept.kept, kept.made, "{}", sale.label());
            }
        }
    }
}

#[tokio::test]
async fn the_script_refuses_to_go_below_zero_and_keeps_the_deadline_of_a_document() {
    let target = open(false).await;
    let mut connection = target.connection();
    let (key, sample) = ("product:1", product(1));
    Shape::Text.store(&mut connection, key, &sample).await.unwrap();
    redis::cmd("EXPIRE").arg(key).arg(600).exec_async(&mut connection).await.unwrap();
    let too_many = ChangeField::Script.add(&mut connection, key, NumberField::Stock, -1 - sample.stock).await;
    assert_eq!(too_many.unwrap_err().code(), Some("TOOFEW"));
    assert_eq!(Shape::Text.load(&mut connection, key).await.unwrap(), sample, "nothing is written");
    let all = ChangeField::Script.add(&mut connection, key, NumberField::Stock, -sample.stock).await;
    assert_eq!(all.unwrap(), 0);
    ChangeField::Script.add(&mut connection, key, NumberField::PriceCents, 1).await.unwrap();
    let ttl: i64 = redis::cmd("TTL").arg(key).query_async(&mut connection).await.unwrap();
    assert!(ttl > 0, "{ttl}");
    let nothing = ChangeField::Script.add(&mut connection, "product:none", NumberField::Stock, -1).await;
    assert_eq!(nothing.unwrap_err().code(), Some("NODOCUMENT"));
}

#[tokio::test]
async fn what_is_no_product_is_an_error_and_not_a_panic() {
    let target = open(false).await;
    let mut connection = target.connection();
    assert!(Shape::Text.load(&mut connection, "nothing").await.is_err());
    assert!(Shape::Hash.load(&mut connection, "nothing").await.is_err());
    redis::cmd("SET").arg("text").arg("{\"id\":1}").exec_async(&mut connection).await.unwrap();
    assert!(Shape::Text.load(&mut connection, "text").await.is_err());
    assert!(ChangeField::Rewrite.add(&mut connection, "text", NumberField::Stock, 1).await.is_err());
    assert!(ChangeField::Script.add(&mut connection, "text", NumberField::Stock, 1).await.is_err());
}
