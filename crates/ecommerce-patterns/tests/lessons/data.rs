//! The shop that the lessons share is the same every time, and has the tastes that it says it has.

use std::collections::BTreeSet;

use ecommerce_patterns::data::{Data, Size};

#[test]
fn a_seed_makes_one_shop_and_another_seed_another() {
    let size = Size { products: 400, customers: 300, orders: 500 };
    assert_eq!(Data::new(1, size), Data::new(1, size));
    assert_ne!(Data::new(1, size), Data::new(2, size));
    assert_eq!(Data::new(1, Size { products: 0, customers: 0, orders: 9 }).orders, []);
}

#[test]
fn names_are_unique_and_orders_hold_each_product_once() {
    let data = Data::new(1, Size { products: 20_000, customers: 100, orders: 200 });
    let names: BTreeSet<_> = data.products.iter().map(|product| product.name.as_str()).collect();
    assert_eq!(names.len(), data.products.len());
    for order in &data.orders {
        let distinct: BTreeSet<_> = order.products.iter().collect();
        assert!(!order.products.is_empty() && distinct.len() == order.products.len(), "{order:?}");
    }
}

#[test]
fn most_of_what_is_bought_is_to_the_taste_of_who_buys_it() {
    let data = Data::new(1, Size::LESSON);
    let bought: Vec<bool> = data
        .orders
        .iter()
        .flat_map(|order| order.products.iter().map(|product| (order.customer, *product)))
        .map(|(customer, product)| data.customers[customer].taste == Data::taste_of(product))
        .collect();
    let to_taste = bought.iter().filter(|fits| **fits).count();
    let share = to_taste as f64 / bought.len() as f64;
    assert!((0.6..0.8).contains(&share), "{share}");
}
