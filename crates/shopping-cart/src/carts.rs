//! The commands about one cart.

use std::time::Duration;

use lab_connection::Failure;
use lab_runner::Terminal;
use lab_runner::table::Table;
use patterns::cart::{
    Cart, CartError, Changed, Contents, Item, LeftBehind, LineState, Merged, PricedCart, PricedLine,
};
use patterns::catalog::{Catalog, Product};
use patterns::money::Cents;
use redis::aio::ConnectionLike;
use serde_json::{Value, json};

use crate::arguments::Command;
use crate::failures::{self, parse};
use crate::input::{CartOwner, Quantity, SessionId, Sku, UserId};
use crate::shop::{Shop, amount_json, counted};

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
        // The caller runs all others.
        _ => Err(failures::no_command()),
    }
}

/// Adds units to a cart.
pub async fn add(
    shop: &Shop,
    owner: &CartOwner,
    product: &str,
    quantity: &str,
    item_ttl: Option<Duration>,
) -> Result<(), Failure> {
    let quantity: Quantity = parse(quantity)?;
    // Both at once. The cart accepts any product at any price, so the catalog says what there is and what it costs.
    let (name, product) = tokio::join!(shop.name_of(owner), shop.product(product));
    let (name, product) = (name?, product?);
    let item = Item::new(&product.sku, quantity.get(), product.price);
    let item = item_ttl.map_or(item.clone(), |ttl| item.with_ttl(ttl));
    let added = shop.cart.add_item(owner, &item).await;
    let added = added.map_err(|error| failures::add(&error, &name, &product, &shop.target))?;
    let Product { name: what, sku, price } = &product;
    let document = json!({
        "owner": owner, "sku": sku, "name": what, "added": quantity, "quantity": added.quantity,
        "unit_price": amount_json(*price), "cart": contents_json(added.cart),
    });
    shop.show(&document, || {
        format!("Added {quantity} x {what} ({sku}) to the cart of {name}. It has {} now.", added.quantity)
    })
}

/// Removes units from a cart. A product that is no longer sold is named by its SKU.
pub async fn remove(
    shop: &Shop,
    owner: &CartOwner,
    product: &str,
    quantity: Option<&str>,
) -> Result<(), Failure> {
    let quantity: Option<Quantity> = quantity.map(parse).transpose()?;
    let (name, found) = tokio::join!(shop.name_of(owner), shop.catalog.find(product));
    let (name, found) = (name?, found.map_err(|error| shop.failed(&error))?);
    let (sku, what) = if let Some(Product { sku, name, .. }) = found {
        (sku.clone(), format!("{name} ({sku})"))
    } else {
        let sku: Sku = product.parse().map_err(|_| failures::unknown_product(product, &shop.target))?;
        (sku.as_str().to_owned(), product.to_owned())
    };
    let removed = shop.cart.remove(owner, &sku, quantity.map(Quantity::get)).await;
    let removed = removed.map_err(|error| failures::remove(&error, &name, &what, &shop.target))?;
    let Changed { change, quantity, cart } = removed;
    let units = change.unsigned_abs();
    let document = json!({
        "owner": owner, "sku": sku, "removed": units, "quantity": quantity, "cart": contents_json(cart),
    });
    shop.show(&document, || match quantity {
        0 => format!("Removed {units} x {what} from the cart of {name}. None is left."),
        left => format!("Removed {units} x {what} from the cart of {name}. It has {left} now."),
    })
}

fn contents_json(contents: Contents) -> Value {
    json!({
        "lines": contents.lines, "units": contents.units, "seen_total": contents.seen_total.map(amount_json),
    })
}

/// Shows a cart.
pub async fn view(shop: &Shop, owner: &CartOwner) -> Result<(), Failure> {
    let (name, view) = name_and_details(shop, owner).await?;
    shop.show(&view.to_json(), || view_text(&name, &view))
}

/// The name of the owner, and the cart as it is now.
pub async fn name_and_details(shop: &Shop, owner: &CartOwner) -> Result<(String, CartDetails), Failure> {
    let (name, view) = tokio::join!(shop.name_of(owner), CartDetails::read(&shop.cart, &shop.catalog, owner));
    Ok((name?, view.map_err(|error| failures::view(&error, &shop.target))?))
}

/// A cart with the names and today's prices of its products.
pub struct CartDetails {
    owner: CartOwner,
    /// The lines by SKU, each with the name of its product if that is still sold.
    pub lines: Vec<(PricedLine, Option<String>)>,
    /// The total at today's prices.
    pub total: Cents,
    expires_in: Option<Duration>,
}

impl CartDetails {
    /// Reads the cart at one moment, and then its products, all at once.
    pub async fn read<C: ConnectionLike + Clone>(
        cart: &Cart<C>,
        catalog: &Catalog<C>,
        owner: &CartOwner,
    ) -> Result<Self, CartError> {
        let view = cart.view(owner).await?;
        let skus: Vec<&str> = view.lines.iter().map(|line| line.sku.as_str()).collect();
        let products = catalog.get_many(&skus).await?;
        let find = |sku: &str| products.iter().flatten().find(|product| product.sku == sku);
        let expires_in = view.expires_in;
        let PricedCart { lines, total } = view.at_prices(|sku| find(sku).map(|product| product.price))?;
        let with_name = |line: PricedLine| {
            let name = find(&line.line.sku).map(|product| product.name.clone());
            (line, name)
        };
        let lines = lines.into_iter().map(with_name).collect();
        Ok(Self { owner: owner.clone(), lines, total, expires_in })
    }

    /// The document that `--json` prints.
    pub fn to_json(&self) -> Value {
        let milliseconds = |time: Option<Duration>| time.map(|time| time.as_millis());
        let line = |(priced, name): &(PricedLine, Option<String>)| {
            let PricedLine { line, unit_price, line_total, state } = priced;
            let state = match state {
                LineState::OnSale => json!("on_sale"),
                LineState::PriceChanged { was } => json!({ "price_changed": { "was": amount_json(*was) } }),
                LineState::NoLongerSold => json!("no_longer_sold"),
            };
            json!({
                "sku": line.sku, "name": name, "quantity": line.quantity,
                "unit_price": unit_price.map(amount_json), "seen_price": line.seen_price.map(amount_json),
                "line_total": line_total.map(amount_json), "state": state,
                "expires_in_ms": milliseconds(line.expires_in),
            })
        };
        json!({
            "owner": self.owner, "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
            "total": amount_json(self.total), "expires_in_ms": milliseconds(self.expires_in),
        })
    }
}

/// Empties a cart.
pub async fn clear(shop: &Shop, owner: &CartOwner) -> Result<(), Failure> {
    let name = shop.name_of(owner).await?;
    let cleared = shop.cart.clear(owner).await.map_err(|error| failures::cart(&error, &shop.target))?;
    let document = json!({ "owner": owner, "lines": cleared.lines, "units": cleared.units });
    shop.show(&document, || match cleared.lines {
        0 => format!("The cart of {name} was empty already."),
        _ => format!(
            "Emptied the cart of {name}: {}, {}.",
            counted(cleared.lines as u64, "line"),
            counted(cleared.units, "unit")
        ),
    })
}

/// Moves a guest's cart into a user's cart.
pub async fn merge(shop: &Shop, guest: &str, user: &str) -> Result<(), Failure> {
    let (guest, user): (SessionId, UserId) = (parse(guest)?, parse(user)?);
    let name = shop.user_name(&user).await?;
    let merged = shop.cart.merge(guest.as_str(), user.as_str()).await;
    let merged = merged.map_err(|error| failures::cart(&error, &shop.target))?;
    let moved = merged.moved.iter().map(|(sku, units)| json!({ "sku": sku, "quantity": units }));
    let left = merged.left.iter().map(|left| {
        let why = match left.why {
            LeftBehind::LineLimit => "line_limit",
            LeftBehind::CartFull => "cart_full",
        };
        json!({ "sku": left.sku, "quantity": left.quantity, "why": why })
    });
    let (moved, left): (Vec<_>, Vec<_>) = (moved.collect(), left.collect());
    let document = json!({ "guest": guest, "user": user, "moved": moved, "left": left });
    shop.show(&document, || merged_text(&format!("guest {guest}"), &name, &merged))
}

fn merged_text(guest: &str, name: &str, merged: &Merged) -> String {
    if merged.moved.is_empty() && merged.left.is_empty() {
        return format!("The cart of {guest} is empty, so nothing was moved to {name}.");
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
pub fn view_text(name: &str, view: &CartDetails) -> String {
    if view.lines.is_empty() {
        return format!("The cart of {name} is empty.");
    }
    let mut table = Table::new("", &["product", "SKU", "price", "quantity", "total"]);
    for (priced, product) in &view.lines {
        table = table.row([
            product.clone().unwrap_or_else(|| "(no longer sold)".to_owned()),
            priced.line.sku.clone(),
            amount(priced.unit_price),
            priced.line.quantity.to_string(),
            amount(priced.line_total),
        ]);
    }
    let expires =
        view.expires_in.map_or_else(String::new, |time| format!(". The cart expires in {}.", duration(time)));
    let table = table.to_text(Terminal.width());
    // Below the table, because its columns have no room for words in a narrow terminal.
    let total = format!("Total: {}{expires}", view.total);
    let foot: Vec<String> =
        std::iter::once(total).chain(view.lines.iter().filter_map(|(line, _)| remark(line))).collect();
    format!("Cart of {name}\n\n{table}\n\n{}", foot.join("\n"))
}

/// A price or a total, or a dash if the product is no longer sold.
pub fn amount(cents: Option<Cents>) -> String {
    cents.map_or_else(|| "-".to_owned(), |cents| cents.to_string())
}

fn remark(priced: &PricedLine) -> Option<String> {
    let state = match priced.state {
        LineState::OnSale => None,
        LineState::PriceChanged { was } => Some(format!("was {was} when added")),
        LineState::NoLongerSold => Some("no longer sold, not counted".to_owned()),
    };
    let expires = priced.line.expires_in.map(|time| format!("expires in {}", duration(time)));
    let remarks: Vec<String> = state.into_iter().chain(expires).collect();
    (!remarks.is_empty()).then(|| format!("{}: {}", priced.line.sku, remarks.join(", ")))
}

/// A duration as people say it: `45 s`, `30 min`.
fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}
