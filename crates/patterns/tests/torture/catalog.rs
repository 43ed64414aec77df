use std::collections::BTreeSet;

use lab_testing::TestConnection;
use patterns::catalog::{self, Catalog, Product, PutError};
use patterns::money::Cents;

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const PRODUCTS: usize = 12;

pub const PATTERN: Pattern = Pattern {
    name: "catalog",
    workload: |prefix| Box::new(Products { prefix: prefix.to_owned() }),
    plain_commands: &["HSET", "HGET", "HMGET", "UNLINK", "HLEN", "HSCAN"],
    scripts: catalog::scripts,
};

struct Products {
    prefix: String,
}

fn product(sku: usize, name: usize, price: i64) -> Product {
    // The same names in two forms of Unicode.
    let name =
        format!("{} {}", if sku.is_multiple_of(2) { "Caf\u{e9}" } else { "Cafe\u{301}" }, name % PRODUCTS);
    Product { sku: format!("sku{}", sku % PRODUCTS), name, price: Cents::new(price).unwrap() }
}

impl Workload for Products {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let catalog = Catalog::new(connection, &self.prefix);
        let product = product(client + call, client * 5 + call * 3, i64::try_from(client)?);
        match catalog.put(&product).await {
            Ok(_) | Err(PutError::NameTaken { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        catalog.find(&product.name).await?;
        catalog.list().await?;
        if (client + call).is_multiple_of(4) {
            catalog.remove(&product.sku).await?;
        }
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let catalog = Catalog::new(connection, &self.prefix);
        let mut verdict = Verdict::Held;
        if matches!(fault, Fault::KeyLost(_) | Fault::WritesLost) {
            for sku in 0..PRODUCTS {
                let sku = format!("sku{sku}");
                let there = catalog.get(&sku).await?;
                let listed = catalog.list().await?;
                if there.is_some() != listed.iter().any(|product| product.sku == sku) {
                    verdict = Verdict::Contract("Put the product again, or remove it; both repair it");
                }
                match there {
                    Some(product) => match catalog.put(&product).await {
                        // The name went to another product while the index was lost.
                        Err(PutError::NameTaken { .. }) => {
                            verdict = Verdict::Contract("the list is empty and names are free");
                            catalog.remove(&sku).await?;
                        }
                        Err(error) => return Err(error.into()),
                        Ok(_) => {}
                    },
                    None => {
                        catalog.remove(&sku).await?;
                    }
                }
            }
        }
        let listed = catalog.list().await?;
        let names: BTreeSet<&str> = listed.iter().map(|product| product.name.as_str()).collect();
        if names.len() != listed.len() {
            return Err(format!("each name once; found {listed:?}").into());
        }
        for sku in 0..PRODUCTS {
            let sku = format!("sku{sku}");
            let there = catalog.get(&sku).await?;
            if there.as_ref() != listed.iter().find(|product| product.sku == sku) {
                return Err(format!("what the index lists; found {there:?}").into());
            }
        }
        for product in &listed {
            let found = catalog.find(&product.name).await?;
            if found.as_ref() != Some(product) {
                return Err(format!("{product:?} by its name; found {found:?}").into());
            }
        }
        for sku in 0..PRODUCTS {
            catalog.remove(&format!("sku{sku}")).await?;
        }
        for sku in 0..PRODUCTS {
            catalog.put(&product(sku, sku, 1)).await?;
        }
        Ok(verdict)
    }
}
