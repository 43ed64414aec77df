//! Changing a part of a document that others change too: what gets lost, and two ways to keep it.

use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::change_field::{ADD_TO_NUMBER, ADD_TO_NUMBER_SOURCE, ChangeField};
use super::number::NumberField;
use super::shape::{Shape, to_json};
use crate::catalogue::Product;

pub(super) async fn lose_a_change(ctx: &LessonContext, key: &str, sample: &Product) -> Outcome {
    let (mut office, mut checkout) = (ctx.dedicated_redis().await?, ctx.dedicated_redis().await?);

    ctx.step(
        "Back to the string. To change a part of it one reads, changes and writes the whole: break it. The office makes \
         the product 1 cent dearer, and at the same moment the checkout sells one unit. Both read, then both write.",
    ).await?;
    let seen_by_office = Shape::Text.load(&mut office, key).await?;
    let seen_by_checkout = Shape::Text.load(&mut checkout, key).await?;
    Shape::Text.store(&mut office, key, &dearer(&seen_by_office)).await?;
    let sold = Product { stock: seen_by_checkout.stock - 1, ..seen_by_checkout };
    Shape::Text.store(&mut checkout, key, &sold).await?;

    let after = Shape::Text.load(&mut ctx.untraced("TODO"), key).await?;
    let numbers = |product: &Product| [product.price_cents.to_string(), product.stock.to_string()];
    let row = |name: &str, product: &Product| std::iter::once(name.to_owned()).chain(numbers(product));
    let meant = Product { price_cents: sample.price_cents + 1, stock: sample.stock - 1, ..sample.clone() };
    ctx.table(
        Table::new("One of two changes", &["product", "price in cents", "stock"])
            .row(row("before", sample))
            .row(row("as both meant it", &meant))
            .row(row("as it is", &after)),
    );
    ctx.check("the new price is lost", after.price_cents == sample.price_cents && after.stock == meant.stock)
}

pub(super) async fn change_by_script(ctx: &LessonContext, key: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step(
        "Fix it with a script: the server runs it as one step, so nobody writes between its read and its write, and it \
         can check before it writes:",
    ).await?;
    ctx.listing(ADD_TO_NUMBER_SOURCE);
    ctx.step(
        "SCRIPT LOAD stores it once; EVALSHA calls it by its digest, so its text does not travel again.",
    )
    .await?;
    let before = Shape::Text.load(&mut ctx.untraced("TODO"), key).await?.stock;
    ADD_TO_NUMBER.load_async(&mut redis).await?;
    let left = ChangeField::Script.add(&mut redis, key, NumberField::Stock, -1).await?;
    ctx.check("one unit was sold", left == before - 1)?;
    let refused = ChangeField::Script.add(&mut redis, key, NumberField::Stock, -1_000).await.is_err();
    let kept = Shape::Text.load(&mut ctx.untraced("TODO"), key).await?.stock;
    ctx.check("1,000 units more are refused, and nothing was written", refused && kept == left)?;

    ctx.step(
        "Know what Lua does to JSON. Its numbers are doubles and cjson writes 14 digits of them; and it cannot tell an empty \
         list from an empty object, nor keep the order of the fields. This script only reads a document and writes it again:",
    ).await?;
    let rewritten: String = redis::cmd("EVAL")
        .arg("return cjson.encode(cjson.decode(ARGV[1]))")
        .arg(0)
        .arg(r#"{"id":9007199254740993,"tags":[]}"#)
        .query_async(&mut redis)
        .await?;
    let digits_lost = !rewritten.contains("9007199254740993");
    let list_lost = rewritten.contains(r#""tags":{}"#);
    ctx.check("the number lost digits, the empty list became an object", digits_lost && list_lost)?;

    ctx.step(
        "Cents and stock are far below 14 digits, so this script is safe for them; a product without tags would come back \
         as one that serde refuses. Where that can happen, let the script only compare: write the new text if the old \
         one is still there. (Valkey 8.1 and Redis 8.4 have that as SET with IFEQ.)",
    ).await?;
    Ok(())
}

pub(super) async fn change_by_watch(ctx: &LessonContext, key: &str) -> Outcome {
    let mut office = ctx.dedicated_redis().await?;

    ctx.step(
        "Or fix it with WATCH: the office watches the key, reads, and writes within MULTI and EXEC. If somebody else wrote \
         the key in between, EXEC answers nil and nothing happened. WATCH belongs to the connection, so the office \
         needs one of its own, shared with nobody.",
    ).await?;
    redis::cmd("WATCH").arg(key).exec_async(&mut office).await?;
    let seen = Shape::Text.load(&mut office, key).await?;
    ctx.step("At this moment the checkout sells a unit:").await?;
    let left = ChangeField::Script.add(&mut ctx.redis(), key, NumberField::Stock, -1).await?;
    ctx.step("The office does not know, and goes on:").await?;
    let done = write_if_unchanged(&mut office, key, &dearer(&seen)).await?;
    ctx.check("EXEC refused", !done)?;

    ctx.step("So it tries again, from the read on.").await?;
    redis::cmd("WATCH").arg(key).exec_async(&mut office).await?;
    let seen = Shape::Text.load(&mut office, key).await?;
    let done = write_if_unchanged(&mut office, key, &dearer(&seen)).await?;
    let after = Shape::Text.load(&mut ctx.untraced("TODO"), key).await?;
    let both = after.stock == left && after.price_cents == seen.price_cents + 1;
    ctx.check("now both changes are there", done && both)
}

fn dearer(product: &Product) -> Product {
    Product { price_cents: product.price_cents + 1, ..product.clone() }
}

/// True if it was written, false if the watched key was written by somebody else in between.
async fn write_if_unchanged(
    connection: &mut impl ConnectionLike,
    key: &str,
    product: &Product,
) -> RedisResult<bool> {
    let mut transaction = redis::pipe();
    transaction.atomic().set(key, to_json(product)?).ignore();
    Ok(transaction.query_async::<Option<()>>(connection).await?.is_some())
}
