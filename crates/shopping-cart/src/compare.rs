//! What does a cart cost as a Hash, as a Sorted Set, and as a JSON string? `cargo cart compare`

mod approaches;

use lab_runner::concurrent::try_join_all;
use lab_runner::table::{Table, thousands};
use lab_runner::{AnyConnection, BoxError, Comparison, Lesson, LessonContext, Outcome, Source, source};
use redis::{AsyncTypedCommands, RedisResult};

use self::approaches::LINES;
pub use self::approaches::{AddUnit, CartShape, Carts, ReadCart};

/// The lesson.
pub static LESSON: Lesson = Lesson {
    name: "cart-shapes",
    title: "A cart in three shapes",
    question: "Hash, Sorted Set, or JSON string: what does a cart cost in each, and what can each do?",
    commands: &["SET", "GET", "HSET", "HINCRBY", "HGETALL", "ZADD", "ZINCRBY", "ZRANGE", "MEMORY USAGE"],
    needs: &[],
    sources: &[COMPARE, APPROACHES],
    rule: "Store a cart as a Hash, unless you want Redis to rank or count its lines by units.",
    takeaways: &[
        "As a JSON string, a cart takes the most memory, and adding a unit takes two round trips that are not atomic.",
        "HINCRBY and ZINCRBY change one line in one round trip, however many lines there are.",
        "None of the three checks a limit by itself: the cart's script does, in one round trip.",
    ],
    quiz: &[96],
    run: |ctx| Box::pin(run(ctx)),
};

const COMPARE: Source = source!("src/compare.rs");
const APPROACHES: Source = source!("src/compare/approaches.rs");

/// How many operations one run performs, on a fast network.
const OPERATIONS: usize = 100;
/// The runs of each approach: one to verify it, and three at least to time it.
const RUNS: f64 = 4.0;

async fn run(ctx: &mut LessonContext) -> Outcome {
    Ok(compare(ctx).await?)
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    let carts = Carts::new(ctx.prefix(), OPERATIONS)?;
    ctx.start_clean(&carts.keys()).await?;
    store_and_read(ctx, &carts).await?;
    time_adding(ctx).await?;
    time_reading(ctx).await?;
    measure_memory(ctx, &carts).await?;

    ctx.step("What each shape can do without a script:").await?;
    ctx.table(
        Table::new("What each can do", &["shape", "atomic without a script", "what can expire"])
            .row(["JSON string", "nothing but replacing it all", "the cart"])
            .row(["Hash", "each line (HINCRBY)", "the cart, and each line where the server has HPEXPIRE"])
            .row(["Sorted Set", "each line (ZINCRBY)", "the cart, and lines by a second Sorted Set"]),
    );
    ctx.untraced("UNLINK removes the three carts.").unlink(carts.keys()).await?;
    Ok(())
}

async fn store_and_read(ctx: &LessonContext, carts: &Carts) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let Carts { json, hash, sorted_set, .. } = carts;

    ctx.step("A cart maps SKUs to units. These are two mice and a keyboard in three shapes.").await?;
    redis.set(json, r#"{"sku123":2,"sku456":1}"#).await?;
    redis.hset(hash, "sku123", 2).await?;
    redis.hset(hash, "sku456", 1).await?;
    redis.zadd_multiple(sorted_set, &[(2, "sku123"), (1, "sku456")]).await?;

    ctx.step(
        "Now one mouse more. As JSON, the client reads the document, changes it, and writes it back. If another client does \
         the same in between, one of the two changes is lost.",
    )
    .await?;
    redis.get(json).await?;
    redis.set(json, r#"{"sku123":3,"sku456":1}"#).await?;
    redis.hincr(hash, "sku123", 1).await?;
    redis.zincr(sorted_set, "sku123", 1).await?;

    let guess = ctx
        .step("Each shape is read with one command. There are three mice (sku123) and one keyboard (sku456).")
        .predict("Which SKU does the Sorted Set return first?", ["sku123", "sku456"])
        .await?;
    let document = redis.get(json).await?;
    let fields = redis.hgetall(hash).await?;
    let members = redis.zrange_withscores(sorted_set, 0, -1).await?;
    guess.answer(members.first().map_or("", |(sku, _)| sku))?;
    ctx.say(
        "A Sorted Set is read from the lowest score to the highest. With REV, the most units come first.",
    );
    let in_document = document.is_some_and(|document| document.contains(r#""sku123":3"#));
    let in_hash = fields.get("sku123").is_some_and(|units| units == "3");
    let in_sorted_set = members.contains(&("sku123".to_owned(), 3.0));
    ctx.check("each has three mice", in_document && in_hash && in_sorted_set)?;
    Ok(())
}

async fn time_adding(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "The same on a cart with {LINES} lines, timed. Before that, each shape ran once to verify that all three leave the \
         same cart."
    ))
    .await?;
    ctx.code(APPROACHES.function("add_unit"));
    // One operation takes two round trips as JSON and one in each other shape.
    let operations = ctx.fit("additions", OPERATIONS, 1, RUNS * 4.0);
    let input = Carts::new(ctx.prefix(), operations)?;
    let title = format!("Adding one unit to a line of a cart with {LINES} lines");
    let approaches = CartShape::ALL.map(AddUnit);
    ctx.compare(Comparison { title: &title, approaches: &approaches, input: &input }).await?;
    Ok(())
}

async fn time_reading(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step("Reading takes one round trip in each shape. A Hash and a Sorted Set send each SKU and its units as values of their own, \
         and JSON sends one text.").await?;
    ctx.code(APPROACHES.function("read_cart"));
    let operations = ctx.fit("reads", OPERATIONS, 1, RUNS * 3.0);
    let input = Carts::new(ctx.prefix(), operations)?;
    let title = format!("Reading a cart with {LINES} lines");
    let approaches = CartShape::ALL.map(ReadCart);
    ctx.compare(Comparison { title: &title, approaches: &approaches, input: &input }).await?;
    Ok(())
}

async fn measure_memory(ctx: &LessonContext, carts: &Carts) -> Result<(), BoxError> {
    let mut redis = ctx.redis();

    let guess = ctx
        .step(format!("MEMORY USAGE counts the bytes of a key. The carts have {LINES} lines now."))
        .predict("Which shape takes the fewest bytes?", CartShape::ALL.map(CartShape::label))
        .await?;
    ctx.code(COMPARE.function("memory_usage"));
    let mut sizes = Vec::new();
    for shape in CartShape::ALL {
        sizes.push((memory_usage(carts.key(shape), &mut redis).await?, shape.label()));
    }
    guess.answer(sizes.into_iter().min().map_or("", |(_, smallest)| smallest))?;
    let mut redis = ctx.untraced(
        "UNLINK, SET, HMSET, and ZADD fill carts of 1, 10, and 100 lines, and MEMORY USAGE measures them.",
    );
    let mut columns = Vec::new();
    for lines in [1, 10, 100] {
        carts.fill(lines, &mut redis).await?;
        let measured = CartShape::ALL.map(|shape| {
            let mut redis = redis.clone();
            async move { memory_usage(carts.key(shape), &mut redis).await }
        });
        columns.push(try_join_all(measured).await?);
    }
    let header = ["shape", "1", "10", "100"];
    let mut table = Table::new("Bytes in memory, by lines in the cart", &header);
    for (row, shape) in CartShape::ALL.into_iter().enumerate() {
        let bytes = columns.iter().map(|column| column[row]);
        let cells = bytes.map(|bytes| bytes.map_or_else(|| "-".to_owned(), |bytes| thousands(bytes.into())));
        table = table.labeled(shape.label(), cells);
    }
    ctx.table(table);
    if let [.., Some(json), Some(hash), Some(sorted_set)] = columns.concat()[..] {
        ctx.check("with 100 lines, JSON takes the most memory", json > hash && json > sorted_set)?;
    }
    Ok(())
}

async fn memory_usage<C: AnyConnection>(key: &str, redis: &mut C) -> RedisResult<Option<u32>> {
    let mut command = redis::cmd("MEMORY");
    command.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
    command.query_async(redis).await
}
