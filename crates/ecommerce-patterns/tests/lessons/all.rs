//! Every lesson passes: twice in a row, on a cluster, behind a prefix. The server is that of `REDIS_LAB_SERVER`, as in all
//! tests.

use std::path::Path;

use ecommerce_patterns::{PatternLesson, keys_on};
use lab_runner::register;
use storefront::{Catalogue, NewUser, Product, UserId, Users};

use lab_testing::lessons::{
    assert_all_in_register, assert_pass_on_a_cluster, assert_pass_twice, assert_show_what_they_teach,
    assert_write_only_behind_their_prefix, open, take_all,
};

#[test]
fn every_lesson_is_in_the_register_under_its_own_name() {
    assert_all_in_register::<PatternLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_twice_in_a_row_and_leave_the_keys_they_name() {
    assert_pass_twice::<PatternLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    assert_pass_on_a_cluster::<PatternLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    assert_write_only_behind_their_prefix::<PatternLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lesson_shows_the_commands_it_teaches() {
    assert_show_what_they_teach::<PatternLesson>().await;
}

#[test]
fn a_lesson_without_a_file_is_a_fault() {
    let elsewhere = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let faults = register::faults::<PatternLesson>(&elsewhere).unwrap();
    assert!(faults.iter().any(|fault| fault.contains("'sessions' has no file")), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_and_products_of_ones_own_stay_in_the_shop() {
    let target = open(false).await;
    let (connection, keys) = (target.connection(), keys_on(&target));
    let users = Users::new(connection.clone(), keys.clone());
    let catalogue = Catalogue::new(connection, keys);
    // Names that lessons might take, too.
    let mut products = Vec::new();
    for (number, name) in (1..).zip(["Coffee mug", "Travel mug", "Kettle"]) {
        let sku = format!("OWN{number}").parse().unwrap();
        let product = Product { sku, name: name.parse().unwrap(), price: "1.50".parse().unwrap() };
        catalogue.put(&product).await.unwrap();
        products.push(product);
    }
    let new = NewUser { first_name: "Ann".parse().unwrap(), last_name: "Own".parse().unwrap() };
    let ann = users.create_with_id(UserId::new(77).unwrap(), new).await.unwrap();
    for _ in 0..2 {
        take_all::<PatternLesson>(&target).await;
    }
    assert!(users.list().await.unwrap().contains(&ann));
    let listed = catalogue.list().await.unwrap();
    for product in products {
        assert!(listed.contains(&product), "{product:?} of {listed:?}");
        assert_eq!(catalogue.find(product.name.as_str()).await.unwrap(), Some(product));
    }
}
