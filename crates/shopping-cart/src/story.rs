//! How do the pieces make a shopping cart that loses nothing? `cargo cart demo`

mod clicks;
mod login;

use std::time::Duration;

use futures_util::StreamExt;
use lab_connection::{Connection, Transcript};
use lab_runner::table::Facts;
use lab_runner::{Lesson, Outcome, Page};
use redis::{AsyncCommands, ErrorKind, RedisError};
use storefront::{
    Cart, CartOwner, CartUpdate, CartView, Catalogue, Keys, LineState, Quantity, Representation, SessionId,
    UserId, Users,
};
use tokio::time::{Instant, sleep, timeout};

use crate::carts::amount;
use crate::sample::{customers, products};
use crate::shop::{item_expiry_on, keys_on};

/// The lesson.
pub static LESSON: Lesson = Lesson {
    name: "cart",
    title: "The story of a shopping cart",
    asks: "How do Hashes, Sorted Sets, scripts, expiry and pub/sub make a cart that loses nothing?",
    teaches: &["HSET", "EVALSHA", "HINCRBY", "ZADD", "HPEXPIRE", "PUBLISH", "SUBSCRIBE"],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

/// The guest who logs in.
const GUEST: &str = "abc123";
/// Long enough to be seen in a view, short enough to wait for.
const MOMENT: Duration = Duration::from_millis(300);
/// Nothing in this story takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The carts of the story.
pub(crate) type StoryCart = Cart<Transcript<Connection>>;
/// The same carts, without a trace on the page.
pub(crate) type QuietCart = Cart<Connection>;

async fn teach(page: &mut Page) -> Outcome {
    let keys = keys_on(page.target());
    let parker: UserId = parsed("1")?;
    let owner = CartOwner::from(parker);
    let guest: SessionId = parsed(GUEST)?;
    clear_the_stage(page, &keys, parker, &[owner.clone(), CartOwner::Guest(guest.clone())]).await?;

    let quiet = Cart::new(page.quietly(), keys.clone(), Representation::Hash)
        .with_item_expiry(item_expiry_on(page.target()).await);
    open_the_shop(page, &keys).await?;
    load_scripts(&quiet).await?;

    page.say(
        "The cart is a Hash too: field SKU, value quantity. Adding to it is one script, so one atomic step: the user \
         exists, the product exists, the quantity stays between 1 and 99, the lifetime starts anew, watchers are told.",
    );
    let cart =
        Cart::new(page.redis(), keys.clone(), Representation::Hash).with_item_expiry(quiet.item_expiry());
    let (mouse, keyboard, cable) = (parsed("sku123")?, parsed("sku456")?, parsed("sku789")?);
    let mut updates = page.target().pubsub().await?;
    updates.subscribe(keys.cart_updates(&owner)).await?;
    cart.add(&owner, &mouse, quantity(2)?, None).await.map_err(|error| unexpected(&error))?;
    quiet.add(&owner, &keyboard, quantity(1)?, None).await.map_err(|error| unexpected(&error))?;
    page.say("It answers with the units in the line, the price in cents, and lines, units and total of the cart. A keyboard went in as well. Adding again sums up:");
    let added = cart.add(&owner, &mouse, quantity(1)?, None).await.map_err(|error| unexpected(&error))?;
    page.check_eq("two mice and one more are three", &added.quantity, &3)?;
    page.say("A view is two steps: the cart as it was at one moment, then the products, all at once.");
    let view = cart.view(&owner).await.map_err(|error| unexpected(&error))?;
    page.facts(view_facts("Parker's cart", &view));
    page.check_eq("3 x 19.99 + 89.50 is 149.47, in whole cents", &view.total, &parsed("149.47")?)?;

    page.say("Everybody who watches this cart has heard of each change, with the new total:");
    let mut messages = updates.into_on_message();
    let mut heard = Facts::new("cart_updates:1", &["event", "SKU", "change", "units", "total"]);
    for _ in 0..3 {
        let message = timeout(PATIENCE, messages.next()).await.ok().flatten();
        let payload: Vec<u8> = message.and_then(|message| message.get_payload().ok()).unwrap_or_default();
        let update = CartUpdate::parse(&payload).map_err(|error| unexpected(&error))?;
        let sku = update.sku.map(|sku| sku.to_string()).unwrap_or_default();
        let event = format!("{:?}", update.event).to_lowercase();
        let (change, units) = (format!("{:+}", update.change), update.units.to_string());
        heard = heard.row([event, sku, change, units, update.total.to_string()]);
    }
    page.facts(heard);

    page.say("What the shop refuses, it refuses before anything is written.");
    let before = contents(&quiet, &owner).await?;
    let too_many = cart.add(&owner, &mouse, quantity(97)?, None).await;
    page.check("97 more mice are refused: a line has at most 99 units", too_many.is_err())?;
    let unknown = cart.add(&owner, &parsed("sku000")?, quantity(1)?, None).await;
    page.check("a product that does not exist is refused", unknown.is_err())?;
    let absent = cart.remove(&owner, &cable, None).await;
    page.check("taking out what is not in the cart is refused", absent.is_err())?;
    page.check_eq("and the cart is as it was", &contents(&quiet, &owner).await?, &before)?;

    clicks::race(page, &keys).await?;
    login::merge_once(page, &cart, &quiet, &guest, parker).await?;
    line_that_leaves(page, &cart, &quiet, &owner).await?;
    catalogue_that_moves(page, &quiet, &owner).await?;

    page.say(
        "The same cart as a Sorted Set: member SKU, score quantity. Redis itself can then say which lines are the \
         largest, or count those above ten.",
    );
    let ranked = Cart::new(page.quietly(), keys.clone(), Representation::SortedSet);
    for line in &quiet.view(&owner).await.map_err(|error| unexpected(&error))?.lines {
        if line.state != LineState::NoLongerSold {
            let units = quantity(line.quantity)?;
            ranked.add(&owner, &line.sku, units, None).await.map_err(|error| unexpected(&error))?;
        }
    }
    let by_quantity = keys.cart(&owner, Representation::SortedSet).quantities;
    let top: Vec<(String, f64)> = page.redis().zrevrange_withscores(&by_quantity, 0, -1).await?;
    page.check(
        "the line with the most units comes first",
        top.is_sorted_by(|a, b| a.1 >= b.1) && !top.is_empty(),
    )?;

    page.keys([
        keys.user(parker),
        keys.sku(&mouse),
        keys.sku(&keyboard),
        keys.cart(&owner, Representation::Hash).quantities,
        by_quantity,
        keys.users(),
        keys.skus(),
    ]);
    Ok(())
}

/// Removes what an earlier run left, entry by entry: the same shop may hold users and products of one's own.
async fn clear_the_stage(page: &Page, keys: &Keys, user: UserId, owners: &[CartOwner]) -> Outcome {
    let mut leftovers: Vec<String> = owners.iter().flat_map(|owner| keys.all_of_cart(owner)).collect();
    leftovers.push(keys.user(user));
    page.start_clean(&leftovers).await?;
    let () = page.quietly().zrem(keys.users(), user.get()).await?;
    let catalogue = Catalogue::new(page.quietly(), keys.clone());
    for product in products()? {
        catalogue.remove(&product.sku).await.map_err(|error| unexpected(&error))?;
    }
    Ok(())
}

/// Parker Perry and the products; the first of each is shown.
async fn open_the_shop(page: &Page, keys: &Keys) -> Outcome {
    page.say(
        "A customer and a product are Hashes: one key each, one field for each thing one asks about. A script writes \
         them, so that a number is never given twice and an index never disagrees. EVALSHA names the script by its \
         digest; a server that does not know it says NOSCRIPT, once, and is given the text.",
    );
    let users = Users::new(page.redis(), keys.clone());
    for (id, customer) in customers()?.into_iter().take(1) {
        users.create_with_id(id, customer).await.map_err(|error| unexpected(&error))?;
    }
    let catalogue = Catalogue::new(page.quietly(), keys.clone());
    for product in products()? {
        catalogue.put(&product).await.map_err(|error| unexpected(&error))?;
    }
    let parker: Vec<String> = page.redis().hgetall(keys.user(parsed("1")?)).await?;
    page.check("user 1 is Parker Perry", parker.iter().any(|field| field == "Parker"))?;
    let mouse: Vec<String> = page.redis().hgetall(keys.sku(&parsed("sku123")?)).await?;
    page.check("sku123 has a name and a price", mouse.len() == 4)
}

/// Uses each script once on a cart of nobody's, so that the page is not full of NOSCRIPT.
async fn load_scripts(cart: &QuietCart) -> Outcome {
    let nobody: SessionId = parsed("nobody")?;
    let owner = CartOwner::Guest(nobody.clone());
    cart.add(&owner, &parsed("sku123")?, quantity(1)?, None).await.map_err(|error| unexpected(&error))?;
    cart.remove(&owner, &parsed("sku123")?, None).await.map_err(|error| unexpected(&error))?;
    cart.view(&owner).await.map_err(|error| unexpected(&error))?;
    cart.merge(&nobody, parsed("1")?).await.map_err(|error| unexpected(&error))?;
    Ok(())
}

async fn line_that_leaves(page: &Page, cart: &StoryCart, quiet: &QuietCart, owner: &CartOwner) -> Outcome {
    page.say(
        "A whole cart goes after 30 minutes without a change or a view. A single line can go sooner: by the TTL of its \
         Hash field where the server has HPEXPIRE, else by a companion set of deadlines. The answers are the same.",
    );
    let lamp = parsed("sku890")?;
    cart.add(owner, &lamp, quantity(1)?, Some(MOMENT)).await.map_err(|error| unexpected(&error))?;
    let deadline = Instant::now() + PATIENCE;
    let mut gone = false;
    while !gone && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
        let view = quiet.view(owner).await.map_err(|error| unexpected(&error))?;
        gone = view.lines.iter().all(|line| line.sku != lamp);
    }
    page.check("the desk lamp left the cart by itself", gone)
}

async fn catalogue_that_moves(page: &Page, cart: &QuietCart, owner: &CartOwner) -> Outcome {
    page.say("Prices change and products go off sale while they lie in carts. A view says so and counts what is true today.");
    let catalogue = Catalogue::new(page.quietly(), cart.keys().clone());
    let mut all = products()?;
    let stand = parsed("sku234")?;
    cart.add(owner, &stand, quantity(1)?, None).await.map_err(|error| unexpected(&error))?;
    if let Some(keyboard) = all.iter_mut().find(|product| product.sku.as_str() == "sku456") {
        keyboard.price = parsed("79.50")?;
        catalogue.put(keyboard).await.map_err(|error| unexpected(&error))?;
    }
    catalogue.remove(&stand).await.map_err(|error| unexpected(&error))?;
    let view = cart.view(owner).await.map_err(|error| unexpected(&error))?;
    page.facts(view_facts("Parker's cart, a little later", &view));
    let states: Vec<_> = view.lines.iter().map(|line| line.state).collect();
    let changed = states.iter().any(|state| matches!(state, LineState::PriceChanged { .. }));
    page.check("the keyboard shows the price it had when it was added", changed)?;
    page.check("the laptop stand is marked and not counted", states.contains(&LineState::NoLongerSold))
}

/// Lines and units.
pub(crate) async fn contents(cart: &QuietCart, owner: &CartOwner) -> Result<(usize, u64), RedisError> {
    let contents = cart.contents(owner).await.map_err(|error| unexpected(&error))?;
    Ok((contents.lines, contents.units))
}

fn view_facts(title: &str, view: &CartView) -> Facts {
    let mut facts = Facts::new(title, &["product", "price", "quantity", "total", "remark"]);
    for line in &view.lines {
        let product = line.name.as_ref().map_or_else(|| line.sku.to_string(), ToString::to_string);
        let remark = match line.state {
            LineState::OnSale => String::new(),
            LineState::PriceChanged { was } => format!("was {was} when added"),
            LineState::NoLongerSold => "no longer sold".to_owned(),
        };
        facts = facts.row([
            product,
            amount(line.unit_price),
            line.quantity.to_string(),
            amount(line.line_total),
            remark,
        ]);
    }
    facts.row(["Total".to_owned(), String::new(), String::new(), view.total.to_string(), String::new()])
}

/// A value of the story, which is always valid.
pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, RedisError> {
    text.parse().map_err(|error: T::Err| unexpected(&error))
}

/// Units of the story, which are always in range.
pub(crate) fn quantity(units: u32) -> Result<Quantity, RedisError> {
    Quantity::new(units).map_err(|error| unexpected(&error))
}

/// An error that the story does not provoke on purpose.
pub(crate) fn unexpected(error: &impl std::fmt::Display) -> RedisError {
    RedisError::from((ErrorKind::Client, "the shop refused a step of the story", error.to_string()))
}
