//! Where does a document belong: in a string, a Hash or a JSON value?
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

use lab_runner::table::Table;
use lab_runner::{Lesson, LessonContext, Need, Outcome};
use redis::AsyncTypedCommands;

pub use self::assortment::Assortment;
pub use self::change_field::ChangeField;
pub use self::number::NumberField;
use self::number::only_number;
pub use self::read_field::ReadField;
pub use self::sale::{Kept, Sale};
pub use self::shape::{Shape, from_json, to_json};
use crate::catalogue::{Product, product};
use crate::keys::Keys;

/// Documents as JSON strings, Hashes and JSON values, and changes that do not get lost.
pub static LESSON: Lesson = Lesson {
    name: "json",
    title: "JSON documents",
    question: "Where does a document belong, and how does one change a part of it?",
    commands: &[
        "SET",
        "GET",
        "HSET",
        "HGET",
        "HINCRBY",
        "HGETALL",
        "SCRIPT LOAD",
        "EVALSHA",
        "WATCH",
        "MULTI",
        "EXEC",
        "JSON.SET",
        "JSON.GET",
        "JSON.NUMINCRBY",
    ],
    needs: &[],
    sources: &[lab_runner::source!("src/json.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

const JSON_COMMANDS: Need = Need { command: "JSON.SET", available_in: "--server redis-8.2-modules" };

/// The product of the lesson.
const ID: u64 = 123;
/// How many products the comparisons read and change.
const PRODUCTS: usize = 50;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let assortment = Assortment::with(PRODUCTS, &keys);
    let sample = Product { stock: 500, ..product(ID) };
    let shapes = [Shape::Text, Shape::Hash, Shape::Json];
    ctx.start_clean(&shapes.map(|shape| shape.key(&keys, ID))).await?;
    for shape in shapes {
        ctx.start_clean(&assortment.keys(shape)).await?;
    }

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
    cost::compare(ctx, &assortment, json_commands).await?;
    cost::weigh(ctx, &assortment, json_commands).await?;

    ctx.keys(shapes.iter().take(if json_commands { 3 } else { 2 }).map(|shape| shape.key(&keys, ID)));
    Ok(())
}

async fn store_as_text(ctx: &LessonContext, keys: &Keys, sample: &Product) -> Outcome {
    let mut redis = ctx.redis();
    let key = Shape::Text.key(keys, ID);

    ctx.step(
        "serde_json turns a product into text, and SET stores it. Redis sees only bytes: it neither checks nor \
         understands them. It is the simplest way, and good for what is read and written as a whole.",
    ).await?;
    redis.set(&key, to_json(sample)?).await?;
    let text = redis.get(&key).await?.unwrap_or_default();
    ctx.check_eq("the same product came back", &from_json(&text)?, sample)
}

async fn store_as_hash(ctx: &LessonContext, keys: &Keys, sample: &Product) -> Outcome {
    let mut redis = ctx.redis();
    let key = Shape::Hash.key(keys, ID);

    ctx.step("A Hash has a field for each property. One field can be read, or counted up, without touching the others.").await?;
    Shape::Hash.store(&mut redis, &key, sample).await?;
    let price: i64 = redis::cmd("HGET").arg(&key).arg("price_cents").query_async(&mut redis).await?;
    ctx.check("HGET read the price alone", price == sample.price_cents)?;
    let left: i64 = redis::cmd("HINCRBY").arg(&key).arg("stock").arg(-1).query_async(&mut redis).await?;
    ctx.check("HINCRBY sold one unit, in one step", left == sample.stock - 1)?;

    ctx.step(
        "The price of it: values are strings, so types are yours to restore; and a Hash is flat. The tags, a list, had to \
         become JSON text within their field.",
    ).await?;
    let whole = Shape::Hash.load(&mut redis, &key).await?;
    ctx.check_eq(
        "all fields together are the product again",
        &whole,
        &Product { stock: left, ..sample.clone() },
    )
}

async fn store_as_json(ctx: &LessonContext, keys: &Keys, sample: &Product) -> Outcome {
    let mut redis = ctx.redis();
    let key = Shape::Json.key(keys, ID);

    ctx.step(
        "This server has JSON values. JSON.SET checks the text and keeps it as a tree; a path names a place in it. A path \
         that begins with $ may match several places, so the answer is a list.",
    ).await?;
    Shape::Json.store(&mut redis, &key, sample).await?;
    let price = redis::cmd("JSON.GET").arg(&key).arg("$.price_cents").query_async(&mut redis).await?;
    ctx.check("JSON.GET read the price alone", only_number(price)? == sample.price_cents)?;
    let tag: String = redis::cmd("JSON.GET").arg(&key).arg("$.tags[0]").query_async(&mut redis).await?;
    let tags: Vec<String> =
        serde_json::from_str(&tag).map_err(std::io::Error::other).map_err(redis::RedisError::from)?;
    ctx.check("and the first tag, which a Hash could not", sample.tags.starts_with(&tags))?;

    ctx.step("JSON.NUMINCRBY counts, JSON.SET with a path replaces one place. Each is one step, so nothing can be lost.").await?;
    let left = ChangeField::JsonPath.add(&mut redis, &key, NumberField::Stock, -1).await?;
    redis::cmd("JSON.SET").arg(&key).arg("$.price_cents").arg(1_999).exec_async(&mut redis).await?;
    let whole = Shape::Json.load(&mut redis, &key).await?;
    let meant = Product { price_cents: 1_999, stock: left, ..sample.clone() };
    ctx.check_eq("the product has both changes and is otherwise as before", &whole, &meant)?;

    let broken = redis::cmd("JSON.SET").arg(&key).arg("$.stock").arg("many").exec_async(&mut redis).await;
    ctx.check("text that is not JSON is refused", broken.is_err())
}

async fn hold_a_sale(ctx: &LessonContext, keys: &Keys, sample: &Product, json_commands: bool) -> Outcome {
    ctx.step(
        "Now a busy sale: 8 clients sell 25 units each, one by one, while a ninth changes the price 25 times. With GET and \
         SET every client reads before any of them writes, the worst case; the others run as it happens.",
    ).await?;
    let mut table = Table::new("Lost changes", &["approach", "changes", "kept", "lost", "tried again"]);
    let mut results = Vec::new();
    for sale in Sale::all(json_commands) {
        let Kept { made, kept, retries } =
            sale.hold(ctx.target(), &sale.shape().key(keys, ID), sample).await?;
        let lost = made - kept;
        table = table.row([
            sale.label().to_owned(),
            made.to_string(),
            kept.to_string(),
            lost.to_string(),
            retries.to_string(),
        ]);
        results.push((sale, lost));
    }
    ctx.table(table);
    let (wrong, right): (Vec<_>, Vec<_>) =
        results.into_iter().partition(|(sale, _)| *sale == Sale::RewriteAtWorst);
    ctx.check("GET and SET lost changes", wrong.iter().all(|(_, lost)| *lost > 0))?;
    ctx.check("all others kept every change", right.iter().all(|(_, lost)| *lost == 0))
}
