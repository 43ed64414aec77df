//! A guest logs in: the guest's cart moves into the customer's, once.

use lab_runner::{LessonContext, Outcome};
use patterns::cart::Owner;

use super::{QuietCart, StoryCart, contents, price, unexpected};

/// Fills a guest's cart, logs in twice, and counts.
pub(super) async fn merge_once(
    ctx: &LessonContext,
    cart: &StoryCart,
    quiet: &QuietCart,
    guest: &str,
    customer: &str,
) -> Outcome {
    ctx.step(format!(
        "Before they log in, customers are guests. The session names their cart: cart:guest:{guest}. At login it moves into \
         the customer's cart. The two carts are in two slots of a cluster, so that takes three steps, each of which counts \
         once: claim the guest's lines, put them into the customer's cart, and give back what did not fit. A login that is \
         sent twice moves them once."
    )).await?;
    let visitor = Owner::Guest(guest);
    let (_, before) = contents(quiet, customer).await?;
    for (sku, units) in [("sku123", 1), ("sku567", 2)] {
        quiet.add(visitor, sku, units, price(sku)?).await.map_err(|error| unexpected(&error))?;
    }
    let first = cart.merge(guest, customer).await.map_err(|error| unexpected(&error))?;
    let second = cart.merge(guest, customer).await.map_err(|error| unexpected(&error))?;
    ctx.check_eq("the first login moves two lines", &first.moved.len(), &2)?;
    ctx.check("the second one moves nothing", second.moved.is_empty() && second.left.is_empty())?;
    let (_, after) = contents(quiet, customer).await?;
    ctx.check_eq("three units came over, not six", &(after - before), &3)?;
    ctx.check_eq("and the guest's cart is empty", &contents(quiet, visitor).await?, &(0, 0))
}
