//! How do the pieces make a shopping cart that loses nothing? `cargo cart demo`

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use lab_connection::{Connection, Transcript};
use lab_runner::concurrent::try_join_all;
use lab_runner::source::Excerpt;
use lab_runner::table::Table;
use lab_runner::{BoxError, Lesson, LessonContext, LessonError, Outcome, Retry, Source, source};
use patterns::cart::{Applied, Cart, CartError, CartUpdate, HASH, Item, LineState, Owner, Representation};
use patterns::catalog::{Catalog, Product};
use patterns::money::Cents;
use patterns::users::{CreateError, Users};
use redis::aio::PubSub;
use redis::{AsyncTypedCommands, Cmd, RedisResult};
use tokio::time::timeout;

use crate::carts::{CartDetails, amount};
use crate::sample::products;
use lab_runner::pattern_scripts::lua;

/// The lesson.
pub static LESSON: Lesson = Lesson {
    name: "cart",
    title: "A shopping cart",
    question: "How do Hashes, Sorted Sets, scripts, expiry, and pub/sub make a cart that loses nothing?",
    commands: &["HGETALL", "HGET", "HSET", "EVALSHA", "HMGET", "ZREVRANGE"],
    needs: &[],
    sources: &[STORY, CARTS],
    rule: "Change a cart in one script on the server: it checks the limits, writes, and publishes in one atomic step.",
    takeaways: &[
        "Reading a quantity, adding one, and writing it back loses clicks.",
        "The keys that one script touches share a slot, so cart:{cart:1}:prices has cart:1 as its hash tag.",
        "Moving units between two slots takes several steps, each recorded under an ID so that a retry counts once.",
    ],
    quiz: &[15, 39, 96, 117],
    run: |ctx| Box::pin(run(ctx)),
};

const STORY: Source = source!("src/story.rs");
const CARTS: Source = source!("src/carts.rs");

/// Parker Perry's user ID.
const PARKER: &str = "1";
/// The guest who logs in, by session.
const ABC123: Owner<'_> = Owner::Guest("abc123");
/// The guest whose cart loses clicks.
const TABS: Owner<'_> = Owner::Guest("tabs");
/// How many browser tabs click at once.
const CLICKS: u32 = 16;
/// How long a cart lives after its last change or view.
const WEEK: Duration = Duration::from_hours(7 * 24);
/// How long the line lives that expires while the reader watches.
const MOMENT: Duration = Duration::from_millis(300);
/// Nothing in this lesson takes longer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Carts whose commands are shown.
type ShownCart = Cart<Transcript<Connection>>;

async fn run(ctx: &mut LessonContext) -> Outcome {
    Ok(tell(ctx).await?)
}

async fn tell(ctx: &LessonContext) -> Result<(), BoxError> {
    let cart = Cart::new(ctx.redis(), ctx.prefix()).with_ttl(WEEK);
    remove_old_carts(ctx, &cart).await?;
    open_the_shop(ctx).await?;
    read_customer_and_product(ctx).await?;
    lose_a_click(ctx, &cart).await?;
    add_with_a_script(ctx, &cart).await?;
    watch_a_change(ctx, &cart).await?;
    view(ctx, &cart).await?;
    refuse(ctx, &cart).await?;
    click_sixteen_times(ctx, &cart).await?;
    log_in(ctx, &cart).await?;
    let_a_line_expire(ctx, &cart).await?;
    change_the_catalog(ctx).await?;
    rank_the_lines(ctx, &cart).await?;

    let catalog = Catalog::new(ctx.redis(), ctx.prefix());
    let users = Users::new(ctx.redis(), ctx.prefix());
    let [quantities, prices, ..] = cart.keys(PARKER)?;
    let [by_quantity, ..] = cart.with_representation(Representation::SortedSet).keys(PARKER)?;
    let hashes = [users.key(PARKER)?, catalog.key("sku123")?, catalog.key("sku456")?, catalog.index()?];
    let hashes = hashes.map(|key| key.as_str().to_owned());
    ctx.keys([quantities, prices, by_quantity].into_iter().chain(hashes));
    Ok(())
}

/// Only carts: users and products may be the reader's own.
async fn remove_old_carts(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let ranked = cart.clone().with_representation(Representation::SortedSet);
    let mut keys = Vec::new();
    for owner in [Owner::User(PARKER), ABC123, TABS] {
        keys.extend(cart.keys(owner)?);
    }
    keys.extend(ranked.keys(PARKER)?);
    Ok(ctx.start_clean(&keys).await?)
}

async fn open_the_shop(ctx: &LessonContext) -> Result<(), BoxError> {
    let redis = ctx.untraced(
        "The patterns for users and products write user 1 (Parker Perry), sku123 (Wireless mouse, 19.99), sku456 \
         (Mechanical keyboard, 89.50), and four more products: ZADD, HSET, HMGET, and scripts with EVALSHA and EVAL.",
    );
    match Users::new(redis.clone(), ctx.prefix()).create_with_id(PARKER, "Parker", "Perry").await {
        // A user 1 of the reader's own will do as well.
        Ok(_) | Err(CreateError::Taken(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let catalog = Catalog::new(redis, ctx.prefix());
    let products = products()?;
    try_join_all(products.iter().map(|product| catalog.put(product))).await?;
    Ok(())
}

async fn read_customer_and_product(ctx: &LessonContext) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let user = Users::new(ctx.redis(), ctx.prefix()).key(PARKER)?;
    let product = Catalog::new(ctx.redis(), ctx.prefix()).key("sku123")?;
    let (user, product) = (user.as_str(), product.as_str());

    ctx.step(
        "A shop keeps each customer and each product in a Hash of its own, one field for each property.",
    )
    .await?;
    let parker = redis.hgetall(user).await?;
    let mouse = redis.hgetall(product).await?;
    ctx.check(who(&parker), parker.contains_key("firstname"))?;
    ctx.check("sku123 has a name and a price", mouse.contains_key("name") && mouse.contains_key("price"))?;
    Ok(())
}

fn who(user: &HashMap<String, String>) -> String {
    let field = |name| user.get(name).map_or("", String::as_str);
    format!("user 1 is {} {}", field("firstname"), field("lastname"))
}

async fn lose_a_click(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let (mut tab_a, mut tab_b) = (ctx.dedicated_redis().await?, ctx.dedicated_redis().await?);
    let key = cart.key(TABS)?;
    let cart = key.as_str();

    let guess = ctx
        .step(
            "A cart is a Hash, too: each field is a SKU, and its value the units. The naive way to add a unit reads the value, \
             adds one, and writes it back. Here two browser tabs of one guest click at the same moment.",
        )
        .predict("1 unit and two clicks: how many units does the cart have?", ["1", "2", "3"])
        .await?;
    redis.hset(cart, "sku123", 1).await?;
    let seen_by_a = tab_a.hget(cart, "sku123").await?;
    let seen_by_b = tab_b.hget(cart, "sku123").await?;
    tab_a.hset(cart, "sku123", one_more(seen_by_a)).await?;
    tab_b.hset(cart, "sku123", one_more(seen_by_b)).await?;
    let units = redis.hget(cart, "sku123").await?;
    guess.answer(units.as_deref().unwrap_or_default())?;
    ctx.check("1 unit and two clicks make 2 units: one click is lost", units.as_deref() == Some("2"))?;
    Ok(())
}

fn one_more(units: Option<String>) -> u32 {
    units.and_then(|units| units.parse().ok()).unwrap_or(0) + 1
}

async fn add_with_a_script(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let mouse = price("sku123")?;

    ctx.step(
        "HINCRBY would lose no click, but it knows no limit, and a client that sends it again after a timeout adds twice. So \
         each change is a script, which Redis runs without interruption. All changes of a line begin like this. They read \
         the line and the cart's sums, and never the other lines, so they cost the same for any cart.",
    )
    .await?;
    ctx.code(section_of("line", HASH.add.file()));

    ctx.step("Then `add` checks the limits, remembers the change by its ID, writes, renews the TTLs, and publishes.")
        .await?;
    ctx.script(&lua(&HASH.add).section()).await?;

    ctx.step("Parker adds two mice. The note below the call names its arguments, and the one below the reply its parts.")
        .await?;
    let added = cart.add(PARKER, "sku123", 2, mouse).await?;
    ctx.check_eq("the line has two units", &added.quantity, &2)?;
    Ok(())
}

async fn watch_a_change(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let mouse = price("sku123")?;

    ctx.step(
        "The script publishes each change with the new total, so an open page can follow its cart. This one watches while \
         another tab adds one more mouse.",
    )
    .await?;
    let mut page = ctx.target().pubsub().await?;
    page.subscribe(cart.channel(PARKER)?).await?;
    cart.add(PARKER, "sku123", 1, mouse).await?;
    let update = update_to(&mut page, 3).await?;
    ctx.announce("Before that, the page sent SUBSCRIBE cart_updates:1, on a connection of its own.");
    let row = [
        format!("{:?}", update.event).to_lowercase(),
        update.sku.clone().unwrap_or_default(),
        format!("{:+}", update.change),
        update.units.to_string(),
        amount(update.total),
    ];
    ctx.table(
        Table::new("Published on cart_updates:1", &["event", "SKU", "change", "units", "total"]).row(row),
    );
    ctx.check_eq("two mice and one more cost 59.97", &update.total, &Some("59.97".parse()?))?;
    let tab = Cart::new(ctx.untraced("The other tab adds a keyboard, too, with EVALSHA."), ctx.prefix());
    tab.with_ttl(WEEK).add(PARKER, "sku456", 1, price("sku456")?).await?;
    Ok(())
}

/// The update that says that the line has this many units. On a cluster, messages travel from node to node, so the one about the change
/// before may arrive after SUBSCRIBE.
async fn update_to(page: &mut PubSub, quantity: u32) -> Result<CartUpdate, BoxError> {
    let mut messages = page.on_message();
    loop {
        let message = timeout(LONGEST_WAIT, messages.next()).await.ok().flatten();
        let message = message.ok_or_else(|| LessonError::Check("the change is published".into()))?;
        let update = CartUpdate::parse(message.get_payload_bytes())?;
        if update.quantity == quantity {
            return Ok(update);
        }
    }
}

async fn view(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let catalog = Catalog::new(ctx.redis(), ctx.prefix());
    let parker = PARKER.parse()?;

    ctx.step("To show the cart, `view` reads its keys at one moment.").await?;
    ctx.script(&lua(&HASH.view).whole()).await?;

    ctx.step(
        "The products are in other slots of a cluster, so they are a second step: one HMGET for each, all sent at once.",
    )
    .await?;
    let details = CartDetails::read(cart, &catalog, &parker).await?;
    ctx.table(details_table("Parker's cart", &details));
    ctx.check_eq("3 x 19.99 + 89.50 is 149.47, in whole cents", &details.total, &"149.47".parse()?)?;
    Ok(())
}

async fn refuse(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let catalog = Catalog::new(ctx.redis(), ctx.prefix());
    let mouse = price("sku123")?;
    let key = cart.key(PARKER)?;
    let key = key.as_str();

    ctx.step("A script refuses before it writes anything. This is the part of `remove` that decides.")
        .await?;
    ctx.script(&lua(&HASH.remove).section()).await?;

    ctx.step("A line has at most 99 units, and only what is in the cart can be removed. Products are checked in the catalog.")
        .await?;
    let too_many = cart.add(PARKER, "sku123", 97, mouse).await;
    let absent = cart.remove(PARKER, "sku789", None).await;
    let unknown = catalog.get("sku000").await?;
    let stored = redis.hgetall(key).await?;
    ctx.check("97 more mice are refused", matches!(too_many, Err(CartError::LineLimit { .. })))?;
    ctx.check("removing what is not in the cart is refused", matches!(absent, Err(CartError::NotInCart(_))))?;
    ctx.check("a product that does not exist is not found", unknown.is_none())?;
    ctx.check_eq("the cart is as it was", &stored, &units([("sku123", 3), ("sku456", 1)]))?;
    Ok(())
}

async fn click_sixteen_times(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let mouse = price("sku123")?;
    let keys = cart.keys(TABS)?;

    ctx.step(format!(
        "Now {CLICKS} tabs click at once, first in the naive way, then with the script. In the naive way, every tab reads \
         before any of them writes, which a busy server brings about sooner or later."
    ))
    .await?;
    ctx.code(STORY.function("by_read_and_write"));
    ctx.code(STORY.function("by_script"));
    let mut redis = ctx.untraced(format!(
        "{CLICKS} tabs send HGET and then HSET, and {CLICKS} send EVALSHA. UNLINK empties the cart before each, and HGET \
         counts its units."
    ));
    let scripted = Cart::new(redis.clone(), ctx.prefix()).with_ttl(WEEK);
    redis.unlink(&keys).await?;
    by_read_and_write(&redis, &keys[0]).await?;
    let naive = redis.hget(&keys[0], "sku123").await?.unwrap_or_default();
    redis.unlink(&keys).await?;
    by_script(&scripted, mouse).await?;
    let atomic = redis.hget(&keys[0], "sku123").await?.unwrap_or_default();

    let lost = |units: &str| CLICKS - units.parse().unwrap_or(0);
    let row = |way: &str, units: &str| {
        [way.to_owned(), CLICKS.to_string(), units.to_owned(), lost(units).to_string()]
    };
    ctx.table(
        Table::new("Units in the cart", &["way", "clicks", "units", "lost"])
            .row(row("HGET, add one, HSET", &naive))
            .row(row("script", &atomic)),
    );
    ctx.check(
        format!("reading and writing back lost {} of {CLICKS} clicks", lost(&naive)),
        lost(&naive) > 0,
    )?;
    ctx.check_eq("the script lost none", &lost(&atomic), &0)?;
    Ok(())
}

async fn by_read_and_write(redis: &Connection, cart: &str) -> RedisResult<()> {
    let tab = || redis.clone();
    let read = |_| async move { tab().hget(cart, "sku123").await };
    let write = |units| async move { tab().hset(cart, "sku123", one_more(units)).await };
    let seen = try_join_all((0..CLICKS).map(read)).await?;
    try_join_all(seen.into_iter().map(write)).await?;
    Ok(())
}

async fn by_script(cart: &Cart<Connection>, price: Cents) -> Result<(), CartError> {
    let click = |_| cart.add(TABS, "sku123", 1, price);
    try_join_all((0..CLICKS).map(click)).await?;
    Ok(())
}

async fn log_in(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let (guest_key, user_key) = (cart.key(ABC123)?, cart.key(PARKER)?);
    let (guest_key, user_key) = (guest_key.as_str(), user_key.as_str());

    ctx.step(
        "Before they log in, customers are guests: the session names the cart, cart:guest:abc123. At login it moves into the \
         user's cart. The two carts are in different slots of a cluster, where no script can touch both. So a merge takes \
         three steps, and each can be repeated. The first moves the lines into a claim, which only a merge reads.",
    )
    .await?;
    ctx.script(&lua(&HASH.claim).section()).await?;
    let redis_of_guest = ctx.untraced("The guest adds 1 mouse and 2 keyboards with EVALSHA.");
    let carts = Cart::new(redis_of_guest, ctx.prefix()).with_ttl(WEEK);
    carts.add(ABC123, "sku123", 1, price("sku123")?).await?;
    carts.add(ABC123, "sku456", 2, price("sku456")?).await?;

    ctx.step("The guest has a mouse and two keyboards, and logs in as user 1.").await?;
    let before = redis.hgetall(guest_key).await?;
    let claim = cart.claim("abc123", PARKER).await?;
    let after = redis.hgetall(guest_key).await?;
    ctx.check_eq("the guest had two lines", &before, &units([("sku123", 1), ("sku456", 2)]))?;
    ctx.check("the guest's cart is empty", after.is_empty())?;
    let claim = claim.ok_or_else(|| LessonError::Check("there is a claim".into()))?;

    ctx.step(
        "The second step adds the claimed lines to the user's cart, as many units as fit, and records its reply under the \
         claim's ID. A login that is sent twice gets the recorded reply. The last step deletes the claim.",
    )
    .await?;
    ctx.script(&lua(&HASH.apply).section()).await?;
    ctx.script(&lua(&HASH.finish).contract()).await?;

    let guess = ctx
        .step(
            "Both steps, then the same login once more with `merge`, which does all three. Parker had three mice, and the guest one.",
        )
        .predict("How many mice does Parker have at the end?", ["3", "4", "5"])
        .await?;
    let applied = cart.apply(&claim).await?;
    cart.finish(&claim, &applied).await?;
    let again = cart.merge("abc123", PARKER).await?;
    let stored = redis.hgetall(user_key).await?;
    let moved_two = matches!(&applied, Applied::Merged(merged) if merged.moved.len() == 2);
    guess.answer(stored.get("sku123").map_or("", String::as_str))?;
    ctx.check("the first login moves two lines", moved_two)?;
    ctx.check("the second one moves nothing", again.moved.is_empty() && again.left.is_empty())?;
    let expected = units([("sku123", 4), ("sku456", 3)]);
    ctx.check_eq("three units came over, not six", &stored, &expected)?;
    Ok(())
}

async fn let_a_line_expire(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let lamp = price("sku890")?;

    ctx.step(
        "A cart expires a week after its last change or view. A line can expire sooner: its deadline is in a Sorted Set \
         beside the cart, and the scripts compare the first deadline with the server's clock. That works on every server. \
         HPEXPIRE, which expires a field of a Hash, came with Redis 7.4 and Valkey 9.0.",
    )
    .await?;
    let lamp = Item::new("sku890", 1, lamp).with_ttl(MOMENT);
    cart.add_item(PARKER, &lamp).await?;
    ctx.announce(
        "The lesson sends EVALSHA until `view` no longer has the lamp. Then EVALSHA or EVAL sends `tidy`, which removes it.",
    );
    let reader = Cart::new(ctx.target().connection(), ctx.prefix()).with_ttl(WEEK);
    let mut retry = Retry::within(LONGEST_WAIT);
    while reader.view(PARKER).await?.lines.iter().any(|line| line.sku == "sku890") {
        retry.again("the desk lamp leaves the cart by itself").await?;
    }
    ctx.check("the desk lamp left the cart by itself", true)?;
    Ok(())
}

async fn change_the_catalog(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "Prices change, and products go off sale while they are in carts. The cart keeps the price that the customer saw. A \
         view compares it with the catalog, and counts today's prices.",
    )
    .await?;
    ctx.code(CARTS.function("read"));
    let redis = ctx.untraced(
        "The guest adds a cable (7.95) and a laptop stand (34.00). Then the cable costs 6.95, and the stand is off sale: \
         EVALSHA, EVAL, HGET, HSET, HMGET, and UNLINK.",
    );
    let cart = Cart::new(redis.clone(), ctx.prefix()).with_ttl(WEEK);
    let catalog = Catalog::new(redis, ctx.prefix());
    for sku in ["sku789", "sku234"] {
        cart.add(ABC123, sku, 1, price(sku)?).await?;
    }
    catalog.put(&Product { price: "6.95".parse()?, ..product("sku789")? }).await?;
    catalog.remove("sku234").await?;
    let details = CartDetails::read(&cart, &catalog, &"abc123".parse()?).await?;
    ctx.table(details_table("The guest's cart, a little later", &details));
    let states: Vec<_> = details.lines.iter().map(|(line, _)| line.state).collect();
    let changed = LineState::PriceChanged { was: price("sku789")? };
    ctx.check("the cable still has the price at which it was added", states.contains(&changed))?;
    ctx.check("the laptop stand is marked and not counted", states.contains(&LineState::NoLongerSold))?;
    Ok(())
}

async fn rank_the_lines(ctx: &LessonContext, cart: &ShownCart) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let (mouse, keyboard) = (price("sku123")?, price("sku456")?);
    let ranked = Cart::new(ctx.target().connection(), ctx.prefix()).with_ttl(WEEK);
    let ranked = ranked.with_representation(Representation::SortedSet);
    let [by_quantity, ..] = cart.clone().with_representation(Representation::SortedSet).keys(PARKER)?;

    ctx.step(
        "A cart can be a Sorted Set instead: each member is a SKU, scored by its units. The scripts are the same, with \
         the commands of Sorted Sets. Then Redis itself lists the largest lines first, or counts those above ten units.",
    )
    .await?;
    ranked.add(PARKER, "sku123", 4, mouse).await?;
    ranked.add(PARKER, "sku456", 3, keyboard).await?;
    let largest_first = Cmd::zrevrange_withscores(&by_quantity, 0, -1);
    let lines: Vec<(String, f64)> = largest_first.query_async(&mut redis).await?;
    ctx.announce("The two adds sent EVALSHA, and EVAL when the server did not know the script yet.");
    let expected = vec![("sku123".to_owned(), 4.0), ("sku456".to_owned(), 3.0)];
    ctx.check_eq("the line with the most units comes first", &lines, &expected)?;
    Ok(())
}

fn details_table(title: &str, details: &CartDetails) -> Table {
    let mut table = Table::new(title, &["product", "price", "units", "total", "remark"]);
    for (priced, name) in &details.lines {
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
    table.row(["Total".to_owned(), String::new(), String::new(), details.total.to_string(), String::new()])
}

/// A section of `cart.lua`, which several scripts share.
fn section_of(name: &str, file: &str) -> Excerpt {
    let heading = format!("---- {name}\n");
    let start = file.find(&heading).map_or(0, |at| at + heading.len());
    let text = file[start..].split("\n---- ").next().unwrap_or_default().trim_end();
    let line = file[..start].matches('\n').count() + 1;
    Excerpt { path: "crates/patterns/src/cart.lua".to_owned(), line, text: text.to_owned() }
}

fn units<const N: usize>(lines: [(&str, u32); N]) -> HashMap<String, String> {
    lines.into_iter().map(|(sku, units)| (sku.to_owned(), units.to_string())).collect()
}

/// A sample product.
fn product(sku: &str) -> Result<Product, BoxError> {
    let product = products()?.into_iter().find(|product| product.sku == sku);
    Ok(product.ok_or_else(|| LessonError::Check(format!("{sku} is a sample product")))?)
}

fn price(sku: &str) -> Result<Cents, BoxError> {
    Ok(product(sku)?.price)
}
