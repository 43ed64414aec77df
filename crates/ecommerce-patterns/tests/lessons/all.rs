//! Every lesson passes: twice in a row, on a cluster, behind a prefix. The server is that of `REDIS_LAB_SERVER`, as in all
//! tests.

use std::path::Path;

use ecommerce_patterns::PatternLesson;
use lab_runner::registry;
use patterns::catalog::{Catalog, Product};
use patterns::users::Users;

use lab_testing::lessons::{
    assert_all_in_registry, assert_pass_on_a_cluster, assert_pass_twice,
    assert_write_only_behind_their_prefix, open,
};

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    assert_all_in_registry::<PatternLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    assert_pass_on_a_cluster::<PatternLesson>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    assert_write_only_behind_their_prefix::<PatternLesson>().await;
}

#[test]
fn a_lesson_without_a_file_is_a_problem() {
    let elsewhere = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let problems = registry::problems::<PatternLesson>(&elsewhere).unwrap();
    assert!(problems.iter().any(|problem| problem.contains("'sessions' has no file")), "{problems:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_twice_and_your_own_customers_and_products_stay_in_the_shop() {
    let target = open(false).await;
    let users = Users::new(target.connection(), "");
    let catalog = Catalog::new(target.connection(), "");
    // Lessons might use the same names.
    let mut products = Vec::new();
    for (number, name) in (1..).zip(["Coffee mug", "Travel mug", "Kettle"]) {
        let product =
            Product { sku: format!("OWN{number}"), name: name.into(), price: "1.50".parse().unwrap() };
        catalog.put(&product).await.unwrap();
        products.push(product);
    }
    let ann = users.create_with_id("77", "Ann", "Own").await.unwrap();
    assert_pass_twice::<PatternLesson>(&target).await;
    assert!(users.list().await.unwrap().contains(&ann));
    let listed = catalog.list().await.unwrap();
    for product in products {
        assert!(listed.contains(&product), "{product:?} of {listed:?}");
        assert_eq!(catalog.find(&product.name).await.unwrap(), Some(product));
    }
}
