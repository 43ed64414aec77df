//! Putting a product into the catalogue, reading it, and taking it out.

use std::sync::LazyLock;

use redis::Script;
use redis::aio::ConnectionLike;

use super::{FacetedProduct, Facets, FacetsError, Listed};
use crate::catalogue::Put;
use crate::script;
use crate::store::{Reply, StoreError};
use crate::{Cents, Sku};

static CHANGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("../scripts/types.lua"), include_str!("scripts/change.lua")))
});

impl<C: ConnectionLike + Clone> Facets<C> {
    /// Puts a product into the catalogue, or changes all that is known of it. All in one step: every page shows it as it
    /// was, or as it is.
    ///
    /// O(log products). One round trip for a new product, two for one that is there: the first learns which Sets it is
    /// to leave. One more each time that somebody else changes the same product between the two.
    pub async fn put(&self, product: &FacetedProduct) -> Result<Put, FacetsError> {
        if product.price > Cents::MAX_PRICE {
            return Err(FacetsError::PriceTooHigh { price: product.price });
        }
        let reply = self.change(&product.sku, Some(product)).await?;
        match reply.outcome.as_str() {
            "ADDED" => Ok(Put::Added),
            "CHANGED" => Ok(Put::Changed),
            _ => Err(reply.into_error().into()),
        }
    }

    /// Takes a product out of the catalogue; `false` if it was not in it. One round trip for one that was not, two for one
    /// that was, and more as for [`Facets::put`].
    pub async fn remove(&self, sku: &Sku) -> Result<bool, StoreError> {
        let reply = self.change(sku, None).await?;
        match reply.outcome.as_str() {
            "REMOVED" => Ok(true),
            "UNKNOWN" => Ok(false),
            _ => Err(reply.into_error()),
        }
    }

    /// The product with this SKU, `None` if it is not in the catalogue. One round trip.
    pub async fn get(&self, sku: &Sku) -> Result<Option<Listed>, StoreError> {
        let key = self.keys.facet_products();
        let record: Option<Vec<u8>> =
            redis::cmd("HGET").arg(&key).arg(sku.as_str()).query_async(&mut self.connection.clone()).await?;
        record.map(|record| Listed::parse(sku.as_str().as_bytes(), &record, &key)).transpose()
    }

    async fn change(&self, sku: &Sku, new: Option<&FacetedProduct>) -> Result<Reply, StoreError> {
        let keys = &self.keys;
        // At first we take it that the product is new.
        let mut record = Vec::new();
        loop {
            let former = match record.as_slice() {
                [] => None,
                record => Some(Listed::parse(sku.as_str().as_bytes(), record, &keys.facet_products())?),
            };
            let former = former.as_ref().map(|listed| &listed.product);
            let mut call = CHANGE.key(keys.facet_products());
            call.key(keys.facet_brands()).key(keys.facet_categories()).key(keys.facet_name());
            call.key(keys.facet_price()).key(keys.facet_rating());
            call.key(keys.facet_popularity()).key(keys.facet_newest());
            call.arg(sku.as_str()).arg(&record);
            // One after the other, each if it is there: the Sets to leave, then the Sets to enter.
            for product in [former, new] {
                call.arg(u8::from(product.is_some()));
                if let Some(FacetedProduct { brand, category, name, .. }) = product {
                    call.key(keys.facet_brand(brand)).key(keys.facet_category(category));
                    call.arg(brand.as_str()).arg(category.as_str()).arg(format!("{name}\n{sku}"));
                }
            }
            if let Some(product) = new {
                let [begins, ends] = product.record();
                call.arg(begins).arg(ends);
                call.arg(product.price.get()).arg(product.rating.get()).arg(product.counted_popularity());
            }
            let mut reply: Reply = script::run(&call, &self.connection).await?;
            if reply.outcome != "DIFFERS" {
                return Ok(reply);
            }
            // Each time that somebody else is faster, somebody else has got on.
            record = reply.next()?;
        }
    }
}
