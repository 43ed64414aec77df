//! Recommendations put to the test: three weeks of orders are known, and the fourth is to be foretold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures_util::future::try_join;
use lab_connection::Connection;
use lab_connection::own_keys;
use lab_runner::AnyConnection;
use patterns::bought_together::BoughtTogether;
use patterns::interests::Interests;
use patterns::popular_products::PopularProducts;
use patterns::product_vectors::ProductVectors;
use patterns::script::StoreError;
use patterns::similar_customers::{Basis, SimilarCustomers};
use redis::{Pipeline, RedisError, RedisResult};

use super::embedding::Embedding;
use crate::concurrent::concurrently;
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

/// How to choose what to recommend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The same to everybody: what was bought most.
    Popular,
    /// What shared the most orders with what they bought, by count alone.
    MostShared,
    /// What goes best with what they bought, by cosine.
    BoughtTogether,
    /// What those buy who bought the same.
    LikeBuyers,
    /// What those buy who like the same.
    LikeMinded,
    /// What is near to what they bought, by vectors, all of them compared.
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
    /// Calls for the first customer, most of them in flight at once.
    pub calls: usize,
}

/// A shop that knows three weeks of orders.
pub struct Trial {
    data: Data,
    redis: Connection,
    prefix: String,
    vectors: bool,
    /// Customers, what they bought in three weeks and in the fourth, all as indexes.
    asked: Vec<(usize, BTreeSet<usize>, BTreeSet<usize>)>,
    embeddings: BTreeMap<String, Embedding>,
    /// Microseconds for each order that was learned, 50 at a time.
    pub micros_per_order: f64,
}

impl Trial {
    /// Lets a shop of this seed learn; so many customers will be asked about. Removes what an earlier trial left.
    pub async fn prepare(
        seed: u64,
        customers: usize,
        redis: Connection,
        prefix: &str,
        vectors: bool,
    ) -> RedisResult<Self> {
        let data = Data::new(seed, SIZE);
        let asked = asked(&data, customers);
        let embeddings = BTreeMap::new();
        let prefix = prefix.to_owned();
        let mut trial = Self { data, redis, prefix, vectors, asked, embeddings, micros_per_order: 0.0 };
        trial.clean_up().await?;
        trial.learn().await?;
        if vectors {
            trial.embed().await?;
        }
        Ok(trial)
    }

    /// Removes all its keys.
    pub async fn clean_up(&mut self) -> RedisResult<()> {
        let keys = self.keys().map_err(failed)?;
        own_keys::unlink(&mut self.redis, &keys).await?;
        Ok(())
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        let (redis, prefix) = (&self.redis, &self.prefix);
        let popular = PopularProducts::new(redis.clone(), prefix).key()?;
        let interests = Interests::new(redis.clone(), prefix);
        let together = BoughtTogether::new(redis.clone(), prefix);
        let customers = SimilarCustomers::new(redis.clone(), prefix);
        let mut keys = vec![popular.companion("clock")];
        let mut roots = vec![popular, ProductVectors::new(redis.clone(), prefix).key()?];
        let categories: BTreeSet<&str> =
            self.data.products.iter().map(|product| product.category.as_str()).collect();
        for category in categories {
            roots.push(interests.index_key(category)?);
        }
        for customer in &self.data.customers {
            roots.extend([customers.key(customer.id.as_str())?, interests.key(customer.id.as_str())?]);
        }
        for product in &self.data.products {
            let also_bought = together.key(product.sku.as_str())?;
            keys.push(also_bought.companion("orders"));
            roots.extend([also_bought, customers.buyers_key(product.sku.as_str())?]);
        }
        keys.extend(roots.iter().map(|key| key.as_str().to_owned()));
        Ok(keys)
    }

    /// Asks a method about every customer.
    pub async fn ask(&self, method: Method) -> RedisResult<Quality> {
        let (mut hits, mut to_taste, mut recommended) = (0_usize, 0_usize, 0_usize);
        let mut different = BTreeSet::new();
        let index: BTreeMap<&str, usize> = self
            .data
            .products
            .iter()
            .zip(0..)
            .map(|(product, index)| (product.sku.as_str(), index))
            .collect();
        let mut micros = 0.0;
        for (customer, before, after) in &self.asked {
            let bought = skus_of(&self.data, before.iter());
            let started = Instant::now();
            let customer_id = self.data.customers[*customer].id.as_str();
            let shown = self.recommend(self.redis.clone(), method, customer_id, &bought).await?;
            micros += started.elapsed().as_secs_f64() * 1e6;
            for sku in shown {
                let product = index.get(sku.as_str()).copied().unwrap_or_default();
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
            calls: self.calls_of(method).await?,
        })
    }

    /// Asks about the first customer again, untimed.
    async fn calls_of(&self, method: Method) -> RedisResult<usize> {
        let trips = RoundTrips::default();
        if let Some((customer, before, _)) = self.asked.first() {
            let bought = skus_of(&self.data, before.iter());
            let customer = self.data.customers[*customer].id.as_str();
            self.recommend(trips.counted(self.redis.clone()), method, customer, &bought).await?;
        }
        Ok(trips.take())
    }

    /// Ten products that the customer has not bought.
    async fn recommend<C: AnyConnection>(
        &self,
        redis: C,
        method: Method,
        customer: &str,
        bought: &[&str],
    ) -> RedisResult<Vec<String>> {
        let enough = SHOWN + bought.len();
        let prefix = &self.prefix;
        let skus: Vec<String> = match method {
            Method::Popular => {
                let top = PopularProducts::new(redis, prefix).top(enough).await.map_err(failed)?;
                top.into_iter().map(|popular| popular.sku).collect()
            }
            Method::MostShared => self.most_shared(redis, bought).await?,
            Method::BoughtTogether => {
                let together = BoughtTogether::new(redis, prefix);
                let related = together.with_all(bought, enough).await.map_err(failed)?;
                related.into_iter().map(|related| related.sku).collect()
            }
            Method::LikeBuyers | Method::LikeMinded => {
                let buyers = method == Method::LikeBuyers;
                let basis = if buyers { Basis::Purchases } else { Basis::Interests };
                let similar = SimilarCustomers::new(redis, prefix);
                let suggested = similar.recommend(customer, basis, enough).await.map_err(failed)?;
                suggested.into_iter().map(|suggestion| suggestion.sku).collect()
            }
            Method::Vectors => {
                let liked = bought.iter().filter_map(|sku| self.embeddings.get(*sku));
                let Some(taste) = Embedding::between(liked) else { return Ok(Vec::new()) };
                let vectors = ProductVectors::new(redis, prefix).with_exact_search();
                let near = vectors.near(taste.numbers(), enough).await.map_err(failed)?;
                near.into_iter().map(|near| near.sku).collect()
            }
        };
        Ok(skus.into_iter().filter(|sku| !bought.contains(&sku.as_str())).take(SHOWN).collect())
    }

    /// What many do who stop half-way: the counts as they are.
    async fn most_shared<C: AnyConnection>(&self, mut redis: C, bought: &[&str]) -> RedisResult<Vec<String>> {
        let mut shared = BTreeMap::<String, f64>::new();
        let mut neighbors = Pipeline::new();
        let together = BoughtTogether::new(redis.clone(), &self.prefix);
        for sku in bought {
            // The product itself is the first, or nearly.
            let key = together.key(sku).map_err(failed)?;
            neighbors.zrevrange_withscores(key.as_str(), 0, 30);
        }
        let counts: Vec<Vec<(String, f64)>> = neighbors.query_async(&mut redis).await?;
        for (other, count) in counts.into_iter().flatten() {
            *shared.entry(other).or_default() += count;
        }
        let mut shared: Vec<(String, f64)> = shared.into_iter().collect();
        shared.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(shared.into_iter().map(|(sku, _)| sku).collect())
    }

    async fn learn(&mut self) -> RedisResult<()> {
        let orders: Vec<_> = self.data.orders.iter().filter(|order| order.day < HELD_OUT).collect();
        let together = BoughtTogether::new(self.redis.clone(), &self.prefix);
        let customers = SimilarCustomers::new(self.redis.clone(), &self.prefix);
        let started = Instant::now();
        concurrently(AT_ONCE, orders.len(), async |number| {
            let order = orders[number];
            let customer = self.data.customers[order.customer].id.as_str();
            let skus = skus_of(&self.data, order.products.iter());
            try_join(together.count(order.id.as_str(), &skus), customers.bought(customer, &skus)).await
        })
        .await
        .map_err(failed)?;
        self.micros_per_order = started.elapsed().as_secs_f64() * 1e6 / orders.len().max(1) as f64;

        let popular = PopularProducts::new(self.redis.clone(), &self.prefix);
        let bought: Vec<(usize, u32)> = orders
            .iter()
            .flat_map(|order| order.products.iter().map(|product| (*product, order.day)))
            .collect();
        concurrently(AT_ONCE, bought.len(), async |number| {
            let (product, day) = bought[number];
            // With a half-life of a week, this is what is left of a view.
            let weight = (-f64::from(HELD_OUT - day) / 7.0).exp2();
            popular.add(self.data.products[product].sku.as_str(), None, weight).await
        })
        .await
        .map_err(failed)?;
        let interests = Interests::new(self.redis.clone(), &self.prefix);
        concurrently(AT_ONCE, self.data.customers.len(), async |number| {
            let customer = &self.data.customers[number];
            let mut likes = Vec::new();
            for interest in &customer.interests {
                likes.push(interest.as_str());
            }
            interests.add(customer.id.as_str(), &likes).await
        })
        .await
        .map_err(|error| RedisError::from(std::io::Error::other(error)))?;
        Ok(())
    }

    /// A product's vector: its category, itself, and what goes with it.
    async fn embed(&mut self) -> RedisResult<()> {
        let together = BoughtTogether::new(self.redis.clone(), &self.prefix);
        let vectors = ProductVectors::new(self.redis.clone(), &self.prefix);
        let embedded = concurrently(AT_ONCE, self.data.products.len(), async |number| {
            let product = &self.data.products[number];
            let sku = product.sku.as_str();
            let with = together.with(sku, TRAITS).await?;
            let embedding = Embedding::of_product(sku, product.category.as_str(), &with);
            if let Some(embedding) = &embedding {
                vectors.put(sku, embedding.numbers()).await?;
            }
            Ok(embedding.map(|embedding| (sku.to_owned(), embedding)))
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
        // To foretell what the customer has already is no art.
        let new = after.difference(&before).copied().collect();
        (customer, before, new)
    });
    both.filter(|(_, before, after): &(usize, BTreeSet<usize>, BTreeSet<usize>)| {
        !before.is_empty() && !after.is_empty()
    })
    .take(customers)
    .collect()
}

fn skus_of<'a>(data: &'a Data, products: impl Iterator<Item = &'a usize>) -> Vec<&'a str> {
    products.map(|index| data.products[*index].sku.as_str()).collect()
}

/// The error of Redis, or what the pattern says.
pub(crate) fn failed(error: StoreError) -> RedisError {
    match error {
        StoreError::Redis(error) => error,
        other => RedisError::from(std::io::Error::other(other)),
    }
}
