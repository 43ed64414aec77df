//! What an earlier run left in indexes that the whole shop shares.

use lab_runner::{LessonError, Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::{Catalogue, Keys, Sku, UserId};

/// Takes a customer and products out of the shop, entry by entry: it may hold others of one's own.
pub(crate) async fn take_out(page: &Page, keys: &Keys, user: UserId, products: &[Sku]) -> Outcome {
    page.start_clean(&[keys.user(user)]).await?;
    page.quietly().zrem(keys.users(), user.get()).await?;
    let catalogue = Catalogue::new(page.quietly(), keys.clone());
    for sku in products {
        catalogue.remove(sku).await.map_err(|error| LessonError::Check(error.to_string()))?;
    }
    Ok(())
}
