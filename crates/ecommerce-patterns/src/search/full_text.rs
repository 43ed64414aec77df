//! The same questions for a server that has full-text search: FT.SEARCH, FT.AGGREGATE, FT.SUGGET.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab_runner::{AnyConnection, LessonContext, Need, Outcome};
use patterns::facets::{PageOf, PriceRange, Selection};
use redis::{FromRedisValue, Pipeline, RedisResult, Value};

use super::answer::{Answer, BOUNDS};
use super::keys::Names;
use super::shop::Shop;

const SEARCH: Need =
    Need { command: "FT.SEARCH", available_in: "--server redis-8.2-modules (Redis has it since 8.0)" };
/// What FT.AGGREGATE calls the number of products in a group.
const COUNTED: &str = "products";
/// Far beyond what indexing the products of the lesson takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// On a cluster somebody has to ask every node and put the answers together. Not every server with FT.SEARCH can do that,
/// and none was tried here.
async fn is_there(ctx: &LessonContext) -> bool {
    ctx.can(SEARCH.command).await && !ctx.target().is_cluster()
}

/// Drops the index that an earlier run left; its documents are removed with the other keys.
pub(super) async fn drop(ctx: &LessonContext) -> Outcome {
    if is_there(ctx).await {
        let index = Names::new(ctx.prefix()).index();
        let known: Vec<String> = redis::cmd("FT._LIST").query_async(&mut ctx.untraced("TODO")).await?;
        if known.contains(&index) {
            redis::cmd("FT.DROPINDEX").arg(index).exec_async(&mut ctx.untraced("TODO")).await?;
        }
    }
    Ok(())
}

/// Creates the index and shows what one asks it; false where the server cannot.
pub(super) async fn show(ctx: &LessonContext, shop: &Shop) -> Result<bool, lab_runner::LessonError> {
    ctx.step("Some servers bring an index of their own for all this:").await?;
    if ctx.target().is_cluster() && ctx.can(SEARCH.command).await {
        ctx.step(
            "Left out on a cluster: there a part of the index is on each node, and a search has to ask all of them. Not every \
             server with FT.SEARCH does that, and this lesson has not tried it.",
        ).await?;
        return Ok(false);
    }
    if !is_there(ctx).await {
        ctx.skip(SEARCH);
        return Ok(false);
    }
    let mut redis = ctx.redis();
    create(shop, &mut redis).await?;
    write_documents(shop, &mut ctx.untraced("TODO")).await?;
    ctx.step(
        "It follows every Hash whose name begins so, and does that in the background: who asks too early misses some. FT.INFO \
         tells when it is done.",
    ).await?;
    wait_until_indexed(shop, &mut ctx.untraced("TODO")).await?;

    ctx.step(
        "A query is a text of its own language, so values must be escaped: in a TAG signs such as & or . need a backslash. \
         Spaces need one here too: without it the words count as lower case, and our brands are CASESENSITIVE. \
         '@brand:{Bolt & Co.}' finds nothing, '@brand:{Rolls-Smith}' is a syntax error.",
    ).await?;
    let bolt = shop.products[shop.products.len() - 3].brand.as_str();
    let query = format!("@brand:{{{}}}", escaped(bolt));
    let mut search = redis::cmd("FT.SEARCH");
    search.arg(shop.names.index()).arg(&query).arg(&["SORTBY", "popularity", "DESC", "RETURN", "1", "sku"]);
    let found = listed(search.query_async(&mut redis).await?);
    ctx.check("two products of Bolt & Co.", found.first() == Some(&Value::Int(2)))?;
    let rolls = shop.products[shop.products.len() - 1].brand.as_str();
    let missed = [
        is_missed_unescaped(shop, bolt, &mut redis).await?,
        is_missed_unescaped(shop, rolls, &mut ctx.untraced("TODO")).await?,
    ];
    ctx.check("without backslashes neither brand is found", missed == [true; 2])?;
    let mut group = redis::cmd("FT.AGGREGATE");
    group.arg(shop.names.index()).arg(query);
    group.arg(&["GROUPBY", "1", "@category", "REDUCE", "COUNT", "0", "AS", COUNTED]);
    let counted = groups(&listed(group.query_async(&mut redis).await?), "category")?;
    ctx.check_eq("both are for the kitchen", &counted, &BTreeMap::from([("Kitchen".to_owned(), 2)]))?;

    ctx.step("FT.SUGADD and FT.SUGGET complete what is typed, from a dictionary that is filled by hand as ours was:").await?;
    let dictionary = shop.names.suggestions();
    for (text, score) in [("cafe creme machine", 3), ("cafeteria tray", 2)] {
        redis::cmd("FT.SUGADD").arg(&dictionary).arg(text).arg(score).exec_async(&mut redis).await?;
    }
    let completed: Vec<String> =
        redis::cmd("FT.SUGGET").arg(&dictionary).arg("cafe").query_async(&mut redis).await?;
    ctx.check("both begin with cafe", completed.len() == 2)?;
    ctx.start_clean(&[dictionary]).await?;
    Ok(true)
}

/// Whether a brand that is put into a query as it is finds nothing, or breaks the query: which of the two depends on its
/// signs and on the dialect.
async fn is_missed_unescaped<C: AnyConnection>(
    shop: &Shop,
    brand: &str,
    connection: &mut C,
) -> RedisResult<bool> {
    let mut search = redis::cmd("FT.SEARCH");
    search.arg(shop.names.index()).arg(format!("@brand:{{{brand}}}"));
    match search.query_async::<Value>(connection).await {
        Ok(found) => Ok(listed(found).first() == Some(&Value::Int(0))),
        // "Syntax error at offset …": its first word is the code of the error.
        Err(error) if error.code() == Some("Syntax") => Ok(true),
        Err(error) => Err(error),
    }
}

/// Creates the index and waits until every product is in it; nothing if it is there.
pub(super) async fn index<C: AnyConnection>(shop: &Shop, connection: &mut C) -> RedisResult<()> {
    let known: Vec<String> = redis::cmd("FT._LIST").query_async(connection).await?;
    if !known.contains(&shop.names.index()) {
        create(shop, connection).await?;
        write_documents(shop, connection).await?;
    }
    wait_until_indexed(shop, connection).await
}

/// Creates the index of the lesson.
async fn create<C: AnyConnection>(shop: &Shop, connection: &mut C) -> RedisResult<()> {
    let mut create = redis::cmd("FT.CREATE");
    create.arg(shop.names.index()).arg(&["ON", "HASH", "PREFIX", "1"]).arg(shop.names.document(""));
    create.arg(&["SCHEMA", "sku", "TAG"]);
    for tag in ["brand", "category"] {
        create.arg(tag).arg("TAG").arg("CASESENSITIVE").arg("SORTABLE").arg("UNF");
    }
    for number in ["cents", "stars", "popularity"] {
        create.arg(number).arg("NUMERIC").arg("SORTABLE");
    }
    create.exec_async(connection).await
}

async fn write_documents<C: AnyConnection>(shop: &Shop, connection: &mut C) -> RedisResult<()> {
    let mut pipeline = Pipeline::new();
    for document in shop.documents() {
        let set = pipeline.cmd("HSET").arg(shop.names.document(&document.sku));
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
        let info = listed(redis::cmd("FT.INFO").arg(shop.names.index()).query_async(connection).await?);
        let field = |name: &str| {
            let at =
                info.iter().position(|value| String::from_redis_value_ref(value).is_ok_and(|it| it == name));
            at.and_then(|at| info.get(at + 1)).and_then(|value| f64::from_redis_value_ref(value).ok())
        };
        if field("indexing") == Some(0.0) && field("num_docs") == Some(shop.products.len() as f64) {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            return Err((redis::ErrorKind::Client, "the products were not indexed in time").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Everything in one pipeline: the page, and the counts of each facet without what is ticked in it.
pub(super) async fn answer<C: AnyConnection>(
    shop: &Shop,
    selection: &Selection,
    page: PageOf,
    connection: &mut C,
) -> RedisResult<Answer> {
    let index = shop.names.index();
    let mut pipeline = Pipeline::new();
    pipeline.cmd("FT.SEARCH").arg(&index).arg(query(selection, None)).arg(&["RETURN", "1", "sku"]);
    pipeline.arg(&["SORTBY", "popularity", "DESC", "LIMIT"]).arg(page.offset).arg(page.limit);
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
    let mut prices = vec![0; BOUNDS.len() + 1];
    for (band, count) in groups(&prices_by_band, "band")? {
        if let Some(counted) = band.parse::<usize>().ok().and_then(|band| prices.get_mut(band)) {
            *counted = count;
        }
    }
    let documents = shop.names.document("");
    let mut skus = Vec::new();
    for key in found.iter().skip(1).step_by(2) {
        let key = String::from_redis_value_ref(key)?;
        skus.push(key.strip_prefix(&documents).unwrap_or(&key).to_owned());
    }
    Ok(Answer {
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

/// The band of a price as an expression: how many of the bounds are not above it.
fn band() -> String {
    BOUNDS.map(|bound| format!("(@cents>={bound})")).join("+")
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

/// A selection in the language of queries, without what is ticked in one facet.
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

/// A value of a TAG field as a query takes it: every sign that is no letter or digit behind a backslash.
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
