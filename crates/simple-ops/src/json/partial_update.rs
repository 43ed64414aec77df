//! Changing a part of a document that other clients change, too: what gets lost, and two ways to keep it.

use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};
use redis::{AsyncTypedCommands, RedisResult};

use super::change_field::ADD_TO_NUMBER;
use super::shape::{from_json, to_json};
use crate::catalog::Product;

pub(super) async fn lose_a_change(ctx: &LessonContext, key: &str, sample: &Product) -> Outcome {
    let [mut office, mut checkout] = ctx.dedicated().await?;

    let guess = ctx
        .step(
            "Back to the string. To change a part of it, you read, change, and write the whole. The office raises the price by 1 \
             cent, and at the same moment the checkout sells one unit. Both read, then both write.",
        )
        .predict("Which changes are left?", ["both", "the new price", "the sold unit", "none"])
        .await?;
    let seen_by_office = read(&mut office, key).await?;
    let seen_by_checkout = read(&mut checkout, key).await?;
    office.set(key, to_json(&with_higher_price(&seen_by_office))?).await?;
    checkout.set(key, to_json(&with_one_sold(&seen_by_checkout))?).await?;
    let after = read(&mut office, key).await?;
    let expected = with_one_sold(&with_higher_price(sample));
    guess.answer(match (after.price_cents == expected.price_cents, after.stock == expected.stock) {
        (true, true) => "both",
        (true, false) => "the new price",
        (false, true) => "the sold unit",
        (false, false) => "none",
    })?;
    let row = |name: &str, product: &Product| {
        [name.to_owned(), product.price_cents.to_string(), product.stock.to_string()]
    };
    ctx.table(
        Table::new("One of two changes", &["product", "price in cents", "stock"])
            .row(row("before", sample))
            .row(row("with both changes", &expected))
            .row(row("as it is", &after)),
    );
    ctx.check(
        "the new price is lost",
        after.price_cents == sample.price_cents && after.stock == expected.stock,
    )
}

pub(super) async fn change_by_script(ctx: &LessonContext, key: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step(
        "A script fixes it: a short Lua program that the client sends and the server runs. KEYS holds its keys, and ARGV its other \
         arguments. It is one step, so no other client writes between its read and its write. And it can check \
         before it writes.",
    )
    .await?;
    ctx.script(&ADD_TO_NUMBER.shown()).await?;

    ctx.step("EVALSHA calls the script by its hash, so its text does not travel again.").await?;
    let before = read(&mut redis, key).await?;
    let left: i64 = ADD_TO_NUMBER.key(key).arg("stock").arg(-1).invoke_async(&mut redis).await?;
    ctx.check("one unit was sold", left == before.stock - 1)?;

    ctx.step("It refuses to sell more than there is, and then writes nothing.").await?;
    let refused =
        ADD_TO_NUMBER.key(key).arg("stock").arg(-1_000).invoke_async::<i64>(&mut redis).await.is_err();
    let kept = read(&mut redis, key).await?;
    ctx.check("selling 1,000 more units was refused", refused && kept.stock == left)?;

    let guess = ctx
        .step("Know what Lua does to JSON. This script only reads a document and writes it again.")
        .predict("What comes back as it was?", ["all of it", "only the ID", "only the tags", "neither"])
        .await?;
    let document = r#"{"id":9007199254740993,"tags":[]}"#;
    let script = "return cjson.encode(cjson.decode(ARGV[1]))";
    let rewritten: String =
        redis::cmd("EVAL").arg(script).arg(0).arg(document).query_async(&mut redis).await?;
    let digits_lost = !rewritten.contains("9007199254740993");
    let list_lost = rewritten.contains(r#""tags":{}"#);
    guess.answer(match (digits_lost, list_lost) {
        (false, false) => "all of it",
        (false, true) => "only the ID",
        (true, false) => "only the tags",
        (true, true) => "neither",
    })?;
    ctx.say(
        "Lua's numbers are doubles, and cjson writes 14 digits of them. And Lua can't tell an empty list from an empty object.",
    );
    ctx.check("the number lost digits, and the empty list became an object", digits_lost && list_lost)?;
    ctx.say(
        "Cents and stock are far below 14 digits, so the script is safe for them. If a list can be empty, let the script only compare: \
         write the new text if the old one is still there. Valkey 8.1 and Redis 8.4 have that as SET with IFEQ.",
    );
    Ok(())
}

pub(super) async fn change_by_watch(ctx: &LessonContext, key: &str) -> Outcome {
    let (mut office, mut checkout) = (ctx.dedicated_redis().await?, ctx.redis());

    let guess = ctx
        .step(
            "WATCH fixes it, too. The office watches the key, reads it, and writes it between MULTI and EXEC. In the meantime, the \
             checkout sells a unit. WATCH belongs to the connection, so the office needs its own.",
        )
        .predict("What does EXEC reply?", ["OK", "nil", "an error"])
        .await?;
    redis::cmd("WATCH").arg(key).exec_async(&mut office).await?;
    let seen = read(&mut office, key).await?;
    let left: i64 = ADD_TO_NUMBER.key(key).arg("stock").arg(-1).invoke_async(&mut checkout).await?;
    let changed = to_json(&with_higher_price(&seen))?;
    let transaction = redis::pipe().atomic().set(key, changed).ignore().to_owned();
    let done: Option<()> = transaction.query_async(&mut office).await?;
    guess.answer(if done.is_some() { "OK" } else { "nil" })?;
    ctx.say("The key has changed since WATCH, so EXEC answers nil and writes nothing.");
    ctx.check("EXEC wrote nothing", done.is_none())?;

    ctx.step("So the office tries again, beginning with the read.").await?;
    redis::cmd("WATCH").arg(key).exec_async(&mut office).await?;
    let seen = read(&mut office, key).await?;
    let changed = to_json(&with_higher_price(&seen))?;
    let transaction = redis::pipe().atomic().set(key, changed).ignore().to_owned();
    let done: Option<()> = transaction.query_async(&mut office).await?;
    let after = read(&mut office, key).await?;
    let both = after.stock == left && after.price_cents == seen.price_cents + 1;
    ctx.check("now both changes are there", done.is_some() && both)
}

async fn read(redis: &mut impl lab_runner::AnyConnection, key: &str) -> RedisResult<Product> {
    from_json(&redis.get(key).await?.unwrap_or_default())
}

fn with_higher_price(product: &Product) -> Product {
    Product { price_cents: product.price_cents + 1, ..product.clone() }
}

fn with_one_sold(product: &Product) -> Product {
    Product { stock: product.stock - 1, ..product.clone() }
}
