//! The lessons of this crate: the story, and the comparison whose rows all leave the same cart.

use lab_connection::TargetArgs;
use lab_runner::Comparison;
use shopping_cart::compare::{AddUnit, CartShape, Carts, ReadCart};

use crate::support::{self, clustered, every_shop, standalone};

#[test]
fn the_story_and_the_comparison_pass_on_one_server_and_on_a_cluster() {
    // They show both representations, whichever --cart names.
    for shop in [standalone("hash"), clustered("sorted-set")] {
        let story = shop.ok(["demo"]);
        assert!(story.contains('✓') && !story.contains('✗'), "{story}");
        let comparison = shop.ok(["compare"]);
        for part in ["Hash", "Sorted Set", "JSON", "ops/s", "what can expire"] {
            assert!(comparison.contains(part), "{part} is missing:\n{comparison}");
        }
    }
}

#[test]
fn outputs_fit_60_columns() {
    let shop = every_shop().remove(0);
    shop.ok([
        "sku",
        "add",
        "sku789",
        "--name",
        "A cable with a name that goes on and on, 2 m",
        "--price",
        "7.95",
    ]);
    shop.ok(["add", "1", "sku123", "99"]);
    shop.ok(["add", "1", "sku789", "2", "--expires-in", "1000"]);
    shop.ok(["sku", "add", "sku123", "--name", "Wireless mouse", "--price", "1299.99"]);
    for command in [&["view", "1"][..], &["sku", "list"], &["user", "list"]] {
        let run = support::run(shop.command(command.iter().copied()).env("COLUMNS", "60"));
        for line in run.stdout.lines() {
            assert!(line.chars().count() <= 60, "{} columns: {line}", line.chars().count());
        }
    }
}

#[tokio::test]
async fn every_approach_leaves_the_same_cart_on_one_server() {
    agree(TargetArgs::private()).await;
}

#[tokio::test]
async fn every_approach_leaves_the_same_cart_on_a_cluster() {
    agree(TargetArgs { cluster: true, ..TargetArgs::private() }).await;
}

async fn agree(args: TargetArgs) {
    let target = args.open().await.unwrap();
    let connection = target.connection();
    let carts = Carts::new("", 20).unwrap();
    let approaches = CartShape::ALL.map(AddUnit);
    let comparison = Comparison { title: "add", approaches: &approaches, input: &carts };
    let traffic = comparison.verify(&connection).await.unwrap();
    assert_eq!(traffic.len(), 3);
    assert!(traffic[0].round_trips > traffic[1].round_trips, "{traffic:?}");
    let approaches = CartShape::ALL.map(ReadCart);
    let comparison = Comparison { title: "read", approaches: &approaches, input: &carts };
    comparison.verify(&connection).await.unwrap();
}

#[test]
fn the_story_leaves_users_and_products_of_ones_own_alone() {
    for shop in [standalone("hash"), clustered("hash")] {
        shop.ok(["user", "add", "--id", "7", "--first-name", "Ada", "--last-name", "Lovelace"]);
        shop.ok(["sku", "add", "abacus", "--name", "Abacus", "--price", "12.50"]);
        for _ in 0..2 {
            shop.ok(["demo", "--no-pause"]);
        }
        assert!(shop.ok(["user", "list"]).contains("Lovelace"), "{shop:?}");
        assert!(shop.ok(["sku", "list"]).contains("Abacus"), "{shop:?}");
        assert!(shop.ok(["sku", "show", "Abacus"]).contains("12.50"), "{shop:?}");
    }
}
