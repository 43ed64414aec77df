//! Somebody of whom nothing is known.

use lab_runner::table::Facts;
use lab_runner::{LessonError, Outcome, Page};
use storefront::CustomerId;
use storefront::recommendations::{Because, Interests, Recommender};

use super::Shop;
use super::trial::failed;
use crate::names::known;

pub(super) async fn show_something_to_everybody(page: &Page, shop: &Shop) -> Outcome {
    page.say(
        "And who comes for the first time? `Recommender` asks in this order: what goes with what he bought or looked at; what \
         is popular in the categories he likes; what is popular; what is on sale. So the page is never empty.",
    );
    let recommender = Recommender::new(page.quietly(), shop.keys.clone());
    let newcomer: CustomerId = known("somebody-new");
    let mut facts = Facts::new("What four visits show", &["known of him", "first", "why", "second", "why"]);
    let mut reasons = Vec::new();
    let mut visit = async |known_of_him: &str| -> Result<(), LessonError> {
        let shown = recommender.recommend(&newcomer, 10).await.map_err(failed)?;
        let [first, second, ..] = &shown[..] else {
            return Err(LessonError::Check("there is something to show".into()));
        };
        let cells = [first.sku.to_string(), why(first.because), second.sku.to_string(), why(second.because)];
        facts = std::mem::take(&mut facts).row(std::iter::once(known_of_him.to_owned()).chain(cells));
        reasons.push((shown.len(), first.because));
        Ok(())
    };
    visit("nothing").await?;
    let interests = Interests::new(page.quietly(), shop.keys.clone());
    let added = interests.add(&newcomer, &shop.categories()[5..6]).await;
    added.map_err(|error| LessonError::Check(error.to_string()))?;
    visit("likes a category").await?;
    let order =
        shop.data.orders.iter().find(|order| order.products.len() > 3).unwrap_or(&shop.data.orders[0]);
    let sku = shop.product(order.products[0]);
    recommender.viewed(&newcomer, sku, None).await.map_err(failed)?;
    visit("looked at a product").await?;
    let bought: Vec<_> = order.products.iter().map(|index| shop.product(*index).clone()).collect();
    recommender.ordered(&newcomer, &known("ORD-new"), &bought).await.map_err(failed)?;
    visit("bought some").await?;
    page.facts(facts);
    page.check_eq(
        "ten products each time, for a better reason the more is known",
        &reasons,
        &vec![
            (10, Because::Popular),
            (10, Because::PopularInInterests),
            (10, Because::BoughtTogether),
            (10, Because::BoughtTogether),
        ],
    )
}

fn why(because: Because) -> String {
    match because {
        Because::BoughtTogether => "bought together",
        Because::PopularInInterests => "popular in it",
        Because::Popular => "popular",
        Because::OnSale => "on sale",
    }
    .to_owned()
}
