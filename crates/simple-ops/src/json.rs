//! Where does a document belong: in a string, a Hash, or a JSON value?
//!
//! `cargo simple json`

mod assortment;
mod change_field;
mod cost;
mod number;
mod partial_update;
mod read_field;
mod sale;
mod shape;

use lab_runner::clients::connect;
use lab_runner::table::Table;
use lab_runner::{Keys, Lesson, LessonContext, Need, Outcome, source};
use redis::AsyncTypedCommands;

pub use self::assortment::Assortment;
pub use self::change_field::ChangeField;
pub use self::number::NumberField;
use self::number::only_number;
pub use self::read_field::ReadField;
pub use self::sale::{Kept, Sale};
pub use self::shape::{Shape, from_json, to_json};
use crate::catalog::{Product, product};

/// Documents as JSON strings, Hashes, and JSON values, and changes that do not get lost.
pub static LESSON: Lesson = Lesson {
    name: "json",
    title: "JSON documents",
    question: "Where does a document belong, and how do you change a part of it?",
    #[rustfmt::skip]
    commands: &[
        "SET", "GET", "HSET", "HGET", "HINCRBY", "HGETALL", "EVALSHA", "WATCH", "MULTI", "EXEC", "JSON.SET",
        "JSON.GET", "JSON.NUMINCRBY",
    ],
    needs: &[],
    sources: &[
        source!("src/json.rs"),
        source!("src/json/partial_update.rs"),
        source!("src/json/cost.rs"),
        source!("src/json/sale.rs"),
        source!("src/json/shape.rs"),
    ],
    rule: "Use a JSON string for what you read and write whole, a Hash for fields that many clients change, and a JSON value for what \
           is nested and changes in places.",
    takeaways: &[
        "GET, change, SET loses what other clients write in between. A script, WATCH, or a field command doesn't.",
        "A Hash is flat, and its values are strings. Restoring types and lists is up to you.",
        "Lua's JSON writes 14 digits of a number, and turns an empty list into an object.",
    ],
    quiz: &[4, 116],
    run: |ctx| Box::pin(run(ctx)),
};

const JSON_COMMANDS: Need = Need { command: "JSON.SET", available_in: "--server redis-8.2-modules" };

/// The product of the lesson.
const ID: u64 = 123;
/// Products that the comparisons read and change.
const PRODUCTS: usize = 50;
/// Round trips in a row for one product: reading or changing it, three or four approaches, three times, in two tables.
const ROUND_TRIPS: f64 = 30.0;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let sample = Product { stock: 500, ..product(ID) };
    ctx.start_clean(&Shape::ALL.map(|shape| shape.key(&keys, ID))).await?;

    store_as_text(ctx, &keys, &sample).await?;
    store_as_hash(ctx, &keys, &sample).await?;
    let text = Shape::Text.key(&keys, ID);
    partial_update::lose_a_change(ctx, &text, &sample).await?;
    partial_update::change_by_script(ctx, &text).await?;
    partial_update::change_by_watch(ctx, &text).await?;
    let json_commands = ctx.can(JSON_COMMANDS.command).await;
    if json_commands {
        store_as_json(ctx, &keys, &sample).await?;
    } else {
        ctx.skip(JSON_COMMANDS);
    }
    hold_a_sale(ctx, &keys, &sample, json_commands).await?;
    let assortment = Assortment::with(ctx.fit("products", PRODUCTS, 2, ROUND_TRIPS), &keys);
    cost::compare(ctx, &assortment, json_commands).await?;
    cost::measure_memory(ctx, &assortment, json_commands).await?;

    ctx.keys(Shape::ALL.iter().take(if json_commands { 3 } else { 2 }).map(|shape| shape.key(&keys, ID)));
    Ok(())
}

async fn store_as_text(ctx: &LessonContext, keys: &Keys, sample: &Product) -> Outcome {
    let mut redis = ctx.redis();
    let key = Shape::Text.key(keys, ID);

    ctx.step(
        "serde_json turns a product into text, and SET stores it. Redis sees only bytes. It neither checks nor understands them. This is \
         the simplest way, and good for what you read and write as a whole.",
    )
    .await?;
    redis.set(&key, to_json(sample)?).await?;
    let text = redis.get(&key).await?.unwrap_or_default();
    ctx.check_eq("the same product came back", &from_json(&text)?, sample)
}

async fn store_as_hash(ctx: &LessonContext, keys: &Keys, sample: &Product) -> Outcome {
    let mut redis = ctx.redis();
    let key = Shape::Hash.key(keys, ID);

    ctx.step("A Hash has a field for each property. You can read one field, or count it up, without touching the others.")
        .await?;
    redis::cmd("HSET").arg(&key).arg(&shape::fields(sample)?).exec_async(&mut redis).await?;
    let price = redis.hget(&key, "price_cents").await?;
    let left: i64 = redis::cmd("HINCRBY").arg(&key).arg("stock").arg(-1).query_async(&mut redis).await?;
    ctx.check("HGET read the price alone", price == Some(sample.price_cents.to_string()))?;
    ctx.check("HINCRBY sold one unit in one step", left == sample.stock - 1)?;

    ctx.step("It costs you the types: all values are strings. And a Hash is flat, so the list of tags is JSON text in its field.")
        .await?;
    let whole = Shape::Hash.load(&mut redis, &key).await?;
    let expected = Product { stock: left, ..sample.clone() };
    ctx.check_eq("all fields together are the product again", &whole, &expected)
}

async fn store_as_json(ctx: &LessonContext, keys: &Keys, sample: &Product) -> Outcome {
    let mut redis = ctx.redis();
    let key = Shape::Json.key(keys, ID);

    ctx.step(
        "This server has JSON values. JSON.SET checks the text and keeps it as a tree. A path names a place in it. A path that begins \
         with $ may match several places, so the reply is a list.",
    )
    .await?;
    redis::cmd("JSON.SET").arg(&key).arg("$").arg(to_json(sample)?).exec_async(&mut redis).await?;
    let price = redis::cmd("JSON.GET").arg(&key).arg("$.price_cents").query_async(&mut redis).await?;
    let tag: String = redis::cmd("JSON.GET").arg(&key).arg("$.tags[0]").query_async(&mut redis).await?;
    ctx.check("JSON.GET read the price alone", only_number(price)? == sample.price_cents)?;
    let tags: Vec<String> = serde_json::from_str(&tag).unwrap_or_default();
    ctx.check("and the first tag, which a Hash can't", tags.len() == 1 && sample.tags.starts_with(&tags))?;

    ctx.step("JSON.NUMINCRBY counts. JSON.SET with a path replaces one place. Each is one step, so nothing gets lost.").await?;
    let stock = redis::cmd("JSON.NUMINCRBY").arg(&key).arg("$.stock").arg(-1).query_async(&mut redis).await?;
    redis::cmd("JSON.SET").arg(&key).arg("$.price_cents").arg(1_999).exec_async(&mut redis).await?;
    let whole = Shape::Json.load(&mut redis, &key).await?;
    let expected = Product { price_cents: 1_999, stock: only_number(stock)?, ..sample.clone() };
    ctx.check_eq("the product has both changes, and all else is as before", &whole, &expected)?;

    ctx.step("Text that is not JSON is refused.").await?;
    let broken = redis::cmd("JSON.SET").arg(&key).arg("$.stock").arg("many").exec_async(&mut redis).await;
    ctx.check("the stock is still a number", broken.is_err())
}

async fn hold_a_sale(ctx: &LessonContext, keys: &Keys, sample: &Product, json_commands: bool) -> Outcome {
    ctx.step(
        "Now a busy sale: some clients sell units, one by one, while another raises the price. With GET and SET, every client reads before \
         any of them writes, which is the worst case. The others run in any order. This is one try with WATCH:",
    )
    .await?;
    ctx.function("watch_once");
    // With WATCH, one client at a time succeeds, so on a slow network there are few clients, too.
    let clients = ctx.fit("clients", sale::CLIENTS, 3, 8.0);
    let changes = ctx.fit("changes by each client", sale::CHANGES_EACH, 2, 16.0);
    ctx.announce(format!(
        "{clients} clients, {changes} changes each: GET and SET; WATCH, GET, MULTI, SET, EXEC; EVALSHA; HINCRBY; JSON.NUMINCRBY. Before each, \
         the product is stored with SET, HSET, or JSON.SET, and at the end read with GET, HGETALL, or JSON.GET."
    ));
    let mut table = Table::new("Lost changes", &["approach", "changes", "kept", "lost", "tried again"]);
    let mut lost_by = Vec::new();
    let clients = connect(ctx.target(), clients).await?;
    for sale in Sale::all(json_commands) {
        let key = sale.shape().key(keys, ID);
        let Kept { made, kept, retries } = sale.hold(ctx.target(), &clients, &key, sample, changes).await?;
        let lost = made - kept;
        table = table.labeled(sale.label(), [made, kept, lost, retries.cast_signed()]);
        lost_by.push((sale, lost));
    }
    ctx.table(table);
    let (wrong, right): (Vec<_>, Vec<_>) =
        lost_by.into_iter().partition(|(sale, _)| *sale == Sale::RewriteWorstCase);
    ctx.check("GET and SET lost changes", wrong.iter().all(|(_, lost)| *lost > 0))?;
    ctx.check("all others kept every change", right.iter().all(|(_, lost)| *lost == 0))
}
