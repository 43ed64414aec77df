use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix};
use patterns::catalog::{Catalog, Product, Put, PutError};
use patterns::money::Cents;
use patterns::script::StoreError;
use tokio::task::JoinSet;

use crate::everywhere;

fn product(sku: &str, name: &str, price: &str) -> Product {
    Product { sku: sku.to_owned(), name: name.to_owned(), price: price.parse().unwrap() }
}

/// Each product is what the index says, and the other way around.
async fn check(catalog: &Catalog<TestConnection>, connection: &TestConnection) {
    let products = catalog.list().await.unwrap();
    for product in &products {
        assert_eq!(catalog.find(&product.name).await.unwrap().as_ref(), Some(product));
    }
    let fields: usize = connection.send(&["HLEN", catalog.index().unwrap().as_str()]).await;
    assert_eq!(fields, 2 * products.len());
}

#[test]
fn a_product_is_found_by_sku_and_by_exact_name() {
    everywhere(async |connection, prefix| {
        let catalog = Catalog::new(connection.clone(), &prefix);
        let mug = product("sku123", "Café mug ☕", "19.99");
        assert_eq!(catalog.put(&mug).await.unwrap(), Put::Added);
        assert_eq!(catalog.find("sku123").await.unwrap().as_ref(), Some(&mug));
        assert_eq!(catalog.find("Café mug ☕").await.unwrap().as_ref(), Some(&mug));
        let long = "x".repeat(100_000);
        for stranger in ["café mug ☕", "Café mug", "sku12", "", "*", "sku:sku123", "a\0b", &long] {
            assert_eq!(catalog.find(stranger).await.unwrap(), None);
        }
        // A text that is both a SKU and a name means the SKU.
        catalog.put(&product("sku456", "sku123", "1")).await.unwrap();
        assert_eq!(catalog.find("sku123").await.unwrap().as_ref(), Some(&mug));
        let price: String = connection.send(&["HGET", &format!("{prefix}sku:sku123"), "price"]).await;
        assert_eq!(price, "19.99");
    });
}

#[test]
fn one_name_in_two_unicode_forms_is_one_name() {
    everywhere(async |connection, prefix| {
        let catalog = Catalog::new(connection.clone(), &prefix);
        let (nfc, nfd) =
            ("Cr\u{e8}me br\u{fb}l\u{e9}e \u{212b}", "Cre\u{300}me bru\u{302}le\u{301}e A\u{30a}");
        catalog.put(&product("sku123", nfd, "1")).await.unwrap();
        let error = catalog.put(&product("sku456", nfc, "1")).await.unwrap_err();
        assert_matches!(&error, PutError::NameTaken { by, .. } if by == "sku123");
        assert_eq!(catalog.put(&product("sku123", nfc, "2")).await.unwrap(), Put::Changed);
        for name in [nfc, nfd] {
            assert_eq!(catalog.find(name).await.unwrap().unwrap().price.get(), 200);
        }
        check(&catalog, &connection).await;
    });
}

#[test]
fn a_former_name_leads_nowhere_and_is_free() {
    everywhere(async |connection, prefix| {
        let catalog = Catalog::new(connection.clone(), &prefix);
        catalog.put(&product("sku123", "Old name", "19.99")).await.unwrap();
        let renamed = product("sku123", "New name", "18.00");
        assert_eq!(catalog.put(&renamed).await.unwrap(), Put::Changed);
        assert_eq!(catalog.find("Old name").await.unwrap(), None);
        assert_eq!(catalog.find("New name").await.unwrap(), Some(renamed));
        catalog.put(&product("sku456", "Old name", "5")).await.unwrap();
        assert!(catalog.remove("sku123").await.unwrap());
        assert!(!catalog.remove("sku123").await.unwrap());
        assert_eq!(catalog.find("New name").await.unwrap(), None);
        assert_eq!(catalog.list().await.unwrap(), [product("sku456", "Old name", "5")]);
        catalog.remove("sku456").await.unwrap();
        let index = catalog.index().unwrap();
        assert_eq!(connection.send::<i64>(&["EXISTS", index.as_str()]).await, 0);
    });
}

#[test]
fn lost_keys_end_in_a_clear_error_or_a_repair() {
    everywhere(async |connection, prefix| {
        let catalog = Catalog::new(connection.clone(), &prefix);
        let (mug, cup) = (product("sku123", "Mug", "19.99"), product("sku456", "Mug", "5"));
        catalog.put(&mug).await.unwrap();
        // The product is lost: its name stays taken until it is put again or removed.
        let _: i64 = connection.send(&["DEL", catalog.key("sku123").unwrap().as_str()]).await;
        assert_eq!((catalog.find("Mug").await.unwrap(), catalog.list().await.unwrap()), (None, vec![]));
        let error = catalog.put(&cup).await.unwrap_err();
        assert_eq!(error.to_string(), "the name Mug already belongs to sku123");
        assert_eq!(catalog.put(&mug).await.unwrap(), Put::Changed);
        assert_eq!(catalog.find("Mug").await.unwrap(), Some(mug.clone()));
        let _: i64 = connection.send(&["DEL", catalog.key("sku123").unwrap().as_str()]).await;
        assert!(catalog.remove("sku123").await.unwrap());
        assert_eq!(catalog.put(&cup).await.unwrap(), Put::Added);

        // The index is lost.
        let _: i64 = connection.send(&["DEL", catalog.index().unwrap().as_str()]).await;
        assert_eq!(catalog.list().await.unwrap(), []);
        assert_eq!(catalog.get("sku456").await.unwrap(), Some(cup.clone()));
        catalog.put(&cup).await.unwrap();
        assert_matches!(catalog.put(&mug).await, Err(PutError::NameTaken { .. }));
        check(&catalog, &connection).await;
    });
}

#[test]
fn products_are_listed_by_sku_also_beyond_one_page() {
    everywhere(async |connection, prefix| {
        let catalog = Catalog::new(connection, &prefix);
        for number in 0..510 {
            catalog
                .put(&product(&format!("sku{number:03}"), &format!("Product {number}"), "1"))
                .await
                .unwrap();
        }
        let skus: Vec<String> = catalog.list().await.unwrap().into_iter().map(|it| it.sku).collect();
        let expected: Vec<String> = (0..510).map(|number| format!("sku{number:03}")).collect();
        assert_eq!(skus, expected);
        let many = catalog.get_many(&["sku001", "none", "sku000", "sku001"]).await.unwrap();
        let names: Vec<_> = many.iter().map(|it| it.as_ref().map(|it| it.name.as_str())).collect();
        assert_eq!(names, [Some("Product 1"), None, Some("Product 0"), Some("Product 1")]);
    });
}

#[test]
fn every_sku_works_and_prices_have_a_limit() {
    everywhere(async |connection, prefix| {
        let catalog = Catalog::new(connection.clone(), &prefix);
        let long = "é".repeat(256);
        for sku in ["a:b", "{1}", "*", " ", "\0", "name:x", &long] {
            let odd = product(
                sku,
                &format!("The product {}", sku.len() + sku.chars().map(u32::from).sum::<u32>() as usize),
                "0",
            );
            catalog.put(&odd).await.unwrap();
            assert_eq!(catalog.get(sku).await.unwrap(), Some(odd));
        }
        assert_eq!(catalog.list().await.unwrap().len(), 7);
        for (sku, name) in [("", "A"), ("a", ""), (&*"a".repeat(513), "A"), ("a", &*"a".repeat(513))] {
            let error = catalog.put(&product(sku, name, "1")).await.unwrap_err();
            assert_matches!(error, PutError::Store(StoreError::Key(_)));
        }
        let mut dear = product("dear", "Dear", "10000000.00");
        catalog.put(&dear).await.unwrap();
        dear.price = Cents::new(Cents::MAX_PRICE.get() + 1).unwrap();
        assert_matches!(catalog.put(&dear).await, Err(PutError::PriceTooHigh(_)));
        assert_eq!(catalog.get("dear").await.unwrap().unwrap().price, Cents::MAX_PRICE);
        check(&catalog, &connection).await;
    });
}

#[test]
fn a_price_that_cannot_be_read_is_an_error_that_names_the_key() {
    everywhere(async |connection, prefix| {
        let catalog = Catalog::new(connection.clone(), &prefix);
        let key = catalog.key("sku123").unwrap();
        for price in ["", "free", "1e3", "-1", "19.999", ".5", "10000000.01", "92233720368547758.07", "0x10"]
        {
            let _: i64 = connection.send(&["HSET", key.as_str(), "name", "Mug", "price", price]).await;
            let error = catalog.get("sku123").await.unwrap_err();
            assert_matches!(&error, StoreError::Malformed(text) if text.contains(key.as_str()));
        }
    });
}

#[test]
fn products_put_at_once_never_share_a_name() {
    everywhere(async |connection, prefix| {
        let catalog = Catalog::new(connection.clone(), &prefix);
        let mut clients = JoinSet::new();
        for client in 0..32_usize {
            let catalog = catalog.clone();
            clients.spawn(async move {
                for round in 0..6 {
                    let sku = format!("sku{}", (client + round) % 4);
                    let name = ["Cafe\u{301}", "Caf\u{e9}", "Mug", "Cup", "Tea"][(client * 3 + round) % 5];
                    match catalog.put(&product(&sku, name, &format!("{client}.{round}"))).await {
                        Ok(_) | Err(PutError::NameTaken { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    if (client + round) % 5 == 0 {
                        catalog.remove(&sku).await.unwrap();
                    }
                }
            });
        }
        clients.join_all().await;
        check(&catalog, &connection).await;
        for sku in 0..4 {
            let sku = format!("sku{sku}");
            let listed = catalog.list().await.unwrap().into_iter().find(|product| product.sku == sku);
            assert_eq!(catalog.get(&sku).await.unwrap(), listed);
        }
    });
}

#[tokio::test]
async fn every_product_is_listed_while_the_index_moves() {
    let connection = TestConnection::to_cluster(lab_testing::cluster()).await;
    let catalog = Catalog::new(connection.clone(), &prefix());
    let index = catalog.index().unwrap();
    let mut fill = vec!["HSET".to_owned(), index.as_str().to_owned()];
    for number in 0..2_000 {
        fill.extend([format!("sku:{number}"), format!("1 Product {number}")]);
        fill.extend([format!("name:Product {number}"), number.to_string()]);
        let key = catalog.key(&number.to_string()).unwrap();
        let _: i64 = connection
            .send(&["HSET", key.as_str(), "name", &format!("Product {number}"), "price", "1"])
            .await;
    }
    let _: i64 = connection.send(&fill.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let moving = MovingSlots::of([index.as_str()]);
    for _ in 0..5 {
        assert_eq!(catalog.list().await.unwrap().len(), 2_000);
    }
    assert!(moving.end() > 1);
}

#[test]
fn a_change_that_is_sent_twice_and_round_trips() {
    everywhere(async |connection, prefix| {
        let catalog = Catalog::new(connection.clone().sending_twice(), &prefix);
        let mug = product("sku123", "Mug", "1");
        catalog.put(&mug).await.unwrap();
        assert_matches!(catalog.put(&product("sku456", "Mug", "1")).await, Err(PutError::NameTaken { .. }));
        assert_eq!(catalog.list().await.unwrap(), std::slice::from_ref(&mug));
        catalog.remove("sku123").await.unwrap();
        assert_eq!(catalog.list().await.unwrap(), []);
        assert_eq!(connection.round_trips_of(catalog.get("sku123")).await, 1);
        assert_eq!(connection.round_trips_of(catalog.put(&mug)).await, 3);
        assert_eq!(connection.round_trips_of(catalog.remove("sku123")).await, 4);
    });
}
