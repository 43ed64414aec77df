//! Totals of arbitrary carts, beside the same sum in 128 bits.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use storefront::{CartError, Cents};

use crate::shop::{Shop, cases, in_every_shop, units};

#[test]
fn totals_equal_the_sum_in_128_bits() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let price = prop_oneof![0..=Cents::MAX_PRICE.get(), 0..=100_i64, Just(Cents::MAX_PRICE.get())];
    let lines = prop::collection::vec((price, 1..=99_u32), 0..12);
    let mut runner = TestRunner::new(cases(12));
    let result = runner.run(&lines, |lines| {
        runtime.block_on(in_every_shop(async |shop| compare(&shop, &lines).await));
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

async fn compare(shop: &Shop, lines: &[(i64, u32)]) {
    let user = shop.user(1).await;
    let mut exact: BTreeMap<String, i128> = BTreeMap::new();
    for (number, (cents, quantity)) in lines.iter().enumerate() {
        let code = format!("sku{number}");
        let product = shop.product(&code, &Cents::new(*cents).unwrap().to_string()).await;
        shop.cart.add(&user, &product, units(*quantity), None).await.unwrap();
        exact.insert(code, i128::from(*cents) * i128::from(*quantity));
    }
    let view = shop.cart.view(&user).await.unwrap();
    for line in &view.lines {
        assert_eq!(i128::from(line.line_total.unwrap().get()), exact[line.sku.as_str()]);
    }
    assert_eq!(view.lines.len(), lines.len());
    assert_eq!(i128::from(view.total.get()), exact.values().sum::<i128>());
    assert_eq!(shop.cart.contents(&user).await.unwrap().seen_total, view.total);
}

#[tokio::test]
async fn a_total_too_large_to_count_is_an_error() {
    in_every_shop(async |shop| {
        let (user, dear) = (shop.user(1).await, shop.product("a", "10000000").await);
        shop.product("b", "10000000").await;
        let key = shop.cart_key(&user);
        for sku in ["a", "b"] {
            match shop.cart.representation() {
                storefront::Representation::Hash => shop.send(&["HSET", &key, sku, "4294967295"]).await,
                storefront::Representation::SortedSet => shop.send(&["ZADD", &key, "4294967295", sku]).await,
            };
        }
        // One line of 2^32 - 1 units at the highest price still fits, two lines do too: 8.6 * 10^18.
        assert!(shop.cart.view(&user).await.is_ok());
        shop.product("c", "10000000").await;
        match shop.cart.representation() {
            storefront::Representation::Hash => shop.send(&["HSET", &key, "c", "4294967295"]).await,
            storefront::Representation::SortedSet => shop.send(&["ZADD", &key, "4294967295", "c"]).await,
        };
        assert!(matches!(shop.cart.view(&user).await, Err(CartError::TotalTooLarge)), "{}", shop.kind);
        shop.cart.remove(&user, &dear, None).await.unwrap();
        assert!(shop.cart.view(&user).await.is_ok());
    })
    .await;
}
