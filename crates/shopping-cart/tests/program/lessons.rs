//! The lessons of this crate.

use std::collections::BTreeMap;

use lab_connection::TargetArgs;
use lab_runner::Comparison;
use lab_testing::lessons;
use redis::AsyncCommands;
use shopping_cart::CartLesson;
use shopping_cart::compare::{AddUnit, CartShape, Carts, ReadCart};

use crate::support::{clustered, standalone};

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    lessons::assert_pass_on_a_cluster::<CartLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    lessons::assert_write_only_behind_their_prefix::<CartLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_twice_and_keep_the_fields_of_user_1() {
    let target = lessons::open(false).await;
    let mut redis = target.connection();
    let parker = [("firstname", "Parker"), ("lastname", "Perry"), ("city", "Boston"), ("visits", "42")];
    let _: () = redis.hset_multiple("user:1", &parker).await.unwrap();
    lessons::assert_pass_twice::<CartLesson>(&target).await;
    let user: BTreeMap<String, String> = redis.hgetall("user:1").await.unwrap();
    assert_eq!(user, parker.map(|(field, value)| (field.to_owned(), value.to_owned())).into());
    let cart: BTreeMap<String, u32> = redis.hgetall("cart:1").await.unwrap();
    assert_eq!(cart, [("sku123".to_owned(), 4), ("sku456".to_owned(), 3)].into());
    let keyboard: BTreeMap<String, String> = redis.hgetall("sku:sku456").await.unwrap();
    assert_eq!((&*keyboard["name"], &*keyboard["price"]), ("Mechanical keyboard", "89.50"));
}

#[test]
fn the_demo_leaves_other_users_and_products_alone() {
    for shop in [standalone("hash"), clustered("sorted-set")] {
        shop.ok(["user", "add", "--id", "1", "--first-name", "Ada", "--last-name", "Lovelace"]);
        shop.ok(["sku", "add", "abacus", "--name", "Abacus", "--price", "12.50"]);
        let demo = shop.ok(["demo"]);
        assert!(demo.contains("✓ user 1 is Ada Lovelace") && !demo.contains('✗'), "{demo}");
        assert!(shop.ok(["compare"]).contains("what can expire"));
        assert_eq!(shop.ok(["user", "show", "1"]), "User 1: Ada Lovelace\n");
        assert_eq!(shop.ok(["sku", "show", "Abacus"]), "abacus: Abacus, 12.50\n");
    }
}

#[tokio::test]
async fn every_approach_leaves_the_same_cart() {
    for cluster in [false, true] {
        let target = TargetArgs { cluster, ..TargetArgs::private() }.open().await.unwrap();
        let connection = target.connection();
        let carts = Carts::new("", 20).unwrap();
        let approaches = CartShape::ALL.map(AddUnit);
        let comparison = Comparison { title: "add", approaches: &approaches, input: &carts };
        let traffic = comparison.verify(&connection).await.unwrap();
        assert!(traffic[0].round_trips > traffic[1].round_trips, "{traffic:?}");
        let approaches = CartShape::ALL.map(ReadCart);
        let comparison = Comparison { title: "read", approaches: &approaches, input: &carts };
        comparison.verify(&connection).await.unwrap();
    }
}
