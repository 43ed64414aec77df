//! A guest logs in: the guest's cart moves into the customer's, once.

use lab_runner::{Outcome, Page};
use storefront::{CartOwner, SessionId, UserId};

use super::{QuietCart, StoryCart, contents, parsed, quantity, unexpected};

/// Fills a guest's cart, logs in twice, and counts.
pub(super) async fn merge_once(
    page: &Page,
    cart: &StoryCart,
    quiet: &QuietCart,
    guest: &SessionId,
    user: UserId,
) -> Outcome {
    page.say(format!(
        "Before they log in, customers are guests, and their cart is named by the session: cart:{guest}. At login it \
         moves into the customer's cart: in one step, and only once, also when the login is sent twice."
    ));
    let customer = CartOwner::from(user);
    let visitor = CartOwner::from(guest.clone());
    let (_, before) = contents(quiet, &customer).await?;
    for (sku, units) in [("sku123", 1), ("sku567", 2)] {
        quiet
            .add(&visitor, &parsed(sku)?, quantity(units)?, None)
            .await
            .map_err(|error| unexpected(&error))?;
    }
    let first = cart.merge(guest, user).await.map_err(|error| unexpected(&error))?;
    let second = cart.merge(guest, user).await.map_err(|error| unexpected(&error))?;
    page.check_eq("the first login moves two lines", &first.moved.len(), &2)?;
    page.check("the second one moves nothing", second.moved.is_empty() && second.left.is_empty())?;
    let (_, after) = contents(quiet, &customer).await?;
    page.check_eq("three units came over, not six", &(after - before), &3)?;
    page.check_eq("and the guest's cart is empty", &contents(quiet, &visitor).await?, &(0, 0))
}
