//! What may this customer like, by views, purchases and similar people?
//!
//! `cargo ecommerce recommendations`

mod cold_start;
mod cost;
mod popularity;
mod quality;
pub mod trial;
mod views;

use lab_runner::{Lesson, Outcome, Page};
use storefront::{CustomerId, Keys, Label, Sku};

pub use self::cost::{Report, Reports};
use crate::data::{Data, Size};
use crate::keys_on;
use crate::names::known;

/// Recent views, popularity, bought together.
pub static LESSON: Lesson = Lesson {
    name: "recommendations",
    title: "Recommendations",
    asks: "What may this customer like, by views, purchases and similar people?",
    teaches: &["LPUSH", "LTRIM", "LREM", "LRANGE", "EVALSHA", "SMEMBERS", "ZREVRANGE", "ZINCRBY", "VSIM"],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

/// The shop of this lesson, beside that of the trial.
const SIZE: Size = Size { products: 200, customers: 50, orders: 400 };
const SEED: u64 = 4;

async fn teach(page: &mut Page) -> Outcome {
    let lesson = Shop::new(page);
    lesson.start_clean(page).await?;
    views::look_again_and_again(page, &lesson).await?;
    popularity::let_views_fade(page, &lesson).await?;
    quality::foretell(page, &lesson).await?;
    cold_start::show_something_to_everybody(page, &lesson).await?;
    cost::compare(page, &lesson).await?;
    // What was done the obvious way is no example to be left.
    page.start_clean(&lesson.naive_keys()).await?;
    let customers = customers();
    let views = customers.iter().map(|customer| lesson.keys.recent_views(customer));
    let interests = customers.iter().map(|customer| lesson.keys.interests(customer));
    page.keys(views.chain(interests).chain([lesson.keys.popular_products()]));
    Ok(())
}

/// The names and the data of the lesson.
struct Shop {
    keys: Keys,
    /// Keys of those who do it the obvious way.
    naive: Keys,
    data: Data,
}

impl Shop {
    fn new(page: &Page) -> Self {
        let keys = keys_on(page.target());
        let naive = Keys::new(&format!("{}naive:", page.prefix()), keys.layout());
        Self { keys, naive, data: Data::new(SEED, SIZE) }
    }

    fn product(&self, number: usize) -> &Sku {
        &self.data.products[number % self.data.products.len()].sku
    }

    fn categories(&self) -> Vec<Label> {
        let mut categories: Vec<Label> =
            self.data.products.iter().map(|product| product.category.clone()).collect();
        categories.sort();
        categories.dedup();
        categories
    }

    /// What the obvious ways write.
    fn naive_keys(&self) -> Vec<String> {
        let views = customers().map(|customer| self.naive.recent_views(&customer));
        views.into_iter().chain([self.naive.popular_products()]).collect()
    }

    async fn start_clean(&self, page: &Page) -> Outcome {
        let mut keys = Vec::new();
        for customer in customers().into_iter().chain([known("somebody-new")]) {
            keys.extend([self.keys.recent_views(&customer), self.keys.interests(&customer)]);
            keys.push(self.keys.purchases(&customer));
        }
        for category in self.categories() {
            let popular = self.keys.popular_products_in(&category);
            keys.extend([self.keys.interested(&category), format!("{popular}:landmark"), popular]);
        }
        for product in &self.data.products {
            let sku = &product.sku;
            keys.extend([self.keys.also_bought(sku), self.keys.also_bought_orders(sku)]);
            keys.extend([self.keys.also_bought_support(sku), self.keys.buyers(sku)]);
        }
        for customer in &self.data.customers {
            keys.push(self.keys.purchases(&customer.id));
        }
        let popular = self.keys.popular_products();
        keys.extend([format!("{popular}:landmark"), popular, self.keys.product_vectors()]);
        keys.extend(self.naive_keys());
        page.start_clean(&keys).await
    }
}

/// The customers of whom Redis Insight is to show something.
fn customers() -> [CustomerId; 2] {
    [known("user123"), known("user_12345")]
}
