//! How do the pieces make a shopping cart that loses nothing? `cargo cart demo`

mod clicks;
mod login;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use lab_connection::{Connection, Transcript};
use lab_runner::table::Table;
use lab_runner::{Lesson, LessonContext, Outcome};
use patterns::cart::{self, Cart, CartUpdate, Item, LineState, Owner, Representation};
use patterns::catalog::Catalog;
use patterns::money::Cents;
use patterns::users::{User, Users};
use redis::{AsyncCommands, ErrorKind, RedisError};
use tokio::time::{Instant, sleep, timeout};

use crate::carts::{NamedCart, amount};
use crate::sample::{customers, products};

/// The lesson.
pub static LESSON: Lesson = Lesson {
    name: "cart",
    title: "The story of a shopping cart",
    question: "How do Hashes, Sorted Sets, scripts, expiry and pub/sub make a cart that loses nothing?",
    commands: &["HSET", "EVALSHA", "HINCRBY", "ZADD", "PEXPIRE", "PUBLISH", "SUBSCRIBE"],
    needs: &[],
    sources: &[lab_runner::source!("src/story.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// The customer.
const PARKER: &str = "1";
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

async fn run(ctx: &mut LessonContext) -> Outcome {
    let prefix = ctx.prefix().to_owned();
    let quiet = Cart::new(ctx.untraced("TODO"), &prefix);
    let ranked = quiet.clone().with_representation(Representation::SortedSet);
    clear_the_stage(ctx, &[&quiet, &ranked]).await?;
    open_the_shop(ctx).await?;
    load_scripts(&quiet).await?;

    ctx.step(
        "The cart is a Hash too: field SKU, value quantity. Adding to it is one script, so one atomic step: it checks the \
         limits, keeps the price that the customer saw, starts the lifetime anew, and publishes the change. It never reads \
         the other lines, so it costs the same for any cart:",
    ).await?;
    ctx.listing(cart::scripts()[0].1.source());
    let cart = Cart::new(ctx.redis(), &prefix);
    let (mouse, keyboard, cable) = ("sku123", "sku456", "sku789");
    let mut updates = ctx.target().pubsub().await?;
    updates.subscribe(cart.channel(PARKER).map_err(|error| unexpected(&error))?).await?;
    cart.add(PARKER, mouse, 2, price(mouse)?).await.map_err(|error| unexpected(&error))?;
    quiet.add(PARKER, keyboard, 1, price(keyboard)?).await.map_err(|error| unexpected(&error))?;
    ctx.step(
        "It answers with the units that came, those now in the line, and the lines, units, and total of the cart. A \
         keyboard went in as well. Adding again sums up:",
    ).await?;
    let added = cart.add(PARKER, mouse, 1, price(mouse)?).await.map_err(|error| unexpected(&error))?;
    ctx.check_eq("two mice and one more are three", &added.quantity, &3)?;
    ctx.step("A view is two steps: the cart as it was at one moment, then the products, all at once.")
        .await?;
    let catalog = Catalog::new(ctx.redis(), &prefix);
    let view =
        NamedCart::read(&cart, &catalog, &parsed(PARKER)?).await.map_err(|error| unexpected(&error))?;
    ctx.table(view_facts("Parker's cart", &view));
    ctx.check_eq("3 x 19.99 + 89.50 is 149.47, in whole cents", &view.total, &parsed("149.47")?)?;

    ctx.step("Everybody who watches this cart has heard of each change, with the new total:").await?;
    let mut messages = updates.into_on_message();
    let mut heard = Table::new("cart_updates:1", &["event", "SKU", "change", "units", "total"]);
    for _ in 0..3 {
        let message = timeout(PATIENCE, messages.next()).await.ok().flatten();
        let payload: Vec<u8> = message.and_then(|message| message.get_payload().ok()).unwrap_or_default();
        let update = CartUpdate::parse(&payload).map_err(|error| unexpected(&error))?;
        let (sku, total) = (update.sku.unwrap_or_default(), amount(update.total));
        let event = format!("{:?}", update.event).to_lowercase();
        heard = heard.row([event, sku, format!("{:+}", update.change), update.units.to_string(), total]);
    }
    ctx.table(heard);

    ctx.step("What the shop refuses, it refuses before anything is written.").await?;
    let before = contents(&quiet, PARKER).await?;
    let too_many = cart.add(PARKER, mouse, 97, price(mouse)?).await;
    ctx.check("97 more mice are refused: a line has at most 99 units", too_many.is_err())?;
    let unknown = catalog.get("sku000").await.map_err(|error| unexpected(&error))?;
    ctx.check("a product that does not exist is refused", unknown.is_none())?;
    let absent = cart.remove(PARKER, cable, None).await;
    ctx.check("taking out what is not in the cart is refused", absent.is_err())?;
    ctx.check_eq("and the cart is as it was", &contents(&quiet, PARKER).await?, &before)?;

    clicks::race(ctx, &quiet).await?;
    login::merge_once(ctx, &cart, &quiet, GUEST, PARKER).await?;
    line_that_leaves(ctx, &cart, &quiet).await?;
    catalog_that_moves(ctx, &quiet).await?;

    ctx.step(
        "The same cart as a Sorted Set: member SKU, score quantity. Redis itself can then say which lines are the \
         largest, or count those above ten.",
    ).await?;
    let catalog = Catalog::new(ctx.untraced("TODO"), &prefix);
    for line in quiet.view(PARKER).await.map_err(|error| unexpected(&error))?.lines {
        if let Some(product) = catalog.get(&line.sku).await.map_err(|error| unexpected(&error))? {
            let added = ranked.add(PARKER, &line.sku, line.quantity, product.price).await;
            added.map_err(|error| unexpected(&error))?;
        }
    }
    let [by_quantity, ..] = ranked.keys(PARKER).map_err(|error| unexpected(&error))?;
    let top: Vec<(String, f64)> = ctx.redis().zrevrange_withscores(&by_quantity, 0, -1).await?;
    ctx.check(
        "the line with the most units comes first",
        top.is_sorted_by(|a, b| a.1 >= b.1) && !top.is_empty(),
    )?;

    let [in_hash, prices, ..] = quiet.keys(PARKER).map_err(|error| unexpected(&error))?;
    let users = Users::new(ctx.untraced("TODO"), &prefix);
    let keys =
        [users.key(PARKER), catalog.key(mouse), catalog.key(keyboard), users.list_key(), catalog.index()];
    let mut names = vec![in_hash, prices, by_quantity];
    for key in keys {
        names.push(key.map_err(|error| unexpected(&error))?.as_str().to_owned());
    }
    ctx.keys(names);
    Ok(())
}

/// Removes what an earlier run left, entry by entry: the same shop may hold users and products of one's own.
async fn clear_the_stage(ctx: &LessonContext, carts: &[&QuietCart]) -> Outcome {
    let users = Users::new(ctx.untraced("TODO"), ctx.prefix());
    let parker = users.key(PARKER).map_err(|error| unexpected(&error))?;
    let mut leftovers = vec![parker.as_str().to_owned(), parker.companion("creator")];
    for cart in carts {
        for owner in [Owner::User(PARKER), Owner::Guest(GUEST)] {
            leftovers.extend(cart.keys(owner).map_err(|error| unexpected(&error))?);
        }
    }
    ctx.start_clean(&leftovers).await?;
    let list = users.list_key().map_err(|error| unexpected(&error))?;
    let () = ctx.untraced("TODO").zrem(list.as_str(), PARKER).await?;
    let catalog = Catalog::new(ctx.untraced("TODO"), ctx.prefix());
    for product in products()? {
        catalog.remove(&product.sku).await.map_err(|error| unexpected(&error))?;
    }
    Ok(())
}

/// Parker Perry and the products; the first of each is shown.
async fn open_the_shop(ctx: &LessonContext) -> Outcome {
    ctx.step(
        "A customer and a product are Hashes: one key for each, one field for each thing you ask about. The list of all \
         users is in another slot of a cluster, so it is another step. It comes first: an ID on the list without a user is \
         passed over, but a user who is on no list would never be found. Then a script writes the user, unless there is \
         one. EVALSHA names the script by its digest. A server that does not know it says NOSCRIPT, once, and is sent the \
         text.",
    ).await?;
    let users = Users::new(ctx.redis(), ctx.prefix());
    for User { id, first_name, last_name } in customers().into_iter().take(1) {
        let created = users.create_with_id(&id, &first_name, &last_name).await;
        created.map_err(|error| unexpected(&error))?;
    }
    let catalog = Catalog::new(ctx.untraced("TODO"), ctx.prefix());
    for product in products()? {
        catalog.put(&product).await.map_err(|error| unexpected(&error))?;
    }
    let key = users.key(PARKER).map_err(|error| unexpected(&error))?;
    let parker: BTreeMap<String, String> = ctx.redis().hgetall(key.as_str()).await?;
    ctx.check("user 1 is Parker Perry", parker.get("firstname").is_some_and(|name| name == "Parker"))?;
    let key = catalog.key("sku123").map_err(|error| unexpected(&error))?;
    let mouse: BTreeMap<String, String> = ctx.redis().hgetall(key.as_str()).await?;
    ctx.check("sku123 has a name and a price", mouse.len() == 2)
}

/// Uses each script once on a cart of nobody's, so that the page is not full of NOSCRIPT.
async fn load_scripts(cart: &QuietCart) -> Outcome {
    let nobody = Owner::Guest("nobody");
    let unexpected = |error| unexpected(&error);
    cart.add(nobody, "sku123", 2, price("sku123")?).await.map_err(unexpected)?;
    cart.remove(nobody, "sku123", Some(1)).await.map_err(unexpected)?;
    cart.view(nobody).await.map_err(|error| unexpected(error.into()))?;
    cart.merge("nobody", "nobody").await.map_err(|error| unexpected(error.into()))?;
    cart.clear("nobody").await.map_err(|error| unexpected(error.into()))?;
    Ok(())
}

async fn line_that_leaves(ctx: &LessonContext, cart: &StoryCart, quiet: &QuietCart) -> Outcome {
    ctx.step(
        "A whole cart goes after 30 minutes without a change or a view. A single line can go sooner. Its deadline is in a \
         Sorted Set beside the cart, and the script compares the first one with the server's clock. That works on every \
         server; HPEXPIRE, for fields of a Hash, came with Redis 7.4 and Valkey 9.",
    ).await?;
    let lamp = Item::new("sku890", 1, price("sku890")?).with_ttl(MOMENT);
    cart.add_item(PARKER, &lamp).await.map_err(|error| unexpected(&error))?;
    let deadline = Instant::now() + PATIENCE;
    let mut gone = false;
    while !gone && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
        let view = quiet.view(PARKER).await.map_err(|error| unexpected(&error))?;
        gone = view.lines.iter().all(|line| line.sku != "sku890");
    }
    ctx.check("the desk lamp left the cart by itself", gone)
}

async fn catalog_that_moves(ctx: &LessonContext, cart: &QuietCart) -> Outcome {
    ctx.step(
        "Prices change, and products go off sale while they lie in carts. A view says so and counts what is true today.",
    ).await?;
    let catalog = Catalog::new(ctx.untraced("TODO"), ctx.prefix());
    cart.add(PARKER, "sku234", 1, price("sku234")?).await.map_err(|error| unexpected(&error))?;
    let mut all = products()?;
    if let Some(keyboard) = all.iter_mut().find(|product| product.sku == "sku456") {
        keyboard.price = parsed("79.50")?;
        catalog.put(keyboard).await.map_err(|error| unexpected(&error))?;
    }
    catalog.remove("sku234").await.map_err(|error| unexpected(&error))?;
    let view = NamedCart::read(cart, &catalog, &parsed(PARKER)?).await.map_err(|error| unexpected(&error))?;
    ctx.table(view_facts("Parker's cart, a little later", &view));
    let states: Vec<_> = view.lines.iter().map(|(line, _)| line.state).collect();
    let changed = states.iter().any(|state| matches!(state, LineState::PriceChanged { .. }));
    ctx.check("the keyboard shows the price it had when it was added", changed)?;
    ctx.check("the laptop stand is marked and not counted", states.contains(&LineState::NoLongerSold))
}

/// Lines and units.
pub(crate) async fn contents<'a>(
    cart: &QuietCart,
    owner: impl Into<Owner<'a>>,
) -> Result<(usize, u64), RedisError> {
    let contents = cart.contents(owner).await.map_err(|error| unexpected(&error))?;
    Ok((contents.lines, contents.units))
}

fn view_facts(title: &str, view: &NamedCart) -> Table {
    let mut table = Table::new(title, &["product", "price", "quantity", "total", "remark"]);
    for (priced, name) in &view.lines {
        let remark = match priced.state {
            LineState::OnSale => String::new(),
            LineState::PriceChanged { was } => format!("was {was} when added"),
            LineState::NoLongerSold => "no longer sold".to_owned(),
        };
        table = table.row([
            name.clone().unwrap_or_else(|| priced.line.sku.clone()),
            amount(priced.unit_price),
            priced.line.quantity.to_string(),
            amount(priced.line_total),
            remark,
        ]);
    }
    table.row(["Total".to_owned(), String::new(), String::new(), view.total.to_string(), String::new()])
}

/// What a sample product costs.
pub(crate) fn price(sku: &str) -> Result<Cents, RedisError> {
    let products = products().map_err(|failure| unexpected(&failure))?;
    let product = products.into_iter().find(|product| product.sku == sku);
    product.map(|product| product.price).ok_or_else(|| unexpected(&format!("{sku} is no sample product")))
}

/// A value of the story, which is always valid.
pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, RedisError> {
    text.parse().map_err(|error: T::Err| unexpected(&error))
}

/// An error that the story does not provoke on purpose.
pub(crate) fn unexpected(error: &impl std::fmt::Display) -> RedisError {
    RedisError::from((ErrorKind::Client, "the shop refused a step of the story", error.to_string()))
}
