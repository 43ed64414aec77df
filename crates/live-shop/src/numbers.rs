//! What the dashboard counts. None of it stops a customer: if Redis does not count, the page is shown all the same.

use std::time::{SystemTime, UNIX_EPOCH};

use patterns::checkout::Order;
use patterns::money::Cents;

use crate::database::Product;
use crate::random::random;
use crate::session::Visitor;
use crate::state::Shop;

/// A page was shown.
pub async fn page_view(shop: &Shop, visitor: &Visitor) {
    if let (true, Ok(event)) = (visitor.is_known(), random()) {
        counted(shop, &shop.analytics.page_view(&event, &today(), &visitor.id()).await);
    }
}

/// A product was shown.
pub async fn product_view(shop: &Shop, visitor: &Visitor, product: &Product) {
    if visitor.is_known() {
        page_view(shop, visitor).await;
        step(shop, &visitor.id(), "product").await;
        counted(shop, &shop.recent_views.record(&visitor.id(), &product.sku).await);
        counted(shop, &shop.popular.viewed(&product.sku, None).await);
    }
}

/// A visitor has reached a step of the funnel.
pub async fn step(shop: &Shop, visitor: &str, step: &str) {
    counted(shop, &shop.funnel.reached(visitor, step).await);
}

/// An order is sold. Its ID makes it count once.
pub async fn order(shop: &Shop, order: &Order) {
    let mut sums: Vec<(&str, Cents)> = Vec::new();
    for line in &order.lines {
        sums.extend(line.unit_price.checked_mul(line.quantity).map(|sum| (line.sku.as_str(), sum)));
    }
    step(shop, &order.owner, "order").await;
    counted(shop, &shop.analytics.order(&order.id, &today(), &order.owner, &sums).await);
}

fn counted<T, E>(shop: &Shop, result: &Result<T, E>) {
    if result.is_err() {
        shop.counters.uncounted();
    }
}

/// The day in UTC, such as `2026-11-29`.
pub fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    day_of(seconds)
}

/// The day in UTC of this many seconds after 1970.
pub fn day_of(seconds: u64) -> String {
    let mut days = seconds / 86_400;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}
