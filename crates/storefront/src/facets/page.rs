//! A page of the shop: products, and what each value of each facet would leave.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Script, ScriptInvocation};

use super::{Facets, FacetsError, Listed, Order, PageOf, Selection, Stars};
use crate::script;
use crate::store::{Reply, StoreError};
use crate::{Cents, Label};

static PAGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("scripts/counts.lua"),
        include_str!("scripts/sorted.lua"),
        include_str!("scripts/page.lua")
    ))
});

/// Prices that are counted together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PriceBand {
    /// The lowest price in it.
    pub from: Cents,
    /// The lowest price that is not in it any more; `None` for the last band.
    pub below: Option<Cents>,
    /// How many products are in it.
    pub products: u64,
}

/// What a customer sees. All of it is of one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FacetPage {
    /// How many products there are on all pages.
    pub total: u64,
    /// Those of this page.
    pub products: Vec<Listed>,
    /// For each brand how many products have it, by what is ticked in the other facets. Those without any are left out.
    pub brands: BTreeMap<Label, u64>,
    /// The same for each category.
    pub categories: BTreeMap<Label, u64>,
    /// The same for each band of prices, also those without any.
    pub prices: Vec<PriceBand>,
    /// The same for each number of stars. Those without any are left out.
    pub ratings: BTreeMap<Stars, u64>,
}

impl<C: ConnectionLike + Clone> Facets<C> {
    /// A page of what is left by `selection`, with the counts. One round trip: a script that only reads, makes no
    /// temporary keys, and may run on a replica.
    ///
    /// Nothing ticked: O(offset + limit + values), as totals are kept. Otherwise O(S + H + N): S is the sum of the sizes
    /// of all ticked Sets and ranges, H are the products left, N those that fail by one facet alone, which its counts
    /// need; to find the page in the order, up to 256 products are sorted, and with more of them the order's Sorted Set
    /// is walked until the page is full: (offset + limit) / share of the catalogue that is left.
    ///
    /// While it runs nobody else is served. Measured in processor time (`tests/search/facets_measured.rs`), with 2,000 products:
    /// 0.1 ms with nothing ticked, 0.5 ms for a category and two brands, 2 ms for half of all prices and three kinds of
    /// stars, 4 ms with everything ticked. With 20,000 products: 0.1, 5, 43 and 86 ms. Some thousand products that pass a
    /// facet are fine; beyond that, split the catalogue by category.
    pub async fn page(
        &self,
        selection: &Selection,
        order: Order,
        page: PageOf,
    ) -> Result<FacetPage, FacetsError> {
        selection.check()?;
        let call = self.call(selection, order, page);
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        if reply.outcome != "PAGE" {
            return Err(reply.into_error().into());
        }
        let products = self.keys.facet_products();
        let total = reply.next()?;
        let records: Vec<(Vec<u8>, Vec<u8>)> = reply.next()?;
        let listed = records.iter().map(|(sku, record)| Listed::parse(sku, record, &products));
        Ok(FacetPage {
            total,
            products: listed.collect::<Result<_, _>>()?,
            brands: labels(&mut reply, &self.keys.facet_brands())?,
            categories: labels(&mut reply, &self.keys.facet_categories())?,
            prices: self.bands(&reply.next::<Vec<u64>>()?),
            ratings: Stars::all()
                .into_iter()
                .zip(reply.next::<Vec<u64>>()?)
                .filter(|(_, count)| *count > 0)
                .collect(),
        })
    }

    fn call(&self, selection: &Selection, order: Order, page: PageOf) -> ScriptInvocation<'static> {
        let keys = &self.keys;
        let (index, way) = match order {
            Order::Popularity => (keys.facet_popularity(), "descending"),
            Order::PriceAscending => (keys.facet_price(), "ascending"),
            Order::PriceDescending => (keys.facet_price(), "descending"),
            Order::Rating => (keys.facet_rating(), "descending"),
            Order::Newest => (keys.facet_newest(), "descending"),
            Order::Name => (keys.facet_name(), "by name"),
        };
        let mut call = PAGE.key(keys.facet_products());
        call.key(keys.facet_brands()).key(keys.facet_categories());
        call.key(keys.facet_price()).key(keys.facet_rating()).key(index);
        call.arg(way).arg(page.offset).arg(page.shown());

        call.arg(selection.brands.len()).arg(selection.categories.len());
        for brand in &selection.brands {
            call.key(keys.facet_brand(brand));
        }
        for category in &selection.categories {
            call.key(keys.facet_category(category));
        }
        // Ranges without any price in them are ticked all the same: nothing is left then.
        call.arg(u8::from(!selection.prices.is_empty()));
        let prices = selection.disjoint_prices();
        call.arg(prices.len());
        for range in prices {
            call.arg(range.from.get()).arg(range.to.get());
        }
        call.arg(selection.ratings.len());
        for stars in &selection.ratings {
            call.arg(stars.get());
        }
        call.arg(self.bounds.len());
        for bound in &self.bounds {
            call.arg(bound.get());
        }
        call
    }

    fn bands(&self, counts: &[u64]) -> Vec<PriceBand> {
        let from = std::iter::once(Cents::ZERO).chain(self.bounds.iter().copied());
        let below = self.bounds.iter().copied().map(Some).chain(std::iter::once(None));
        from.zip(below)
            .zip(counts)
            .map(|((from, below), products)| PriceBand { from, below, products: *products })
            .collect()
    }
}

fn labels(reply: &mut Reply, key: &str) -> Result<BTreeMap<Label, u64>, StoreError> {
    let counts: Vec<(Vec<u8>, u64)> = reply.next()?;
    let label = |bytes: Vec<u8>| {
        let text = String::from_utf8_lossy(&bytes);
        text.parse().map_err(|_| StoreError::malformed(key, &text))
    };
    counts.into_iter().map(|(bytes, count)| Ok((label(bytes)?, count))).collect()
}
