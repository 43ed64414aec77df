//! The commands about one cart.

use std::time::Duration;

use lab_connection::Failure;
use lab_runner::Terminal;
use lab_runner::table::Facts;
use serde_json::json;
use storefront::{CartOwner, CartView, Cents, LeftBehind, Line, LineState, Merged, Product, Quantity};

use crate::arguments::Command;
use crate::refusal::{self, parse};
use crate::shop::{Shop, counted};

/// Runs one command about a cart.
pub async fn run(shop: &Shop, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Add { owner, product, quantity, expires_in } => {
            let item_ttl = expires_in.map(|seconds| Duration::from_secs(seconds.into()));
            add(shop, &parse(owner)?, product, quantity, item_ttl).await
        }
        Command::Remove { owner, product, quantity } => {
            remove(shop, &parse(owner)?, product, quantity.as_deref()).await
        }
        Command::View { owner } => view(shop, &parse(owner)?).await,
        Command::Clear { owner } => clear(shop, &parse(owner)?).await,
        Command::Merge { guest, customer } => merge(shop, guest, customer).await,
        // The caller has taken all others.
        _ => Err(refusal::no_command()),
    }
}

/// Puts units into a cart.
pub async fn add(
    shop: &Shop,
    owner: &CartOwner,
    product: &str,
    quantity: &str,
    item_ttl: Option<Duration>,
) -> Result<(), Failure> {
    let quantity: Quantity = parse(quantity)?;
    // Both at once: the names are for the messages, and the script checks user and product again.
    let (name, product) = tokio::join!(shop.name_of(owner), shop.product(product));
    let (name, product) = (name?, product?);
    let added = shop.cart.add(owner, &product.sku, quantity, item_ttl).await;
    let added = added.map_err(|error| refusal::add(&error, &name, &product, shop))?;
    let Product { name: what, sku, .. } = &product;
    let document = json!({
        "owner": owner, "sku": sku, "name": what, "added": quantity, "quantity": added.quantity,
        "unit_price": { "cents": added.unit_price, "text": added.unit_price.to_string() }, "cart": added.cart,
    });
    shop.show(&document, || {
        format!(
            "Added {quantity} x {what} ({sku}) to the cart of {name}; {} of it in there now.",
            added.quantity
        )
    })
}

/// Takes units out of a cart; a product that is no longer sold can be named by its SKU.
pub async fn remove(
    shop: &Shop,
    owner: &CartOwner,
    product: &str,
    quantity: Option<&str>,
) -> Result<(), Failure> {
    let quantity: Option<Quantity> = quantity.map(parse).transpose()?;
    let (name, found) = tokio::join!(shop.name_of(owner), shop.catalogue.find(product));
    let (name, found) = (name?, found.map_err(|error| refusal::store(&error, shop))?);
    let (sku, what) = match found {
        Some(product) => (product.sku.clone(), format!("{} ({})", product.name, product.sku)),
        None => (product.parse().map_err(|_| refusal::unknown_product(product, shop))?, product.to_owned()),
    };
    let removed = shop.cart.remove(owner, &sku, quantity).await;
    let removed = removed.map_err(|error| refusal::remove(&error, &name, &what, shop))?;
    let document = json!({
        "owner": owner, "sku": sku, "removed": removed.removed, "quantity": removed.quantity, "cart": removed.cart,
    });
    shop.show(&document, || match removed.quantity {
        0 => {
            format!("Removed {} x {what} from the cart of {name}; none of it is left there.", removed.removed)
        }
        left => format!(
            "Removed {} x {what} from the cart of {name}; {left} of it in there now.",
            removed.removed
        ),
    })
}

/// Shows a cart.
pub async fn view(shop: &Shop, owner: &CartOwner) -> Result<(), Failure> {
    let (name, view) = read(shop, owner).await?;
    shop.show(&view, || view_text(&name, &view))
}

/// The name of the owner, and the cart as it is now.
pub async fn read(shop: &Shop, owner: &CartOwner) -> Result<(String, CartView), Failure> {
    let (name, view) = tokio::join!(shop.name_of(owner), shop.cart.view(owner));
    Ok((name?, view.map_err(|error| refusal::cart(&error, shop))?))
}

/// Empties a cart.
pub async fn clear(shop: &Shop, owner: &CartOwner) -> Result<(), Failure> {
    let name = shop.name_of(owner).await?;
    let cleared = shop.cart.clear(owner).await.map_err(|error| refusal::cart(&error, shop))?;
    let document = json!({ "owner": owner, "lines": cleared.lines, "units": cleared.units });
    shop.show(&document, || match cleared.lines {
        0 => format!("The cart of {name} is empty; there was nothing in it to take out."),
        _ => format!(
            "Emptied the cart of {name}: {}, {}.",
            counted(cleared.lines as u64, "line"),
            counted(cleared.units, "unit")
        ),
    })
}

/// Moves a guest's cart into a user's.
pub async fn merge(shop: &Shop, guest: &str, user: &str) -> Result<(), Failure> {
    let (guest, user) = (parse(guest)?, parse(user)?);
    let name = shop.user_name(user).await?;
    let merged = shop.cart.merge(&guest, user).await.map_err(|error| refusal::cart(&error, shop))?;
    let moved: Vec<_> =
        merged.moved.iter().map(|(sku, units)| json!({ "sku": sku, "quantity": units })).collect();
    let document = json!({ "guest": guest, "user": user, "moved": moved, "left": merged.left });
    shop.show(&document, || merged_text(&format!("guest {guest}"), &name, &merged))
}

fn merged_text(guest: &str, name: &str, merged: &Merged) -> String {
    if merged.moved.is_empty() && merged.left.is_empty() {
        return format!("Nothing was moved from {guest} to {name}: the cart of {guest} is empty.");
    }
    let moved =
        merged.moved.iter().map(|(sku, units)| format!("Moved {units} x {sku} from {guest} to {name}."));
    let left = merged
        .left
        .iter()
        .map(|left| format!("{} x {} stayed with {guest}: {}.", left.quantity, left.sku, why(left.why)));
    moved.chain(left).collect::<Vec<_>>().join("\n")
}

fn why(why: LeftBehind) -> &'static str {
    match why {
        LeftBehind::LineLimit => "a line has at most 99 units",
        LeftBehind::CartFull => "a cart has at most 100 lines",
    }
}

/// The cart as a table with its total.
#[must_use]
pub fn view_text(name: &str, view: &CartView) -> String {
    if view.lines.is_empty() {
        return format!("The cart of {name} is empty.");
    }
    let mut facts = Facts::new("", &["product", "SKU", "price", "quantity", "total"]);
    for line in &view.lines {
        let product = line.name.as_ref().map_or_else(|| "(no longer sold)".to_owned(), ToString::to_string);
        facts = facts.row([
            product,
            line.sku.to_string(),
            amount(line.unit_price),
            line.quantity.to_string(),
            amount(line.line_total),
        ]);
    }
    let lasts = view
        .expires_in
        .map_or_else(String::new, |time| format!("; the cart is kept for {} more", span(time)));
    let table = facts.to_text(Terminal.width());
    // Below the table, whose columns have no room for words where the terminal is narrow.
    let total = format!("Total: {}{lasts}", view.total);
    let foot: Vec<String> = std::iter::once(total).chain(view.lines.iter().filter_map(remark)).collect();
    format!("Cart of {name}\n\n{table}\n\n{}", foot.join("\n"))
}

/// A price or a total; a dash for what has none because it is no longer sold.
pub fn amount(cents: Option<Cents>) -> String {
    cents.map_or_else(|| "-".to_owned(), |cents| cents.to_string())
}

fn remark(line: &Line) -> Option<String> {
    let state = match line.state {
        LineState::OnSale => None,
        LineState::PriceChanged { was } => Some(format!("was {was} when added")),
        LineState::NoLongerSold => Some("no longer sold, not counted".to_owned()),
    };
    let leaves = line.expires_in.map(|time| format!("leaves the cart in {}", span(time)));
    let remarks: Vec<String> = state.into_iter().chain(leaves).collect();
    (!remarks.is_empty()).then(|| format!("{}: {}", line.sku, remarks.join(", ")))
}

/// A time as people say it: `45 s`, `30 min`.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}
