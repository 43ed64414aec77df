//! A customer of whom nothing is known.

use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::recommendations::{Reason, Recommendations};

use super::trial::failed;
use super::{NEWCOMER, Shop};

pub(super) async fn show_something_to_everybody(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "And a customer who comes for the first time? `Recommendations` asks in this order: what goes with what they bought or \
         looked at; what is popular in the categories they like; what is popular; and what you pass in, such as a few products \
         on sale. So the page is never empty.",
    ).await?;
    let recommender = Recommendations::new(ctx.untraced("TODO"), &shop.prefix);
    let on_sale = shop.skus(&(0..10).collect::<Vec<_>>());
    let header = ["known of the customer", "first", "why", "second", "why"];
    let mut table = Table::new("What four visits show", &header);
    let mut reasons = Vec::new();
    let mut visit = async |known: &str| -> Result<(), LessonError> {
        let shown = recommender.recommend(NEWCOMER, 10, &on_sale).await.map_err(failed)?;
        let [first, second, ..] = &shown[..] else {
            return Err(LessonError::Check("there is something to show".into()));
        };
        let cells = [first.sku.clone(), why(first.reason), second.sku.clone(), why(second.reason)];
        table = std::mem::take(&mut table).row(std::iter::once(known.to_owned()).chain(cells));
        reasons.push((shown.len(), first.reason));
        Ok(())
    };
    visit("nothing").await?;
    let added = shop.interests.add(NEWCOMER, &shop.categories()[5..6]).await;
    added.map_err(|error| LessonError::Check(error.to_string()))?;
    visit("likes a category").await?;
    let order =
        shop.data.orders.iter().find(|order| order.products.len() > 3).unwrap_or(&shop.data.orders[0]);
    recommender.viewed(NEWCOMER, shop.sku(order.products[0]), None).await.map_err(failed)?;
    visit("looked at a product").await?;
    recommender.ordered(NEWCOMER, "ORD-new", &shop.skus(&order.products)).await.map_err(failed)?;
    visit("bought some").await?;
    ctx.table(table);
    ctx.check_eq(
        "ten products each time, for a better reason the more is known",
        &reasons,
        &vec![
            (10, Reason::Popular),
            (10, Reason::PopularInInterests),
            (10, Reason::BoughtTogether),
            (10, Reason::BoughtTogether),
        ],
    )
}

fn why(reason: Reason) -> String {
    match reason {
        Reason::BoughtTogether => "bought together",
        Reason::PopularInInterests => "popular in it",
        Reason::Popular => "popular",
        Reason::OnSale => "on sale",
    }
    .to_owned()
}
