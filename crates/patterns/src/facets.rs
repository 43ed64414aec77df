//! Facets: a catalog that customers filter by brand, category, price, and rating.
//!
//! A shop page shows the products that match the customer's selection, and beside each value how many products have it. Two
//! values of one facet widen the selection (this brand or that one), and two facets narrow it (and at most 25.00). The counts
//! of a facet ignore its own selection: with one brand selected, you still see how many products the other brands would add.
//!
//! There are two naive ways. Either the client reads the whole catalog for each page. Or the server intersects a Set for each
//! value, product by product: 40 to 90 ms at 20,000 products, while it serves no other client. And if a product changes its
//! brand, it stays in the old Set too. Here each product is a column in a table of bits, with a row for each value and for each
//! binary digit of each sort key. BITOP and BITCOUNT handle thousands of columns in a microsecond. One script computes the
//! whole page: it combines rows, counts bits, and finds the page by splitting at one digit after the other (a radix sort of
//! only that page). The record of each product says which bits to clear when it changes.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `facets:{facets}:products` | Hash | product ID to record |
//! | `facets:{facets}:ids` | Hash | column to product ID |
//! | `facets:{facets}:brands` | Sorted Set | brand, scored by the number of its products |
//! | `facets:{facets}:categories` | Sorted Set | category, scored by the number of its products |
//! | `facets:{facets}:rows` | Hash | `brand:Acme` to row |
//! | `facets:{facets}:bits` | String | the table, 4,096 bytes for each row |
//! | `facets:{facets}:scratch:1` to `:3` | String | intermediate results, only while a script runs |
//!
//! - **Promise**: the products, the total, and all counts of a page are from one moment. No page shows a removed product or an
//!   old value. If nothing changes in between, pages neither repeat nor skip a product.
//! - **Cost**: one round trip for each call. A page takes a few steps for each value that is counted or selected and for each
//!   bit of the sort key, up to 2,500 in all. A step reads one row, 2.5 kB at 20,000 products. The offset costs nothing. A page
//!   of 20,000 products with 180 values takes the server 1 to 4 ms. A change sets and clears about 150 bits.
//! - **Memory**: 1.5 MB, 4 kB for each brand and category that has products, and about 700 bytes for each product. At most
//!   [`MAX_PRODUCTS`] products, and 1,000 brands and 1,000 categories. Beyond that, split the catalog by its top categories, each
//!   with its own prefix. Nothing expires.
//! - **Faults**: a change that is sent twice has no further effect. A failover may lose the last changes, all of each. If a key
//!   is lost (use `noeviction`), every call except `get` returns [`FacetsError::Lost`]: call [`Facets::repair`], then put every
//!   product again. Pages and removals work when memory is full. A page writes intermediate results that are not replicated, so
//!   it needs the primary, and while a cluster moves the slot, pages wait. It stores no times.
//!
//! ```
//! use patterns::facets::{Facets, Order, PageOf, Product, Selection};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let facets = Facets::new(connection, "");
//! for (id, brand, price) in [("mug1", "Acme", "9.99"), ("mug2", "Bolt & Co.", "19.99"), ("mug3", "Acme", "29.99")] {
//!     let product = Product {
//!         id: id.into(),
//!         name: "Coffee mug".into(),
//!         brand: brand.into(),
//!         category: "Kitchen".into(),
//!         price: price.parse()?,
//!         rating: 4,
//!         popularity: 7,
//!         added: 1_790_000_000,
//!     };
//!     facets.put(&product).await?;
//! }
//!
//! let acme = Selection { brands: ["Acme".into()].into(), ..Selection::default() };
//! let page = facets.page(&acme, Order::PriceAscending, PageOf::first(20)).await?;
//! assert_eq!(page.total, 2);
//! assert_eq!(page.products[0].id, "mug1");
//! assert_eq!(page.brands["Bolt & Co."], 1, "what selecting it too would add");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::money::Cents;
use crate::script::{Call, Reply, Script, StoreError, by_operation, quote, send};

/// The most products of one catalog.
pub const MAX_PRODUCTS: usize = 32_768;

/// The most brands, categories, or ratings in a [`Selection`].
pub const MAX_SELECTED: usize = 50;

/// The most price ranges in a [`Selection`], after overlapping ones are joined.
pub const MAX_PRICE_RANGES: usize = 4;

/// The most products on a page.
pub const MAX_PAGE: u32 = 100;

/// How many brands and categories a page counts: those with the most products.
pub const MAX_COUNTED: usize = 100;

/// The most prices at which a new band begins.
pub const MAX_PRICE_BANDS: usize = 10;

/// Where each price band begins by default, in cents. See [`Facets::with_price_bands`].
const PRICE_BANDS: [i64; 5] = [2_500, 5_000, 10_000, 25_000, 50_000];

// The rows of the table that the client chooses. A number has its lowest bit in the first row, a name its highest.
const STARS: Range<u32> = 3..8;
const PRICE: Range<u32> = 8..38;
const POPULARITY: Range<u32> = 38..102;
const ADDED: Range<u32> = 102..166;
const NAME: Range<u32> = 166..358;

const FILE: &str = include_str!("facets.lua");

/// Replaces all bits of a product with those of a new state.
pub static PUT: Script = Script::new("facets.lua: put", FILE, &["table", "change", "put"]);
/// Clears all bits of a product.
pub static REMOVE: Script = Script::new("facets.lua: remove", FILE, &["table", "change", "remove"]);
/// Removes the other keys if one was lost.
pub static REPAIR: Script = Script::new("facets.lua: repair", FILE, &["table", "repair"]);
/// Finds one page of the products that match a selection, and counts every facet without its own selection.
pub static PAGE: Script = Script::new("facets.lua: page", FILE, &["table", "page"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&PUT, &REMOVE, &REPAIR, &PAGE])
}

/// A product, with what it is filtered and sorted by. ID, name, brand, and category are any text of 1 to 512 bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Product {
    /// Its ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its brand.
    pub brand: String,
    /// What it belongs to.
    pub category: String,
    /// What it costs, up to [`Cents::MAX_PRICE`].
    pub price: Cents,
    /// 1 to 5 stars.
    pub rating: u8,
    /// A larger number is more popular.
    pub popularity: u64,
    /// When it was added to the shop, in any unit that grows, such as seconds since 1970. For [`Order::Newest`].
    pub added: u64,
}

/// What a customer selected. A product matches if it has one of the selected values of each facet that has any. An empty
/// selection is the whole catalog.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// Brands, at most [`MAX_SELECTED`].
    pub brands: BTreeSet<String>,
    /// Categories, at most [`MAX_SELECTED`].
    pub categories: BTreeSet<String>,
    /// Prices, at most [`MAX_PRICE_RANGES`]. They may overlap.
    pub prices: Vec<PriceRange>,
    /// Ratings, 1 to 5 stars.
    pub ratings: BTreeSet<u8>,
}

/// Prices from one to another, both included.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PriceRange {
    /// The lowest.
    pub from: Cents,
    /// The highest price. If it is below `from`, the range is empty.
    pub to: Cents,
}

/// The order of the products. Products that are equal in it are in a fixed order too.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// The most popular first.
    #[default]
    Popularity,
    /// The cheapest first.
    PriceAscending,
    /// The most expensive first.
    PriceDescending,
    /// The best rated first.
    Rating,
    /// The latest [`Product::added`] first.
    Newest,
    /// By the first 24 bytes of the name.
    Name,
}

impl Order {
    /// All orders.
    pub const ALL: [Self; 6] = [
        Self::Popularity,
        Self::PriceAscending,
        Self::PriceDescending,
        Self::Rating,
        Self::Newest,
        Self::Name,
    ];

    /// The rows to sort by, the most significant first, and whether a 1 comes before a 0.
    fn rows(self) -> (Vec<u32>, bool) {
        match self {
            Self::Popularity => (POPULARITY.rev().collect(), true),
            Self::PriceAscending => (PRICE.rev().collect(), false),
            Self::PriceDescending => (PRICE.rev().collect(), true),
            Self::Rating => (STARS.rev().collect(), true),
            Self::Newest => (ADDED.rev().collect(), true),
            Self::Name => (NAME.collect(), false),
        }
    }

    fn compare(self, one: &Product, other: &Product) -> Ordering {
        match self {
            Self::Popularity => other.popularity.cmp(&one.popularity),
            Self::PriceAscending => one.price.cmp(&other.price),
            Self::PriceDescending => other.price.cmp(&one.price),
            Self::Rating => other.rating.cmp(&one.rating),
            Self::Newest => other.added.cmp(&one.added),
            Self::Name => sorted_name(&one.name).cmp(sorted_name(&other.name)),
        }
    }
}

/// Which products of the result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageOf {
    /// How many products come before the page.
    pub offset: u32,
    /// How many products to show, at most [`MAX_PAGE`]; a larger number becomes that. With 0, you get only the counts.
    pub limit: u32,
}

impl PageOf {
    /// The first page of this size.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { offset: 0, limit }
    }

    /// The page after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self { offset: self.offset.saturating_add(self.shown()), ..self }
    }

    fn shown(self) -> u32 {
        self.limit.min(MAX_PAGE)
    }
}

/// What a customer sees, all of it of one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FacetPage {
    /// How many products there are on all pages.
    pub total: u64,
    /// Those of this page.
    pub products: Vec<Product>,
    /// For each brand, how many products have it and match the selection in the other facets. Brands without any are left out,
    /// and so are brands that are neither selected nor among the [`MAX_COUNTED`] largest.
    pub brands: BTreeMap<String, u64>,
    /// The same for each category.
    pub categories: BTreeMap<String, u64>,
    /// The same for each price band, including empty ones.
    pub prices: Vec<PriceBand>,
    /// The same for each number of stars, without empty ones.
    pub ratings: BTreeMap<u8, u64>,
}

/// Prices that are counted together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PriceBand {
    /// The lowest price in it.
    pub from: Cents,
    /// Where the next band begins; `None` for the last one.
    pub below: Option<Cents>,
    /// How many products are in it.
    pub products: u64,
}

/// The catalog under a prefix.
#[derive(Clone, Debug)]
pub struct Facets<C> {
    connection: C,
    prefix: String,
    /// Ascending, each once.
    bands: Vec<Cents>,
}

impl<C: ConnectionLike + Clone> Facets<C> {
    /// A catalog that counts prices in bands that begin at 25, 50, 100, 250, and 500.
    pub fn new(connection: C, prefix: &str) -> Self {
        let bands = PRICE_BANDS.into_iter().filter_map(Cents::new).collect();
        Self { connection, prefix: prefix.to_owned(), bands }
    }

    /// Where each price band begins: the first [`MAX_PRICE_BANDS`] of these, in ascending order. They are not stored.
    #[must_use]
    pub fn with_price_bands(mut self, mut begins: Vec<Cents>) -> Self {
        begins.sort_unstable();
        begins.dedup();
        begins.truncate(MAX_PRICE_BANDS);
        self.bands = begins;
        self
    }

    /// Adds or changes a product; `true` if it is new. A page shows it as it was before or after. One round trip.
    pub async fn put(&self, product: &Product) -> Result<bool, FacetsError> {
        let Product { id, name, brand, category, price, rating, popularity, added } = product;
        for text in [id, name, brand, category] {
            check_id(text).map_err(StoreError::from)?;
        }
        if *price > Cents::MAX_PRICE {
            return Err(FacetsError::PriceTooHigh { price: *price });
        }
        if !(1..=5).contains(rating) {
            return Err(FacetsError::Rating { given: *rating });
        }
        let [id, name, brand, category] = [id, name, brand, category].map(|text| escape_line_breaks(text));
        let record = format!("{brand}\n{category}\n{}\n{rating}\n{popularity}\n{added}\n{name}", price.get());
        let call = PUT.call(&self.keys()?[..6]).arg(id).arg(brand).arg(category);
        let reply = self.answer(&call.arg(rows_of(product)).arg(record)).await?;
        match reply.outcome.as_str() {
            "ADDED" => Ok(true),
            "CHANGED" => Ok(false),
            "FULL" => Err(FacetsError::Full),
            "TOO_MANY_VALUES" => Err(FacetsError::TooManyValues),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Removes a product from the catalog; `false` if it is not in the catalog. One round trip.
    pub async fn remove(&self, id: &str) -> Result<bool, FacetsError> {
        check_id(id).map_err(StoreError::from)?;
        let reply = self.answer(&REMOVE.call(&self.keys()?[..6]).arg(escape_line_breaks(id))).await?;
        Ok(reply.either("REMOVED", "UNKNOWN")?)
    }

    /// The product with this ID, `None` if it is not in the catalog. One round trip.
    pub async fn get(&self, id: &str) -> Result<Option<Product>, StoreError> {
        check_id(id)?;
        let (key, id) = (&self.keys()?[0], escape_line_breaks(id));
        let record: Option<Vec<u8>> = send(&self.connection, redis::cmd("HGET").arg(key).arg(&id)).await?;
        record.map(|record| Ok(read(key, id.as_bytes(), &record)?.1)).transpose()
    }

    /// A page of the products that match a selection, with the counts. One round trip.
    pub async fn page(
        &self,
        selection: &Selection,
        order: Order,
        page: PageOf,
    ) -> Result<FacetPage, FacetsError> {
        let keys = self.keys()?;
        let mut reply = self.answer(&self.page_call(&keys, selection, order, page)?).await?;
        if !reply.either("PAGE", "EMPTY")? {
            return Ok(FacetPage { prices: self.price_bands(&[]), ..FacetPage::default() });
        }
        let (total, skipped): (u64, usize) = (reply.next()?, reply.next()?);
        let records: Vec<(Vec<u8>, Vec<u8>)> = reply.next()?;
        let mut products = Vec::with_capacity(records.len());
        for (id, record) in &records {
            products.push(read(&keys[0], id, record)?);
        }
        // The script sorts only as far as it must to find the page. So its reply may begin before the page and end after it.
        products.sort_by(|(one_column, one), (other_column, other)| {
            order.compare(one, other).then(one_column.cmp(other_column))
        });
        Ok(FacetPage {
            total,
            products: products
                .into_iter()
                .map(|(_, product)| product)
                .skip(skipped)
                .take(page.shown() as usize)
                .collect(),
            brands: counted(reply.next()?),
            categories: counted(reply.next()?),
            prices: self.price_bands(&reply.next::<Vec<u64>>()?),
            ratings: (1..).zip(reply.next::<Vec<u64>>()?).filter(|(_, products)| *products > 0).collect(),
        })
    }

    /// After [`FacetsError::Lost`], deletes the other keys, so that you can put every product again, and returns `true`. If no
    /// key is lost, it changes nothing and returns `false`, so several clients may call it at once.
    pub async fn repair(&self) -> Result<bool, StoreError> {
        REPAIR.call(&self.keys()?[..6]).run::<Reply>(&self.connection).await?.either("EMPTIED", "WHOLE")
    }

    /// The keys, in the order of the table above.
    pub fn keys(&self) -> Result<[String; 9], StoreError> {
        let root = Key::new(&self.prefix, "facets", &[])?;
        Ok(["products", "ids", "brands", "categories", "rows", "bits", "scratch:1", "scratch:2", "scratch:3"]
            .map(|name| root.companion(name)))
    }

    fn page_call(
        &self,
        keys: &[String],
        selection: &Selection,
        order: Order,
        page: PageOf,
    ) -> Result<Call<'static>, FacetsError> {
        let (rows, descending) = order.rows();
        let rows: Vec<String> = rows.iter().map(u32::to_string).collect();
        let mut call = PAGE.call(keys).arg(page.offset).arg(page.shown());
        call = call.arg(if descending { "descending" } else { "ascending" }).arg(rows.join(" "));
        call = call.arg(STARS.start).arg(PRICE.start).arg(PRICE.len()).arg(MAX_COUNTED);

        let stars: BTreeSet<String> = selection.ratings.iter().map(u8::to_string).collect();
        if let Some(given) = selection.ratings.iter().find(|stars| !(1..=5).contains(*stars)) {
            return Err(FacetsError::Rating { given: *given });
        }
        for values in [&selection.brands, &selection.categories, &stars] {
            if values.len() > MAX_SELECTED {
                return Err(FacetsError::TooManySelected { given: values.len(), max: MAX_SELECTED });
            }
            call = if values.is_empty() {
                call.arg(-1)
            } else {
                call.arg(values.len())
                    .arg(values.iter().map(|value| escape_line_breaks(value)).collect::<Vec<_>>())
            };
        }
        let ranges = selection.disjoint_prices();
        if ranges.len() > MAX_PRICE_RANGES {
            return Err(FacetsError::TooManySelected { given: ranges.len(), max: MAX_PRICE_RANGES });
        }
        if selection.prices.is_empty() {
            call = call.arg(-1);
        } else {
            // Empty ranges count as selected too: then no product matches.
            call = call.arg(2 * ranges.len());
            for [from, below] in ranges {
                call = call.arg(from).arg(below);
            }
        }
        call = call.arg(self.bands.len());
        for begins in &self.bands {
            call = call.arg(begins.get());
        }
        Ok(call)
    }

    async fn answer(&self, call: &Call<'_>) -> Result<Reply, FacetsError> {
        let reply: Reply = call.run(&self.connection).await?;
        if reply.outcome == "LOST" { Err(FacetsError::Lost) } else { Ok(reply) }
    }

    /// `at_least`: how many products there are, and how many cost at least the first price of each band.
    fn price_bands(&self, at_least: &[u64]) -> Vec<PriceBand> {
        let products = |band: usize| at_least.get(band).copied().unwrap_or(0);
        let begins = std::iter::once(Cents::ZERO).chain(self.bands.iter().copied());
        begins
            .enumerate()
            .map(|(band, from)| PriceBand {
                from,
                below: self.bands.get(band).copied(),
                products: products(band).saturating_sub(products(band + 1)),
            })
            .collect()
    }
}

impl Selection {
    /// The price ranges as the first cent and the first cent above, joined where they overlap.
    fn disjoint_prices(&self) -> Vec<[i64; 2]> {
        let mut ranges: Vec<[i64; 2]> = self
            .prices
            .iter()
            .map(|range| [range.from.get(), range.to.get().min(Cents::MAX_PRICE.get()) + 1])
            .filter(|[from, below]| from < below)
            .collect();
        ranges.sort_unstable();
        let mut disjoint: Vec<[i64; 2]> = Vec::with_capacity(ranges.len());
        for [from, below] in ranges {
            match disjoint.last_mut() {
                Some(last) if from <= last[1] => last[1] = last[1].max(below),
                _ => disjoint.push([from, below]),
            }
        }
        disjoint
    }
}

/// The rows in which a product has a 1, except brand and category, separated by spaces.
fn rows_of(product: &Product) -> String {
    let mut rows = vec![0, STARS.start + u32::from(product.rating) - 1];
    // Not negative, as all amounts.
    let cents = product.price.get().unsigned_abs();
    for (range, number) in [(PRICE, cents), (POPULARITY, product.popularity), (ADDED, product.added)] {
        rows.extend(range.zip(0..).filter(|(_, bit)| number >> bit & 1 == 1).map(|(row, _)| row));
    }
    let bits =
        sorted_name(&product.name).iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    rows.extend(NAME.zip(bits).filter(|(_, bit)| *bit == 1).map(|(row, _)| row));
    rows.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// What a name is sorted by.
fn sorted_name(name: &str) -> &[u8] {
    &name.as_bytes()[..name.len().min(NAME.len() / 8)]
}

/// A column and its product, from a record. Pages have records without their rows.
fn read(key: &str, id: &[u8], record: &[u8]) -> Result<(u32, Product), StoreError> {
    let id = String::from_utf8_lossy(id);
    let record = String::from_utf8_lossy(record);
    let product = || {
        let lines: Vec<&str> = record.split('\n').collect();
        let [column, brand, category, price, rating, popularity, added, name, ..] = lines[..] else {
            return None;
        };
        let product = Product {
            id: from_a_line(&id),
            name: from_a_line(name),
            brand: from_a_line(brand),
            category: from_a_line(category),
            price: Cents::new(price.parse().ok()?)?,
            rating: rating.parse().ok()?,
            popularity: popularity.parse().ok()?,
            added: added.parse().ok()?,
        };
        Some((column.parse().ok()?, product))
    };
    product().ok_or_else(|| StoreError::Malformed(quote(&format!("{key} {id}"))))
}

fn counted(counts: Vec<(Vec<u8>, u64)>) -> BTreeMap<String, u64> {
    counts
        .into_iter()
        .map(|(value, products)| (from_a_line(&String::from_utf8_lossy(&value)), products))
        .collect()
}

fn escape_line_breaks(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

fn from_a_line(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            // Only these two stand behind a backslash.
            '\\' if characters.next() == Some('n') => '\n',
            other => other,
        });
    }
    text
}

/// Why there is no page, or a product was not put.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FacetsError {
    /// More than [`Cents::MAX_PRICE`].
    #[error("the price {price} is too high: the maximum is {max}", max = Cents::MAX_PRICE)]
    PriceTooHigh {
        /// The price.
        price: Cents,
    },
    /// Not 1 to 5 stars.
    #[error("a rating is 1 to 5 stars, not {given}")]
    Rating {
        /// The stars.
        given: u8,
    },
    /// Too many values of one facet are selected.
    #[error("{given} values of one facet are selected: the maximum is {max}")]
    TooManySelected {
        /// How many.
        given: usize,
        /// [`MAX_SELECTED`] or [`MAX_PRICE_RANGES`].
        max: usize,
    },
    /// The catalog has [`MAX_PRODUCTS`] products.
    #[error("the catalog is full, with {MAX_PRODUCTS} products: split it, with a prefix for each part")]
    Full,
    /// There are 1,000 brands or 1,000 categories, and this would be one more.
    #[error("the catalog has 1,000 brands or categories: split it, with a prefix for each part")]
    TooManyValues,
    /// One of the keys was lost. Call [`Facets::repair`], then put every product again.
    #[error("a key of the catalog was lost: call repair, then put every product again")]
    Lost,
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
