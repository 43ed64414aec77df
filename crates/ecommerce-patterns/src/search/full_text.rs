//! The same with full-text search: FT.SEARCH, FT.AGGREGATE, FT.SUGGET.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab_runner::{AnyConnection, BoxError, LessonContext, Need, Source, source};
use patterns::facets::{PageOf, PriceRange, Selection};
use redis::{FromRedisValue, Pipeline, RedisResult, Value};

use super::result_page::{PRICE_BANDS, ResultPage};
use super::shop::Shop;

static SOURCE: Source = source!("src/search/full_text.rs");

const SEARCH: Need =
    Need { command: "FT.SEARCH", available_in: "--server redis-8.2-modules (Redis has it since 8.0)" };
/// What FT.AGGREGATE calls the number of products in a group.
const COUNTED: &str = "products";
/// Longer than indexing takes.
const INDEX_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether the lesson can use it. On a cluster, a search has to ask every node. Not every server with FT.SEARCH does that, and none
/// was tried here.
async fn is_available(ctx: &LessonContext) -> bool {
    ctx.can(SEARCH.command).await && !ctx.target().is_cluster()
}

/// Drops the index that an earlier run left. Its documents are removed with the other keys.
pub(super) async fn drop_index(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    if is_available(ctx).await {
        let mut redis =
            ctx.untraced("FT._LIST tells whether an earlier run left the index, and FT.DROPINDEX drops it.");
        let indexes: Vec<String> = redis::cmd("FT._LIST").query_async(&mut redis).await?;
        if indexes.contains(&shop.key("index")) {
            redis::cmd("FT.DROPINDEX").arg(shop.key("index")).exec_async(&mut redis).await?;
        }
    }
    Ok(())
}

/// Creates the index and searches it. `false` if the server cannot.
pub(super) async fn show(ctx: &LessonContext, shop: &Shop) -> Result<bool, BoxError> {
    if ctx.target().is_cluster() && ctx.can(SEARCH.command).await {
        ctx.step("This server has full-text search. The lesson leaves it out on a cluster, where a search has to ask every node.")
            .await?;
        return Ok(false);
    }
    ctx.step(
        "Some servers have an index of their own for all this. It follows every Hash whose key begins with its prefix, in the \
         background. If you search too early, you miss products.",
    )
    .await?;
    if !is_available(ctx).await {
        ctx.skip(SEARCH);
        return Ok(false);
    }
    ctx.code(SOURCE.function("create_index"));
    let (mut redis, mut silent) = (ctx.redis(), ctx.target().connection());
    create_index(shop, &mut redis).await?;
    ctx.announce(
        "One client: HSET in a pipeline writes the products, and FT.INFO tells when they are indexed.",
    );
    write_documents(shop, &mut silent).await?;
    wait_until_indexed(shop, &mut silent).await?;

    let index = shop.key("index");
    ctx.step(
        "A query is text, so escape the values: in a TAG, characters such as & or . need a backslash. A space needs one, too, because \
         our brands are CASESENSITIVE. Without backslashes, '@brand:{Bolt & Co.}' finds nothing:",
    )
    .await?;
    let query = format!("@brand:{{{}}}", escaped("Bolt & Co."));
    let mut search = redis::cmd("FT.SEARCH");
    search.arg(&index).arg(&query).arg(&["SORTBY", "popularity", "DESC", "RETURN", "1", "sku"]);
    let found: Value = search.query_async(&mut redis).await?;
    let missed = finds_nothing_unescaped(shop, "Bolt & Co.", &mut redis).await?;
    ctx.check("escaped, it finds two products of Bolt & Co.", listed(found).first() == Some(&Value::Int(2)))?;
    ctx.announce(
        "FT.SEARCH of another brand, Rolls-Smith, without a backslash: a syntax error, or nothing found.",
    );
    let other_missed = finds_nothing_unescaped(shop, "Rolls-Smith", &mut silent).await?;
    ctx.check("without backslashes neither brand is found", missed && other_missed)?;

    ctx.step("FT.AGGREGATE counts facets:").await?;
    let mut aggregate = redis::cmd("FT.AGGREGATE");
    aggregate.arg(&index).arg(&query);
    aggregate.arg(&["GROUPBY", "1", "@category", "REDUCE", "COUNT", "0", "AS", COUNTED]);
    let counts: Value = aggregate.query_async(&mut redis).await?;
    let counts = groups(&listed(counts), "category")?;
    ctx.check_eq("both are for the kitchen", &counts, &BTreeMap::from([("Kitchen".to_owned(), 2)]))?;

    let dictionary = shop.key("suggestions");
    ctx.step("FT.SUGADD fills a dictionary, and FT.SUGGET completes a prefix:").await?;
    let mut add = redis::cmd("FT.SUGADD");
    add.arg(&dictionary).arg("cafe creme machine").arg(3).exec_async(&mut redis).await?;
    let mut suggest = redis::cmd("FT.SUGGET");
    let found: Vec<String> = suggest.arg(&dictionary).arg("cafe").query_async(&mut redis).await?;
    ctx.check("the machine", found == ["cafe creme machine"])?;
    ctx.start_clean(&[dictionary]).await?;
    Ok(true)
}

/// Whether a brand finds nothing if it is put into a query as it is. Depending on its characters and on the dialect, that may also
/// be a syntax error.
async fn finds_nothing_unescaped<C: AnyConnection>(
    shop: &Shop,
    brand: &str,
    redis: &mut C,
) -> RedisResult<bool> {
    let mut search = redis::cmd("FT.SEARCH");
    search.arg(shop.key("index")).arg(format!("@brand:{{{brand}}}"));
    match search.query_async::<Value>(redis).await {
        Ok(found) => Ok(listed(found).first() == Some(&Value::Int(0))),
        // "Syntax error at offset …": its first word is the code of the error.
        Err(error) if error.code() == Some("Syntax") => Ok(true),
        Err(error) => Err(error),
    }
}

/// Creates the index, if it is not there, and waits until every product is in it.
pub(super) async fn index<C: AnyConnection>(shop: &Shop, redis: &mut C) -> RedisResult<()> {
    let indexes: Vec<String> = redis::cmd("FT._LIST").query_async(redis).await?;
    if !indexes.contains(&shop.key("index")) {
        create_index(shop, redis).await?;
        write_documents(shop, redis).await?;
    }
    wait_until_indexed(shop, redis).await
}

async fn create_index<C: AnyConnection>(shop: &Shop, redis: &mut C) -> RedisResult<()> {
    let mut create = redis::cmd("FT.CREATE");
    create.arg(shop.key("index"));
    create.arg(&["ON", "HASH", "PREFIX", "1"]).arg(shop.key("product:"));
    create.arg(&["SCHEMA", "sku", "TAG"]);
    for tag in ["brand", "category"] {
        create.arg(tag).arg(&["TAG", "CASESENSITIVE", "SORTABLE", "UNF"]);
    }
    for number in ["cents", "stars", "popularity"] {
        create.arg(number).arg(&["NUMERIC", "SORTABLE"]);
    }
    create.exec_async(redis).await
}

async fn write_documents<C: AnyConnection>(shop: &Shop, connection: &mut C) -> RedisResult<()> {
    let mut pipeline = Pipeline::new();
    for document in shop.documents() {
        let set = pipeline.cmd("HSET").arg(shop.key(format_args!("product:{}", document.sku)));
        set.arg("sku").arg(document.sku).arg("brand").arg(document.brand);
        set.arg("category").arg(document.category).arg("cents").arg(document.cents);
        set.arg("stars").arg(document.stars).arg("popularity").arg(document.popularity).ignore();
    }
    pipeline.exec_async(connection).await
}

/// Waits until every product is indexed.
async fn wait_until_indexed<C: AnyConnection>(shop: &Shop, connection: &mut C) -> RedisResult<()> {
    let start = Instant::now();
    loop {
        let info = listed(redis::cmd("FT.INFO").arg(shop.key("index")).query_async(connection).await?);
        let field = |name: &str| {
            let at =
                info.iter().position(|value| String::from_redis_value_ref(value).is_ok_and(|it| it == name));
            at.and_then(|at| info.get(at + 1)).and_then(|value| f64::from_redis_value_ref(value).ok())
        };
        if field("indexing") == Some(0.0) && field("num_docs") == Some(shop.products.len() as f64) {
            return Ok(());
        }
        if start.elapsed() > INDEX_TIMEOUT {
            return Err((redis::ErrorKind::Client, "the products were not indexed in time").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All in one pipeline: the page, and the counts of each facet without its own selection.
pub(super) async fn page<C: AnyConnection>(
    shop: &Shop,
    selection: &Selection,
    of: PageOf,
    connection: &mut C,
) -> RedisResult<ResultPage> {
    let index = shop.key("index");
    let mut pipeline = Pipeline::new();
    pipeline.cmd("FT.SEARCH").arg(&index).arg(query(selection, None)).arg(&["RETURN", "1", "sku"]);
    pipeline.arg(&["SORTBY", "popularity", "DESC", "LIMIT"]).arg(of.offset).arg(of.limit);
    for facet in ["brand", "category", "stars"] {
        pipeline.cmd("FT.AGGREGATE").arg(&index).arg(query(selection, Some(facet))).arg("GROUPBY").arg(1);
        pipeline.arg(format!("@{facet}")).arg(&["REDUCE", "COUNT", "0", "AS", COUNTED, "LIMIT", "0", "1000"]);
    }
    pipeline.cmd("FT.AGGREGATE").arg(&index).arg(query(selection, Some("cents")));
    pipeline.arg(&["APPLY", &band(), "AS", "band", "GROUPBY", "1", "@band"]);
    pipeline.arg(&["REDUCE", "COUNT", "0", "AS", COUNTED, "LIMIT", "0", "1000"]);

    let mut replies = pipeline.query_async::<Vec<Value>>(connection).await?.into_iter().map(listed);
    let mut next = || replies.next().unwrap_or_default();
    let [found, brands, categories, stars, prices_by_band] = [next(), next(), next(), next(), next()];
    let mut prices = vec![0; PRICE_BANDS.len() + 1];
    for (band, count) in groups(&prices_by_band, "band")? {
        if let Some(counted) = band.parse::<usize>().ok().and_then(|band| prices.get_mut(band)) {
            *counted = count;
        }
    }
    let documents = shop.key("product:");
    let mut skus = Vec::new();
    for key in found.iter().skip(1).step_by(2) {
        let key = String::from_redis_value_ref(key)?;
        skus.push(key.strip_prefix(&documents).unwrap_or(&key).to_owned());
    }
    Ok(ResultPage {
        total: found.first().map_or(Ok(0), u64::from_redis_value_ref)?,
        skus,
        brands: groups(&brands, "brand")?,
        categories: groups(&categories, "category")?,
        prices,
        ratings: groups(&stars, "stars")?
            .into_iter()
            .filter_map(|(stars, count)| Some((stars.parse().ok()?, count)))
            .collect(),
    })
}

/// The price band as an expression: how many bands begin at or below the price.
fn band() -> String {
    PRICE_BANDS.map(|bound| format!("(@cents>={bound})")).join("+")
}

/// A reply as RESP2 has it: the number of results, then each of them. Over RESP3, it is a map.
fn listed(reply: Value) -> Vec<Value> {
    let fields = match reply {
        Value::Array(values) => return values,
        Value::Map(fields) => fields,
        other => return vec![other],
    };
    let field = |fields: &[(Value, Value)], name: &str| {
        let is_it = |key: &Value| String::from_redis_value_ref(key).is_ok_and(|key| key == name);
        fields.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value.clone())
    };
    let Some(Value::Array(results)) = field(&fields, "results") else {
        return fields.into_iter().flat_map(|(key, value)| [key, value]).collect();
    };
    let mut list = vec![field(&fields, "total_results").unwrap_or(Value::Nil)];
    for result in results {
        if let Value::Map(result) = result {
            list.extend(field(&result, "id"));
            list.extend(field(&result, "extra_attributes"));
        }
    }
    list
}

/// What FT.AGGREGATE counted: the number of groups, then each as names and values.
fn groups(reply: &[Value], by: &str) -> RedisResult<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for group in reply.iter().skip(1) {
        let mut fields = BTreeMap::<String, String>::from_redis_value_ref(group)?;
        if let (Some(value), Some(count)) = (fields.remove(by), fields.remove(COUNTED)) {
            counts.insert(value, count.parse().unwrap_or(0));
        }
    }
    Ok(counts)
}

/// A selection in the language of queries, without that of one facet.
fn query(selection: &Selection, without: Option<&str>) -> String {
    let mut parts = Vec::new();
    for (field, labels) in [("brand", &selection.brands), ("category", &selection.categories)] {
        if without != Some(field) && !labels.is_empty() {
            let values: Vec<String> = labels.iter().map(|label| escaped(label)).collect();
            parts.push(format!("@{field}:{{{}}}", values.join("|")));
        }
    }
    let range = |field: &str, ranges: &[(i64, i64)]| {
        let ranges: Vec<String> = ranges.iter().map(|(from, to)| format!("@{field}:[{from} {to}]")).collect();
        format!("({})", ranges.join("|"))
    };
    if without != Some("cents") && !selection.prices.is_empty() {
        let ends = |it: &PriceRange| (it.from.get(), it.to.get());
        parts.push(range("cents", &selection.prices.iter().map(ends).collect::<Vec<_>>()));
    }
    if without != Some("stars") && !selection.ratings.is_empty() {
        let ends = |stars: i64| (stars, stars);
        let stars: Vec<(i64, i64)> = selection.ratings.iter().map(|stars| ends((*stars).into())).collect();
        parts.push(range("stars", &stars));
    }
    if parts.is_empty() { "*".to_owned() } else { parts.join(" ") }
}

/// A value of a TAG field as a query takes it: a backslash before every character that is no letter or digit.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() && character != '_' {
            text.push('\\');
        }
        text.push(character);
    }
    text
}
