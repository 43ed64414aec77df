use std::collections::BTreeSet;

use redis::aio::ConnectionLike;

use super::memory;
use crate::store::StoreError;
use crate::together::together;
use crate::{CustomerId, Keys, Sku};

/// How many products are remembered of each customer, and how many customers of each product: the newest.
const MOST_BOUGHT: usize = 200;
const MOST_BUYERS: usize = 500;

/// What each customer bought, and, the other way round, who bought a product: the newest of both.
#[derive(Clone, Debug)]
pub struct Purchases<C> {
    connection: C,
    keys: Keys,
}

impl<C: ConnectionLike + Clone> Purchases<C> {
    /// The purchases under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// A customer has bought these. Two round trips; on a cluster the second is one for each product, all in flight at once.
    /// It can be repeated without harm.
    pub async fn add(&self, customer: &CustomerId, products: &[Sku]) -> Result<(), StoreError> {
        let products: BTreeSet<&Sku> = products.iter().collect();
        let skus: Vec<&str> = products.iter().map(|sku| sku.as_str()).collect();
        let buyers: Vec<String> = products.iter().map(|sku| self.keys.buyers(sku)).collect();
        let (connection, layout) = (&self.connection, self.keys.layout());
        memory::remember(connection, layout, &[self.keys.purchases(customer)], MOST_BOUGHT, &skus).await?;
        memory::remember(connection, layout, &buyers, MOST_BUYERS, &[customer.as_str()]).await
    }

    /// What a customer bought, the newest first, at most `count`. One round trip.
    pub async fn of(&self, customer: &CustomerId, count: usize) -> Result<Vec<Sku>, StoreError> {
        let Some(of) = self.of_many(std::slice::from_ref(customer), count).await?.pop() else {
            return Ok(Vec::new());
        };
        Ok(of)
    }

    /// What several customers bought. One round trip; on a cluster one for each, all in flight at once.
    pub(super) async fn of_many(
        &self,
        customers: &[CustomerId],
        count: usize,
    ) -> Result<Vec<Vec<Sku>>, StoreError> {
        if count == 0 {
            return Ok(vec![Vec::new(); customers.len()]);
        }
        let read = |customer: &CustomerId| memory::newest(self.keys.purchases(customer), count);
        let read = customers.iter().map(read).collect();
        let stored: Vec<Vec<String>> = together(&self.connection, self.keys.layout(), read).await?;
        let parse = |(skus, customer): (Vec<String>, &CustomerId)| {
            let malformed = |sku: &str| StoreError::malformed(&self.keys.purchases(customer), sku);
            skus.iter().map(|sku| sku.parse().map_err(|_| malformed(sku))).collect()
        };
        stored.into_iter().zip(customers).map(parse).collect()
    }

    /// Who bought these, the newest `count` of each. One round trip; on a cluster one for each, all in flight at once.
    pub(super) async fn buyers(
        &self,
        products: &BTreeSet<String>,
        count: usize,
    ) -> Result<Vec<Vec<String>>, StoreError> {
        let products = products.iter().filter_map(|sku| sku.parse().ok());
        let read = products.map(|sku: Sku| memory::newest(self.keys.buyers(&sku), count)).collect();
        Ok(together(&self.connection, self.keys.layout(), read).await?)
    }
}
