//! Recommendations put to the test: three weeks of orders are known, and the fourth is to be foretold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures_util::future::try_join;
use lab_connection::Connection;
use lab_connection::own_keys;
use lab_runner::Wire;
use redis::{Pipeline, RedisError, RedisResult};
use storefront::recommendations::{
    Basis, BoughtTogether, Embedding, Interests, PopularProducts, ProductVectors, Purchases, Search,
    SimilarCustomers,
};
use storefront::{CustomerId, Keys, Sku, StoreError};

use crate::at_once::at_once;
use crate::data::{Data, Size};
use crate::round_trips::RoundTrips;

/// The shop of the trial.
pub const SIZE: Size = Size { products: 600, customers: 800, orders: 3_600 };
/// How many products are recommended to each customer.
pub const SHOWN: usize = 10;
/// How many customers are asked about in the lesson.
pub const CUSTOMERS: usize = 60;
/// From this day on orders are to be foretold.
const HELD_OUT: u32 = 21;
const AT_ONCE: usize = 50;
/// Neighbours that make a product's vector.
const TRAITS: usize = 20;
const DAY_MS: u64 = 86_400_000;
/// The first of the four weeks, 2024-01-01.
const BEGIN_MS: u64 = 1_704_067_200_000;

/// How to choose what to recommend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The same to everybody: what was bought most.
    Popular,
    /// What shared the most orders with what he bought, counted alone.
    MostShared,
    /// What goes best with what he bought, by cosine.
    BoughtTogether,
    /// What those buy who bought the same.
    LikeBuyers,
    /// What those buy who like the same.
    LikeMinded,
    /// What is near to what he bought, by vectors, all of them compared.
    Vectors,
}

impl Method {
    /// All of them, or those that need no vector sets.
    #[must_use]
    pub fn all(vectors: bool) -> Vec<Self> {
        let always =
            [Self::Popular, Self::MostShared, Self::BoughtTogether, Self::LikeBuyers, Self::LikeMinded];
        always.into_iter().chain(vectors.then_some(Self::Vectors)).collect()
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Popular => "popularity alone",
            Self::MostShared => "pairs, by count",
            Self::BoughtTogether => "pairs, by cosine",
            Self::LikeBuyers => "similar buyers",
            Self::LikeMinded => "similar interests",
            Self::Vectors => "vector set, TRUTH",
        }
    }
}

/// How good the recommendations of a method were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Of all products recommended, the share that was bought in the fourth week: precision at 10.
    pub precision: f64,
    /// Of all products recommended, the share of the category that the customer likes best.
    pub to_taste: f64,
    /// How many different products were recommended to anybody.
    pub different: usize,
    /// Microseconds for each customer, one after the other.
    pub micros: f64,
    /// Round trips for the first customer; on a cluster they depend on what he bought.
    pub round_trips: usize,
}

/// A shop that knows three weeks of orders.
pub struct Trial {
    data: Data,
    redis: Connection,
    keys: Keys,
    vectors: bool,
    /// Customers, what they bought in three weeks and in the fourth, all as indexes.
    asked: Vec<(usize, BTreeSet<usize>, BTreeSet<usize>)>,
    embeddings: BTreeMap<Sku, Embedding>,
    /// Microseconds for each order that was learnt, 50 at a time.
    pub micros_per_order: f64,
}

impl Trial {
    /// Lets a shop of this seed learn; so many customers will be asked about. Removes what an earlier trial left.
    pub async fn prepare(
        seed: u64,
        customers: usize,
        redis: Connection,
        keys: Keys,
        vectors: bool,
    ) -> RedisResult<Self> {
        let data = Data::new(seed, SIZE);
        let asked = asked(&data, customers);
        let embeddings = BTreeMap::new();
        let mut trial = Self { data, redis, keys, vectors, asked, embeddings, micros_per_order: 0.0 };
        trial.clean_up().await?;
        trial.learn().await?;
        if vectors {
            trial.embed().await?;
        }
        Ok(trial)
    }

    /// Removes all its keys.
    pub async fn clean_up(&mut self) -> RedisResult<()> {
        let mut keys = vec![self.keys.popular_products(), self.keys.product_vectors()];
        let labels: BTreeSet<_> = self.data.products.iter().map(|product| &product.category).collect();
        for label in labels {
            keys.extend([self.keys.interested(label), self.keys.popular_products_in(label)]);
        }
        for customer in &self.data.customers {
            keys.extend([self.keys.purchases(&customer.id), self.keys.interests(&customer.id)]);
        }
        for product in &self.data.products {
            let also_bought = self.keys.also_bought(&product.sku);
            keys.extend([self.keys.also_bought_orders(&product.sku), self.keys.buyers(&product.sku)]);
            keys.extend([self.keys.also_bought_support(&product.sku), also_bought]);
        }
        keys.push(format!("{}:landmark", self.keys.popular_products()));
        own_keys::unlink(&mut self.redis, &keys).await?;
        Ok(())
    }

    /// Asks a method about every customer.
    pub async fn ask(&self, method: Method) -> RedisResult<Quality> {
        let (mut hits, mut to_taste, mut recommended) = (0_usize, 0_usize, 0_usize);
        let mut different = BTreeSet::new();
        let index: BTreeMap<&Sku, usize> =
            self.data.products.iter().zip(0..).map(|(product, index)| (&product.sku, index)).collect();
        let mut micros = 0.0;
        for (customer, before, after) in &self.asked {
            let bought = skus_of(&self.data, before.iter());
            let started = Instant::now();
            let customer_id = &self.data.customers[*customer].id;
            let shown = self.recommend(self.redis.clone(), method, customer_id, &bought).await?;
            micros += started.elapsed().as_secs_f64() * 1e6;
            for sku in shown {
                let product = index.get(&sku).copied().unwrap_or_default();
                hits += usize::from(after.contains(&product));
                to_taste += usize::from(Data::taste_of(product) == self.data.customers[*customer].taste);
                different.insert(sku);
            }
            // A method that has too little to say is not better for it.
            recommended += SHOWN;
        }
        let share = |part: usize| part as f64 / recommended.max(1) as f64;
        Ok(Quality {
            precision: share(hits),
            to_taste: share(to_taste),
            different: different.len(),
            micros: micros / self.asked.len().max(1) as f64,
            round_trips: self.round_trips_of(method).await?,
        })
    }

    /// Asks about the first customer again, untimed.
    async fn round_trips_of(&self, method: Method) -> RedisResult<usize> {
        let trips = RoundTrips::default();
        if let Some((customer, before, _)) = self.asked.first() {
            let bought = skus_of(&self.data, before.iter());
            let customer = &self.data.customers[*customer].id;
            self.recommend(trips.counted(self.redis.clone()), method, customer, &bought).await?;
        }
        Ok(trips.take())
    }

    /// Ten products that he has not bought.
    async fn recommend<C: Wire>(
        &self,
        redis: C,
        method: Method,
        customer: &CustomerId,
        bought: &[Sku],
    ) -> RedisResult<Vec<Sku>> {
        let enough = SHOWN + bought.len();
        let keys = self.keys.clone();
        let scored = match method {
            Method::Popular => {
                let top = PopularProducts::new(redis, keys).top(enough).await.map_err(failed)?;
                top.into_iter().map(|popular| popular.sku).collect()
            }
            Method::MostShared => self.most_shared(redis, bought).await?,
            Method::BoughtTogether => {
                let together = BoughtTogether::new(redis, keys);
                skus(together.with_all(bought, enough).await.map_err(failed)?)
            }
            Method::LikeBuyers | Method::LikeMinded => {
                let buyers = method == Method::LikeBuyers;
                let basis = if buyers { Basis::Purchases } else { Basis::Interests };
                let similar = SimilarCustomers::new(redis, keys, basis);
                skus(similar.recommend(customer, enough).await.map_err(failed)?)
            }
            Method::Vectors => {
                let liked = bought.iter().filter_map(|sku| self.embeddings.get(sku));
                let Some(taste) = Embedding::between(liked) else { return Ok(Vec::new()) };
                let vectors = ProductVectors::new(redis, keys, Search::Exact);
                skus(vectors.near(&taste, enough).await.map_err(failed)?)
            }
        };
        Ok(scored.into_iter().filter(|sku| !bought.contains(sku)).take(SHOWN).collect())
    }

    /// What many do who stop half-way: the counts as they are.
    async fn most_shared<C: Wire>(&self, mut redis: C, bought: &[Sku]) -> RedisResult<Vec<Sku>> {
        let mut shared = BTreeMap::<String, f64>::new();
        let mut neighbours = Pipeline::new();
        for sku in bought {
            neighbours.zrevrange_withscores(self.keys.also_bought(sku), 0, 29);
        }
        let counts: Vec<Vec<(String, f64)>> = neighbours.query_async(&mut redis).await?;
        for (other, count) in counts.into_iter().flatten() {
            *shared.entry(other).or_default() += count;
        }
        let mut shared: Vec<(String, f64)> = shared.into_iter().collect();
        shared.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(shared.iter().filter_map(|(sku, _)| sku.parse().ok()).collect())
    }

    async fn learn(&mut self) -> RedisResult<()> {
        let orders: Vec<_> = self.data.orders.iter().filter(|order| order.day < HELD_OUT).collect();
        let together = BoughtTogether::new(self.redis.clone(), self.keys.clone());
        let purchases = Purchases::new(self.redis.clone(), self.keys.clone());
        let started = Instant::now();
        at_once(AT_ONCE, orders.len(), async |number| {
            let order = orders[number];
            let customer = &self.data.customers[order.customer].id;
            let skus = skus_of(&self.data, order.products.iter());
            try_join(together.count(&order.id, &skus), purchases.add(customer, &skus)).await
        })
        .await
        .map_err(failed)?;
        self.micros_per_order = started.elapsed().as_secs_f64() * 1e6 / orders.len().max(1) as f64;

        let popular = PopularProducts::new(self.redis.clone(), self.keys.clone());
        let bought: Vec<(usize, u32)> = orders
            .iter()
            .flat_map(|order| order.products.iter().map(|product| (*product, order.day)))
            .collect();
        at_once(AT_ONCE, bought.len(), async |number| {
            let (product, day) = bought[number];
            popular
                .viewed_at(&self.data.products[product].sku, None, BEGIN_MS + u64::from(day) * DAY_MS)
                .await
        })
        .await
        .map_err(failed)?;
        let interests = Interests::new(self.redis.clone(), self.keys.clone());
        at_once(AT_ONCE, self.data.customers.len(), async |number| {
            let customer = &self.data.customers[number];
            interests.add(&customer.id, &customer.interests).await
        })
        .await
        .map_err(|error| RedisError::from(std::io::Error::other(error)))?;
        Ok(())
    }

    /// A product's vector: its category, itself, and what goes with it.
    async fn embed(&mut self) -> RedisResult<()> {
        let together = BoughtTogether::new(self.redis.clone(), self.keys.clone());
        let vectors = ProductVectors::new(self.redis.clone(), self.keys.clone(), Search::Exact);
        let embedded = at_once(AT_ONCE, self.data.products.len(), async |number| {
            let product = &self.data.products[number];
            let with = together.with(&product.sku, TRAITS).await?;
            let embedding = Embedding::of_product(&product.sku, &product.category, &with);
            if let Some(embedding) = &embedding {
                vectors.put(&product.sku, embedding).await?;
            }
            Ok(embedding.map(|embedding| (product.sku.clone(), embedding)))
        });
        self.embeddings = embedded.await.map_err(failed)?.into_iter().flatten().collect();
        Ok(())
    }

    /// What can be asked.
    #[must_use]
    pub fn methods(&self) -> Vec<Method> {
        Method::all(self.vectors)
    }
}

/// The first customers who bought something both before and after, and what.
fn asked(data: &Data, customers: usize) -> Vec<(usize, BTreeSet<usize>, BTreeSet<usize>)> {
    let mut bought = vec![(BTreeSet::new(), BTreeSet::new()); data.customers.len()];
    for order in &data.orders {
        let (before, after) = &mut bought[order.customer];
        if order.day < HELD_OUT { before } else { after }.extend(order.products.iter().copied());
    }
    let both = bought.into_iter().enumerate().map(|(customer, (before, after))| {
        // To foretell what he has already is no art.
        let new = after.difference(&before).copied().collect();
        (customer, before, new)
    });
    both.filter(|(_, before, after): &(usize, BTreeSet<usize>, BTreeSet<usize>)| {
        !before.is_empty() && !after.is_empty()
    })
    .take(customers)
    .collect()
}

fn skus_of<'a>(data: &Data, products: impl Iterator<Item = &'a usize>) -> Vec<Sku> {
    products.map(|index| data.products[*index].sku.clone()).collect()
}

fn skus(scored: Vec<storefront::recommendations::Scored>) -> Vec<Sku> {
    scored.into_iter().map(|scored| scored.sku).collect()
}

/// The error of Redis, or what the storefront says.
pub(crate) fn failed(error: StoreError) -> RedisError {
    match error {
        StoreError::Redis(error) => error,
        other => RedisError::from(std::io::Error::other(other)),
    }
}
