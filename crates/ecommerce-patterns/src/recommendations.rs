//! What may this customer like, by views, purchases and similar people?
//!
//! `cargo ecommerce recommendations`

mod cold_start;
mod cost;
mod embedding;
mod popularity;
mod quality;
pub mod trial;
mod views;

use lab_connection::Connection;
use lab_runner::{Lesson, LessonContext, Outcome};
use patterns::bought_together::BoughtTogether;
use patterns::interests::Interests;
use patterns::key::Key;
use patterns::popular_products::PopularProducts;
use patterns::product_vectors::ProductVectors;
use patterns::recent_views::RecentViews;
use patterns::script::StoreError;
use patterns::similar_customers::SimilarCustomers;

pub use self::cost::{Report, Reports};
use crate::data::{Data, Size};

/// Recent views, popularity, bought together.
pub static LESSON: Lesson = Lesson {
    name: "recommendations",
    title: "Recommendations",
    question: "What may this customer like, by views, purchases and similar people?",
    commands: &["LPUSH", "LTRIM", "LREM", "LRANGE", "EVALSHA", "SMEMBERS", "ZREVRANGE", "ZINCRBY", "VSIM"],
    needs: &[],
    sources: &[lab_runner::source!("src/recommendations.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// The shop of this lesson, beside that of the trial.
const SIZE: Size = Size { products: 200, customers: 50, orders: 400 };
const SEED: u64 = 4;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let shop = Shop::new(ctx);
    shop.start_clean(ctx).await?;
    views::look_again_and_again(ctx, &shop).await?;
    popularity::let_views_fade(ctx, &shop).await?;
    quality::foretell(ctx, &shop).await?;
    cold_start::show_something_to_everybody(ctx, &shop).await?;
    cost::compare(ctx, &shop).await?;
    // What was done the obvious way is no example to leave behind.
    ctx.start_clean(&shop.naive_keys().map_err(trial::failed)?).await?;
    let mut keys = Vec::new();
    for customer in CUSTOMERS {
        keys.push(shop.views.key(customer).map_err(trial::failed)?);
    }
    for customer in CUSTOMERS {
        keys.push(shop.interests.key(customer).map_err(trial::failed)?);
    }
    keys.push(shop.popular.key().map_err(trial::failed)?);
    ctx.keys(keys.iter().map(Key::as_str));
    Ok(())
}

/// The customers that Redis Insight is to show something of.
const CUSTOMERS: [&str; 2] = ["user123", "user_12345"];
const NEWCOMER: &str = "somebody-new";

/// The patterns on a connection that is not shown, and the data of the lesson.
struct Shop {
    prefix: String,
    views: RecentViews<Connection>,
    interests: Interests<Connection>,
    popular: PopularProducts<Connection>,
    together: BoughtTogether<Connection>,
    customers: SimilarCustomers<Connection>,
    vectors: ProductVectors<Connection>,
    /// The same, for the names of what is done the obvious way.
    naive_views: RecentViews<Connection>,
    naive_popular: PopularProducts<Connection>,
    data: Data,
}

impl Shop {
    fn new(ctx: &LessonContext) -> Self {
        let (prefix, redis) = (ctx.target().prefix(), ctx.untraced("TODO"));
        let naive = format!("{prefix}naive:");
        Self {
            prefix: prefix.to_owned(),
            views: RecentViews::new(redis.clone(), prefix),
            interests: Interests::new(redis.clone(), prefix),
            popular: PopularProducts::new(redis.clone(), prefix),
            together: BoughtTogether::new(redis.clone(), prefix),
            customers: SimilarCustomers::new(redis.clone(), prefix),
            vectors: ProductVectors::new(redis.clone(), prefix).with_exact_search(),
            naive_views: RecentViews::new(redis.clone(), &naive),
            naive_popular: PopularProducts::new(redis, &naive),
            data: Data::new(SEED, SIZE),
        }
    }

    fn sku(&self, number: usize) -> &str {
        self.data.products[number % self.data.products.len()].sku.as_str()
    }

    fn skus(&self, products: &[usize]) -> Vec<&str> {
        products.iter().map(|number| self.sku(*number)).collect()
    }

    fn categories(&self) -> Vec<&str> {
        let mut categories: Vec<&str> =
            self.data.products.iter().map(|product| product.category.as_str()).collect();
        categories.sort_unstable();
        categories.dedup();
        categories
    }

    /// What the obvious ways write.
    fn naive_keys(&self) -> Result<Vec<String>, StoreError> {
        let mut keys = vec![self.naive_popular.key()?.as_str().to_owned()];
        for customer in CUSTOMERS {
            keys.push(self.naive_views.key(customer)?.as_str().to_owned());
        }
        Ok(keys)
    }

    async fn start_clean(&self, ctx: &LessonContext) -> Outcome {
        ctx.start_clean(&self.all_keys().map_err(trial::failed)?).await
    }

    fn all_keys(&self) -> Result<Vec<String>, StoreError> {
        let mut roots = vec![self.vectors.key()?];
        for customer in CUSTOMERS.into_iter().chain([NEWCOMER]) {
            roots.extend([self.views.key(customer)?, self.interests.key(customer)?]);
            roots.push(self.customers.key(customer)?);
        }
        for customer in &self.data.customers {
            roots.push(self.customers.key(customer.id.as_str())?);
        }
        let mut keys = self.naive_keys()?;
        let mut rankings = vec![self.popular.key()?];
        for category in self.categories() {
            roots.push(self.interests.index_key(category)?);
            rankings.push(self.popular.category_key(category)?);
        }
        for ranking in rankings {
            keys.extend([ranking.companion("clock"), ranking.as_str().to_owned()]);
        }
        for product in &self.data.products {
            let key = self.together.key(product.sku.as_str())?;
            keys.extend([key.companion("orders"), key.as_str().to_owned()]);
            roots.push(self.customers.buyers_key(product.sku.as_str())?);
        }
        keys.extend(roots.iter().map(|key| key.as_str().to_owned()));
        Ok(keys)
    }
}
