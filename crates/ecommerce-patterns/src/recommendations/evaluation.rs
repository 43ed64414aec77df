//! Recommendations evaluated on held-out orders: methods learn from three weeks and predict the fourth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures_util::future::try_join;
use lab_connection::{Connection, own_keys};
use lab_runner::concurrent::concurrently;
use lab_runner::round_trips::RoundTrips;
use lab_runner::{AnyConnection, BoxError, into_redis_error, labeled};
use patterns::bought_together::BoughtTogether;
use patterns::interests::Interests;
use patterns::key::Key;
use patterns::popular_products::PopularProducts;
use patterns::product_vectors::ProductVectors;
use patterns::script::StoreError;
use patterns::similar_customers::{Basis, SimilarCustomers};
use redis::{Pipeline, RedisResult};

use super::embedding::Embedding;
use crate::data::{Data, Size};

/// The shop of the evaluation.
const SIZE: Size = Size { products: 600, customers: 800, orders: 3_600 };
/// Products recommended to each customer.
pub const RECOMMENDED: usize = 10;
/// Customers in the lesson.
pub const CUSTOMERS: usize = 60;
/// Orders from this day on are held out.
const HELD_OUT_FROM: u32 = 21;
/// Customers for whom a method recommends at a time.
pub const AT_A_TIME: usize = 60;
/// Neighbors that make a product's vector.
const NEIGHBORS: usize = 20;

labeled! {
    /// How to choose what to recommend.
    pub enum Method {
        /// The same to everybody: what was bought most.
        Popular => "popularity alone",
        /// What shares the most orders with the customer's purchases.
        PairsByCount => "pairs, by count",
        /// What goes best with the customer's purchases.
        PairsByCosine => "pairs, by cosine",
        /// What customers buy who bought the same.
        SimilarBuyers => "similar buyers",
        /// What customers buy who like the same.
        SimilarInterests => "similar interests",
        /// What is near the customer's purchases.
        Vectors => "vector set, TRUTH",
    }
}

impl Method {
    /// All of them, or those that need no vector set.
    pub fn all(vectors: bool) -> &'static [Self] {
        &Self::ALL[..if vectors { 6 } else { 5 }]
    }
}

/// How good the recommendations of a method were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The share of recommended products that the customer bought in the fourth week.
    pub precision: f64,
    /// The share of recommended products in the category that the customer likes best.
    pub to_taste: f64,
    /// How many different products were recommended to anybody.
    pub different: usize,
    /// Microseconds for each customer, with 60 at a time.
    pub micros: f64,
    /// Commands for the first customer.
    pub calls: usize,
}

/// A customer, and indexes of products: what was bought in three weeks, and what new was bought in the fourth.
struct Case {
    customer: usize,
    before: BTreeSet<usize>,
    after: BTreeSet<usize>,
}

/// A shop that has learned three weeks of orders.
pub struct Evaluation {
    data: Data,
    redis: Connection,
    prefix: String,
    cases: Vec<Case>,
    embeddings: BTreeMap<String, Embedding>,
    /// Calls in flight while the methods learn.
    in_flight: usize,
    /// Microseconds for each order that was learned.
    pub micros_per_order: f64,
}

impl Evaluation {
    /// Generates the shop of this seed and learns its orders, to be evaluated on `customers` customers. Removes what an earlier
    /// evaluation left.
    pub async fn learn(
        seed: u64,
        customers: usize,
        redis: Connection,
        prefix: &str,
        vectors: bool,
        in_flight: usize,
    ) -> Result<Self, BoxError> {
        let data = Data::new(seed, SIZE);
        let (cases, embeddings, prefix) = (cases(&data, customers), BTreeMap::new(), prefix.to_owned());
        let mut evaluation =
            Self { data, redis, prefix, cases, embeddings, in_flight, micros_per_order: 0.0 };
        evaluation.clean_up().await?;
        evaluation.learn_orders().await?;
        if vectors {
            evaluation.embed().await?;
        }
        Ok(evaluation)
    }

    /// Removes all its keys.
    pub async fn clean_up(&mut self) -> RedisResult<()> {
        let keys = self.keys()?;
        own_keys::unlink(&mut self.redis, &keys).await.map(|_| ())
    }

    fn keys(&self) -> RedisResult<Vec<String>> {
        let key = |name, ids: &[&str]| Key::new(&self.prefix, name, ids).map_err(into_redis_error);
        let mut roots = vec![key("popular_products", &[])?, key("product_vectors", &[])?];
        let mut keys = vec![roots[0].companion("clock")];
        for customer in &self.data.customers {
            roots.extend([key("purchases", &[&customer.id])?, key("interests", &[&customer.id])?]);
        }
        for product in &self.data.products {
            let pairs = key("also_bought", &[&product.sku])?;
            keys.push(pairs.companion("orders"));
            roots.extend([pairs, key("buyers", &[&product.sku])?, key("interested", &[&product.category])?]);
        }
        keys.extend(roots.iter().map(|key| key.as_str().to_owned()));
        Ok(keys)
    }

    /// Lets a method recommend to every customer.
    pub async fn evaluate(&self, method: Method) -> Result<Quality, BoxError> {
        let (started, trips) = (Instant::now(), RoundTrips::default());
        let recommended = concurrently(AT_A_TIME, self.cases.len(), async |number| {
            let case = &self.cases[number];
            if number == 0 {
                let skus = self.recommend(trips.counted(self.redis.clone()), method, case).await?;
                return Ok((case, skus));
            }
            self.recommend(self.redis.clone(), method, case).await.map(|skus| (case, skus))
        });
        let recommended = recommended.await?;
        let micros = started.elapsed().as_secs_f64() * 1e6 / self.cases.len().max(1) as f64;

        let index: BTreeMap<&str, usize> =
            self.data.products.iter().zip(0..).map(|(product, index)| (&*product.sku, index)).collect();
        let (mut hits, mut to_taste, mut different) = (0_usize, 0_usize, BTreeSet::new());
        for (case, skus) in recommended {
            for sku in skus {
                let product = index.get(sku.as_str()).copied().unwrap_or_default();
                hits += usize::from(case.after.contains(&product));
                to_taste += usize::from(Data::taste_of(product) == self.data.customers[case.customer].taste);
                different.insert(sku);
            }
        }
        // A method that recommends too few products gains nothing by that.
        let share = |part: usize| part as f64 / (RECOMMENDED * self.cases.len()).max(1) as f64;
        Ok(Quality {
            precision: share(hits),
            to_taste: share(to_taste),
            different: different.len(),
            micros,
            calls: trips.take(),
        })
    }

    /// Ten products that the customer has not bought.
    async fn recommend<C: AnyConnection>(
        &self,
        redis: C,
        method: Method,
        case: &Case,
    ) -> Result<Vec<String>, BoxError> {
        let (prefix, bought) = (&self.prefix, self.skus(&case.before));
        let enough = RECOMMENDED + bought.len();
        let similar = async |redis, basis| {
            let customer = &self.data.customers[case.customer].id;
            let found = SimilarCustomers::new(redis, prefix).recommend(customer, basis, enough).await?;
            Ok::<Vec<String>, BoxError>(found.into_iter().map(|found| found.sku).collect())
        };
        let skus: Vec<String> = match method {
            Method::Popular => {
                let top = PopularProducts::new(redis, prefix).top(enough).await?;
                top.into_iter().map(|popular| popular.sku).collect()
            }
            Method::PairsByCount => self.pairs_by_count(redis, &bought).await?,
            Method::PairsByCosine => {
                let related = BoughtTogether::new(redis, prefix).with_all(&bought, enough).await?;
                related.into_iter().map(|related| related.sku).collect()
            }
            Method::SimilarBuyers => similar(redis, Basis::Purchases).await?,
            Method::SimilarInterests => similar(redis, Basis::Interests).await?,
            Method::Vectors => {
                let liked = bought.iter().filter_map(|sku| self.embeddings.get(*sku));
                let Some(taste) = Embedding::between(liked) else { return Ok(Vec::new()) };
                let vectors = ProductVectors::new(redis, prefix).with_exact_search();
                let near = vectors.near(taste.numbers(), enough).await?;
                near.into_iter().map(|near| near.sku).collect()
            }
        };
        Ok(skus.into_iter().filter(|sku| !bought.contains(&sku.as_str())).take(RECOMMENDED).collect())
    }

    /// The sums of the shared orders as they are, not divided by how common the products are.
    async fn pairs_by_count<C: AnyConnection>(
        &self,
        mut redis: C,
        bought: &[&str],
    ) -> Result<Vec<String>, BoxError> {
        let (pairs, mut read) = (BoughtTogether::new(redis.clone(), &self.prefix), Pipeline::new());
        for sku in bought {
            read.zrevrange_withscores(pairs.key(sku)?.as_str(), 0, 30);
        }
        let neighbors: Vec<Vec<(String, f64)>> = read.query_async(&mut redis).await?;
        let mut sums = BTreeMap::<String, f64>::new();
        for (sku, count) in neighbors.into_iter().flatten() {
            *sums.entry(sku).or_default() += count;
        }
        let mut sums: Vec<(String, f64)> = sums.into_iter().collect();
        sums.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(sums.into_iter().map(|(sku, _)| sku).collect())
    }

    async fn learn_orders(&mut self) -> Result<(), BoxError> {
        let (redis, prefix, data) = (|| self.redis.clone(), &self.prefix, &self.data);
        let orders: Vec<_> = data.orders.iter().filter(|order| order.day < HELD_OUT_FROM).collect();
        let (pairs, customers) =
            (BoughtTogether::new(redis(), prefix), SimilarCustomers::new(redis(), prefix));
        let started = Instant::now();
        concurrently(self.in_flight, orders.len(), async |number| {
            let order = orders[number];
            let (customer, skus) = (&data.customers[order.customer].id, self.skus(&order.products));
            try_join(pairs.count(&order.id, &skus), customers.bought(customer, &skus)).await
        })
        .await?;
        let micros_per_order = started.elapsed().as_secs_f64() * 1e6 / orders.len().max(1) as f64;

        let (popular, interests) = (PopularProducts::new(redis(), prefix), Interests::new(redis(), prefix));
        let mut weights = vec![0.0; data.products.len()];
        for order in &orders {
            for product in &order.products {
                // What is left of it with a half-life of a week.
                weights[*product] += (-f64::from(HELD_OUT_FROM - order.day) / 7.0).exp2();
            }
        }
        let bought: Vec<(usize, f64)> = (0..).zip(weights).filter(|(_, weight)| *weight > 0.0).collect();
        concurrently(self.in_flight, bought.len(), async |number| {
            let (product, weight) = bought[number];
            popular.add(&data.products[product].sku, None, weight).await
        })
        .await?;
        concurrently(self.in_flight, data.customers.len(), async |number| {
            let customer = &data.customers[number];
            let likes: Vec<&str> = customer.interests.iter().map(String::as_str).collect();
            interests.add(&customer.id, &likes).await
        })
        .await?;
        self.micros_per_order = micros_per_order;
        Ok(())
    }

    /// Puts a vector of every product into the vector set: its category, itself, and what goes with it.
    async fn embed(&mut self) -> Result<(), BoxError> {
        let (redis, prefix, products) = (|| self.redis.clone(), &self.prefix, &self.data.products);
        let (pairs, vectors) = (BoughtTogether::new(redis(), prefix), ProductVectors::new(redis(), prefix));
        let embedded = concurrently(self.in_flight, products.len(), async |number| {
            let product = &products[number];
            let neighbors = pairs.with(&product.sku, NEIGHBORS).await?;
            let embedding = Embedding::of_product(&product.sku, &product.category, &neighbors);
            if let Some(embedding) = &embedding {
                vectors.put(&product.sku, embedding.numbers()).await?;
            }
            Ok::<_, StoreError>(embedding.map(|embedding| (product.sku.clone(), embedding)))
        });
        self.embeddings = embedded.await?.into_iter().flatten().collect();
        Ok(())
    }

    fn skus<'a>(&'a self, products: impl IntoIterator<Item = &'a usize>) -> Vec<&'a str> {
        products.into_iter().map(|index| self.data.products[*index].sku.as_str()).collect()
    }
}

/// The first customers who bought something both before and after.
fn cases(data: &Data, customers: usize) -> Vec<Case> {
    let mut bought = vec![(BTreeSet::new(), BTreeSet::new()); data.customers.len()];
    for order in &data.orders {
        let (before, after) = &mut bought[order.customer];
        if order.day < HELD_OUT_FROM { before } else { after }.extend(order.products.iter().copied());
    }
    let cases = bought.into_iter().enumerate().map(|(customer, (before, after))| {
        // To predict what the customer has already is no art.
        let after = after.difference(&before).copied().collect();
        Case { customer, before, after }
    });
    cases.filter(|case| !case.before.is_empty() && !case.after.is_empty()).take(customers).collect()
}
