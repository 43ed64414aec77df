//! How do customers find a product while they type, and by brand, category, and price?
//!
//! `cargo ecommerce search`

mod complete_by;
mod filter_by;
mod full_text;
mod result_page;
mod shop;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use lab_runner::concurrent::concurrently;
use lab_runner::pattern_scripts::lua;
use lab_runner::table::{Table, thousands};
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, outcome, source};
use patterns::autocomplete::{self, MAX_HITS, MAX_LISTED_CHARACTERS, normalized, terms};
use patterns::facets::{self, FacetPage, Order, PageOf, PriceRange, Product, Selection};
use patterns::money::Cents;
use redis::{AsyncTypedCommands, ErrorKind, Pipeline, ServerErrorKind};

pub use self::complete_by::{CompleteBy, PrefixQueries};
use self::filter_by::filter_documents;
pub use self::filter_by::{FilterBy, FilterQueries};
pub use self::result_page::ResultPage;
use self::shop::Document;
pub use self::shop::Shop;
use crate::data::{Data, Size};

/// Autocomplete and facets.
pub static LESSON: Lesson = Lesson {
    name: "search",
    title: "Search",
    question: "How do customers find a product while they type, and by brand, category, and price?",
    #[rustfmt::skip]
    commands: &[
        "ZADD", "ZRANGE", "EVALSHA", "SADD", "SREM", "SINTER", "ZCOUNT", "SETBIT", "BITOP", "BITCOUNT",
        "FT.CREATE", "FT.SEARCH", "FT.AGGREGATE", "FT.SUGGET",
    ],
    needs: &[],
    sources: &[
        source!("src/search.rs"),
        source!("src/search/shop.rs"),
        source!("src/search/filter_by.rs"),
        source!("src/search/complete_by.rs"),
        source!("src/search/full_text.rs"),
    ],
    rule: "Do the work when a product changes, which is rare, so that little is left to do when a customer searches.",
    takeaways: &[
        "Members with the same score are sorted by their bytes, so a prefix is one range of a Sorted Set.",
        "Keep a record of what you put into an index. Without it, nothing says what to remove.",
        "A bit for each product: BITOP combines thousands of them in a microsecond, and BITCOUNT counts them.",
    ],
    quiz: &[102, 116, 122],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Products only: this lesson needs no customers.
const SIZE: Size = Size { customers: 0, orders: 0, ..Size::LESSON };
const SEED: u64 = 7;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let shop = Shop::new(&Data::new(SEED, SIZE), ctx.prefix());
    let pattern_keys = shop.pattern_keys(&ctx.target().connection())?;
    full_text::drop_index(ctx, &shop).await?;
    ctx.start_clean(&[pattern_keys.clone(), shop.own_keys()].concat()).await?;

    find_words(ctx, &shop).await?;
    suggest(ctx, &shop).await?;
    keep_stale_terms(ctx, &shop).await?;
    replace_terms(ctx, &shop).await?;
    filter_with_sets(ctx, &shop).await?;
    combine_bits(ctx, &shop).await?;
    show_a_page(ctx, &shop).await?;
    move_a_product(ctx, &shop).await?;
    let full_text = full_text::show(ctx, &shop).await?;
    compare(ctx, &shop, full_text).await?;

    let brand = shop.brand_key("Bolt & Co.");
    ctx.keys(pattern_keys.into_iter().chain([brand, shop.tagged_key("prices"), shop.key("naive_terms")]));
    Ok(())
}

async fn find_words(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    let (mut redis, words) = (ctx.redis(), shop.key("words"));

    let guess = ctx
        .step(
            "A customer types \"caf\". Members of a Sorted Set with the same score are in the order of their bytes, like words in a \
             dictionary. So all that begin with \"caf\" are side by side: from \"caf\" to below \"caf\" and a byte 255, which no \
             UTF-8 text has. The second range ends at \"cafz\" instead.",
        )
        .predict("How many words does the range to \"cafz\" find?", ["1", "2", "3"])
        .await?;
    let members = ["cable", "cafe", "caffè", "cafés", "cage"].map(|word| (0, word));
    redis.zadd_multiple(&words, &members).await?;
    let mut range = redis::cmd("ZRANGE");
    range.arg(&words).arg("[caf").arg(b"(caf\xff").arg("BYLEX");
    let found: Vec<String> = range.query_async(&mut redis).await?;
    let mut to_z = redis::cmd("ZRANGE");
    to_z.arg(&words).arg("[caf").arg("[cafz").arg("BYLEX");
    let found_to_z: Vec<String> = to_z.query_async(&mut redis).await?;
    guess.answer(found_to_z.len())?;
    ctx.say("In UTF-8, letters outside the English alphabet begin with a byte above \"z\", so \"cafés\" comes after \"cafz\".");
    ctx.check_eq("byte 255 finds all three, \"z\" only two", &[found.len(), found_to_z.len()], &[3, 2])?;

    ctx.say(format!(
        "What if a customer types CAFE for \"Café\"? The pattern normalizes both the name and what is typed: NFKD, lower case, without \
         accents, quotes, and invisible characters. And each word should be found, so a name has several terms. “Café”  CRÈME has \
         these: {}.",
        terms("“Café”  CRÈME").join(" | "),
    ));
    let spellings = ["CAFÉ", "cafe\u{301}", " Café ", "“Café”"];
    ctx.check("every spelling is the same", spellings.iter().all(|spelling| normalized(spelling) == "cafe"))?;
    Ok(())
}

async fn suggest(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    let silent = ctx.untraced(
        "500 in flight over one connection: EVALSHA puts the names of all products; the first time, EVAL.",
    );
    shop.put_names(&silent).await?;
    let autocomplete = shop.autocomplete(&ctx.redis());

    ctx.step(format!(
        "Our shop has {} products. A dictionary has \"Coffee\" before \"Compact\", but customers want the most popular first. So the \
         pattern stores a line for each prefix of a term, of up to {MAX_LISTED_CHARACTERS} characters: the prefix, a line break, and the \
         rank. The rank is 2^64 - 1 - popularity in hexadecimal digits, so the most popular product comes first. A suggestion is one \
         short ZRANGE:",
        thousands(shop.products.len() as f64),
    ))
    .await?;
    let found = autocomplete.suggest("coff", 3).await?;
    ctx.check("three products with a word that begins with \"coff\"", found.len() == 3)?;

    ctx.announce("ZRANGE for each row of the table.");
    let autocomplete = shop.autocomplete(&silent);
    let mut table = Table::new("Letter by letter", &["typed", "suggested", "popularity"]);
    let mut right = true;
    for typed in ["c", "cof", "CAFÉ cr", "pinata", "☕"] {
        let found = autocomplete.suggest(typed, 3).await?;
        right &= found.iter().map(|it| it.id.as_str()).eq(shop.expected_suggestions(typed, 3));
        for (number, suggestion) in found.into_iter().enumerate() {
            let typed = if number == 0 { typed } else { "" };
            let popularity = thousands(suggestion.popularity as f64);
            table = table.row([typed.to_owned(), suggestion.name, popularity]);
        }
    }
    ctx.table(table);
    ctx.check("each row is what a loop over all names finds, the most popular first", right)?;
    Ok(())
}

/// Products that are removed, and products that get another name.
const REMOVED: usize = 40;
const RENAMED: usize = 60;

/// The new name of a product: `None` if it is removed.
fn new_name(number: usize, product: &Product) -> Option<String> {
    match number {
        0..REMOVED => None,
        _ if number < REMOVED + RENAMED => Some(format!("Renewed {}", product.name)),
        _ => Some(product.name.clone()),
    }
}

/// The members of the naive index for one name: term, name, and ID.
fn entries(product: &Product, name: &str) -> Vec<String> {
    terms(name).into_iter().map(|term| format!("{term}\n{name}\n{}", product.id)).collect()
}

async fn keep_stale_terms(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    let (mut redis, naive) = (ctx.redis(), shop.key("naive_terms"));
    let mut silent = ctx.untraced("One client: ZADD in a pipeline adds the terms of all names to another index, and after the change the new terms.");
    let mut add = Pipeline::new();
    for (number, product) in shop.products.iter().enumerate() {
        let names = [Some(product.name.clone()), new_name(number, product)];
        for entry in names.iter().flatten().flat_map(|name| entries(product, name)) {
            add.zadd(&naive, entry, 0).ignore();
        }
    }
    add.exec_async(&mut silent).await?;

    let gone = normalized(&shop.products[0].name);
    let guess = ctx
        .step(format!(
            "Products change. {RENAMED} get another name, and {REMOVED} leave the catalog. The obvious index is a Sorted Set of all \
             terms, and adds those of each new name. A customer types the name of a product that has left:"
        ))
        .predict("What is suggested?", ["nothing", "the product that left"])
        .await?;
    let mut range = redis::cmd("ZRANGE");
    range.arg(&naive).arg(format!("[{gone}")).arg([b"(", gone.as_bytes(), b"\xff"].concat()).arg("BYLEX");
    let found: Vec<String> = range.query_async(&mut redis).await?;
    guess.answer(if found.is_empty() { "nothing" } else { "the product that left" })?;
    ctx.say("Nothing says which terms to remove.");
    ctx.check("it is still suggested", found.len() == 1)?;
    Ok(())
}

async fn replace_terms(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    ctx.step(
        "The pattern also stores a record of each product: a member that begins with ID: and lists its terms. One script makes the \
         members of the old and of the new record (in members_of), and replaces them:",
    )
    .await?;
    ctx.script(&lua(&autocomplete::PUT).section()).await?;
    ctx.say(format!(
        "A prefix of more than {MAX_LISTED_CHARACTERS} characters has no lines. There a second script reads the first {} terms and \
         ranks them:",
        thousands(MAX_HITS as f64),
    ));
    ctx.script(&lua(&autocomplete::SUGGEST).contract()).await?;

    let autocomplete = shop.autocomplete(&ctx.redis());
    let fits = |product: &&Product| terms(&product.name).iter().any(|term| term.starts_with("coff"));
    let third = shop.products.iter().rev().filter(fits).nth(2);
    let Some(third) = third else { return Err("no third product begins with coff".into()) };
    ctx.step(format!(
        "The shop advertises {}. Its popularity changes, and so does every member that it has:",
        third.name
    ))
    .await?;
    autocomplete.put(&third.id, &third.name, 1_000_000).await?;
    let found = autocomplete.suggest("coff", 1).await?;
    ctx.check("it is the first suggestion now", found[0].id == third.id)?;

    let mut redis = ctx.untraced("500 in flight over one connection: EVALSHA changes the same products in the pattern's index. ZRANGE reads both indexes.");
    let quiet = shop.autocomplete(&redis);
    quiet.put(&third.id, &third.name, third.popularity).await?;
    quiet.remove(&shop.products[0].id).await?;
    concurrently(shop::IN_FLIGHT, REMOVED + RENAMED, async |number| {
        let product = &shop.products[number];
        match new_name(number, product) {
            None => quiet.remove(&product.id).await,
            Some(name) => quiet.put(&product.id, &name, product.popularity).await,
        }
    })
    .await?;
    let wanted: BTreeSet<String> = (0..)
        .zip(&shop.products)
        .filter_map(|(number, product)| Some(entries(product, &new_name(number, product)?)))
        .flatten()
        .collect();
    let naive = redis.zrange(shop.key("naive_terms"), 0, -1).await?;
    let ours = redis.zrange(quiet.key()?, 0, -1).await?;
    let ours = ours.iter().filter_map(|member| entry_of_member(member)).collect();
    let mut table = Table::new("Stale terms", &["index", "terms", "of current names", "stale"]);
    let mut results = Vec::new();
    for (label, terms) in [("only adds", naive.into_iter().collect::<BTreeSet<_>>()), ("the pattern", ours)] {
        let (stale, missing) = (terms.difference(&wanted).count(), wanted.difference(&terms).count());
        let numbers = [terms.len(), wanted.len(), stale].map(|number| thousands(number as f64));
        table = table.row(std::iter::once(label.to_owned()).chain(numbers));
        results.push((stale > 0, missing));
    }
    ctx.table(table);
    let expected = vec![(true, 0), (false, 0)];
    ctx.check_eq(
        "the first suggests what is not there; the pattern has nothing stale and misses nothing",
        &results,
        &expected,
    )?;

    let gone = normalized(&shop.products[0].name);
    ctx.step("The same name as before:").await?;
    let found = autocomplete.suggest(&gone, 3).await?;
    ctx.check("the pattern suggests nothing", found.is_empty())?;
    ctx.announce("EVALSHA puts the products back.");
    concurrently(shop::IN_FLIGHT, REMOVED + RENAMED, async |number| {
        let product = &shop.products[number];
        quiet.put(&product.id, &product.name, product.popularity).await
    })
    .await?;
    Ok(())
}

/// A term of the pattern as the naive index has it, without the rank: `T:cafe\nfff0 Café\nmug1` as `cafe\nCafé\nmug1`.
fn entry_of_member(member: &str) -> Option<String> {
    let (term, product) = member.strip_prefix("T:")?.split_once('\n')?;
    Some(format!("{term}\n{}", product.split_once(' ')?.1))
}

async fn filter_with_sets(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let (brand, category, prices) =
        (shop.brand_key("Bolt & Co."), shop.tagged_key("category:Kitchen"), shop.tagged_key("prices"));
    let mut silent = ctx.untraced("One client: SADD puts each product into the Set of its brand and of its category, and ZADD into a Sorted Set of prices, in a pipeline.");
    shop.write_sets(&mut silent).await?;

    let expected = shop.products.iter().filter(|product| product.price.get() <= 2_000).count();
    ctx.step("Customers also filter: by brand, category, price, and rating. A Set for each value and a Sorted Set of prices can tell:")
        .await?;
    let both = redis.sinter(&[&brand, &category]).await?;
    let up_to_20 = redis.zcount(&prices, 0, 2_000).await?;
    ctx.check("two kitchen products of Bolt & Co.", both.len() == 2)?;
    ctx.check("every product up to 20.00 is counted", up_to_20 == expected)?;

    let (moved, to) = moved_product(shop);
    let [former, new] = [&moved.brand, to].map(|brand| shop.key(format_args!("naive_brand:{brand}")));
    ctx.step(format!(
        "The {} changes from {} to {to}. SREM is easily forgotten, and between SADD and SREM, everybody sees the product twice:",
        moved.name, moved.brand
    ))
    .await?;
    redis.sadd(&former, &moved.id).await?;
    redis.sadd(&new, &moved.id).await?;
    let in_both = redis.sinter(&[&former, &new]).await;
    let removed = redis.srem(&former, &moved.id).await?;
    ctx.check("SREM removed it from its former brand", removed == 1)?;
    if ctx.target().is_cluster() {
        // The two names are fixed and in different slots. Of all prefixes, one in 16,384 would bring them together.
        let crossed =
            |error: redis::RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot);
        ctx.check(
            "on a cluster, Sets in different slots cannot be intersected",
            in_both.is_err_and(crossed),
        )?;
        return Ok(());
    }
    ctx.check("until SREM, it was a product of two brands", in_both?.len() == 1)?;
    Ok(())
}

/// A product that gets another brand, and that brand.
fn moved_product(shop: &Shop) -> (&Product, &str) {
    let last = shop.products.len() - 1;
    (&shop.products[last - 1], &shop.products[last].brand)
}

async fn combine_bits(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let [acme, kitchen, both] =
        ["Acme", "Kitchen", "both"].map(|name| shop.tagged_key(format_args!("bits:{name}")));

    ctx.step(
        "SINTER looks at one product after the other, and a page with its counts needs dozens of such answers. A bit is enough: each \
         product has a number, and each value a String with one bit for each product. BITOP combines thousands of products in a \
         microsecond, and BITCOUNT counts them:",
    )
    .await?;
    for product in [1, 4, 7] {
        redis.setbit(&acme, product, true).await?;
    }
    for product in [4, 7] {
        redis.setbit(&kitchen, product, true).await?;
    }
    redis.bit_and(&both, &[&acme, &kitchen]).await?;
    let count = redis.bitcount(&both).await?;
    ctx.check("two kitchen products of Acme", count == 2)?;
    Ok(())
}

/// Products on a page.
const ON_A_PAGE: u32 = 3;

async fn show_a_page(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    ctx.step(
        "The pattern keeps a table of such rows in one String: a row for each brand, category, and number of stars, and one for each \
         binary digit of price, popularity, and name. One script finds a page and all its counts in one step. These lines carry the \
         idea. Values of one facet widen the result, so they are combined by OR. Facets narrow it, so they are combined by AND. The \
         counts of a facet leave out its own selection, because you want to see what another brand would add:",
    )
    .await?;
    ctx.script(&lua(&facets::PAGE).lines("-- What each facet lets through", "-- Counts what passes")).await?;
    ctx.say(
        "The rows of digits also sort: of the products that are left, those with a 1 in the highest digit come first, and so on. \
         Another script changes a product, and sets and clears its bits:",
    );
    ctx.script(&lua(&facets::PUT).contract()).await?;
    let silent = ctx.untraced("500 in flight over one connection: EVALSHA puts all products.");
    shop.put_facets(&silent).await?;

    let (selection, order, page) = (selection(shop), Order::PriceAscending, PageOf::first(ON_A_PAGE));
    let facets = shop.facets(&silent);
    ctx.step("A customer selected the kitchen, four brands, and prices from 25.00 to 499.99:").await?;
    let first = facets.page(&selection, order, page).await?;
    let second = facets.page(&selection, order, page.next()).await?;
    ctx.announce("EVALSHA for each of two pages; each has about sixty arguments. Part of the first reply:");
    ctx.table(counts(&first, &selection));
    let documents = shop.documents();
    let expected = |page| prices_of(filter_documents(&documents, &selection, order, page), &documents);
    ctx.check(
        "total and counts are what a loop over the whole catalog finds",
        prices_of(ResultPage::from(&first), &documents) == expected(page),
    )?;

    ctx.say(format!(
        "{} products are left, {ON_A_PAGE} on a page. Products with the same price have a fixed order of their own. So no product is on \
         two pages, and none is missing in between.",
        first.total
    ));
    let mut table = Table::new("Two pages, the cheapest first", &["page", "product", "price", "stars"]);
    for (number, found) in [(1, &first), (2, &second)] {
        for Product { name, price, rating, .. } in &found.products {
            table = table.row([number.to_string(), name.clone(), price.to_string(), rating.to_string()]);
        }
    }
    ctx.table(table);
    let ids =
        |page: &FacetPage| page.products.iter().map(|product| product.id.clone()).collect::<BTreeSet<_>>();
    ctx.check(
        "the second page goes on where the first ended",
        prices_of(ResultPage::from(&second), &documents) == expected(page.next())
            && ids(&first).is_disjoint(&ids(&second)),
    )?;
    Ok(())
}

fn selection(shop: &Shop) -> Selection {
    let kitchen = || shop.products.iter().rev().filter(|product| product.category == "Kitchen");
    let price = |cents| Cents::new(cents).unwrap_or(Cents::ZERO);
    Selection {
        brands: kitchen().map(|product| product.brand.clone()).take(4).collect(),
        categories: ["Kitchen".to_owned()].into(),
        prices: vec![PriceRange { from: price(2_500), to: price(49_999) }],
        ratings: BTreeSet::new(),
    }
}

/// The page with prices in place of SKUs: equal prices may come in any order.
fn prices_of(mut page: ResultPage, documents: &[Document]) -> ResultPage {
    let price = |sku: &String| documents.iter().find(|it| it.sku == *sku).map(|it| it.cents);
    page.skus = page.skus.iter().map(|sku| format!("{:?}", price(sku))).collect();
    page
}

fn counts(page: &FacetPage, selection: &Selection) -> Table {
    let mut table = Table::new("The counts of the page", &["facet", "value", "products", "selected"]);
    let mut row = |facet: &str, value: &str, count: u64, selected: bool| {
        let selected = if selected { "x" } else { "" };
        table = std::mem::take(&mut table).row([facet, value, &count.to_string(), selected]);
    };
    for (facet, counts, selected) in
        [("category", &page.categories, &selection.categories), ("brand", &page.brands, &selection.brands)]
    {
        // The selected ones, and the largest two of the others.
        let mut values: Vec<(&String, u64)> = counts.iter().map(|(value, count)| (value, *count)).collect();
        values.sort_by_key(|(value, count)| (!selected.contains(*value), Reverse(*count)));
        for (value, count) in values.into_iter().take(selected.len() + 2) {
            row(facet, value, count, selected.contains(value));
        }
    }
    for band in &page.prices {
        let (value, selected) = match band.below {
            Some(below) => {
                let overlaps = |range: &PriceRange| band.from <= range.to && range.from < below;
                (format!("{} to below {below}", band.from), selection.prices.iter().any(overlaps))
            }
            None => (format!("from {}", band.from), false),
        };
        row("price", &value, band.products, selected);
    }
    for (stars, count) in &page.ratings {
        row("stars", &stars.to_string(), *count, false);
    }
    table
}

async fn move_a_product(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    let (moved, to) = moved_product(shop);
    let changed = Product { brand: to.to_owned(), ..moved.clone() };
    let (mut redis, facets) = (ctx.redis(), shop.facets(&ctx.redis()));
    let brands = facets.keys()?[2].clone();

    ctx.step(format!(
        "The {} changes its brand again, this time with the script. Before and after, count the products of both brands:",
        moved.name
    ))
    .await?;
    let before = redis.zscore_multiple(&brands, &[&moved.brand, to]).await?;
    facets.put(&changed).await?;
    let after = redis.zscore_multiple(&brands, &[&moved.brand, to]).await?;
    ctx.check(
        "one product less here, one more there",
        before == Some(vec![2.0, 1.0]) && after == Some(vec![1.0, 2.0]),
    )?;
    ctx.announce("EVALSHA reads the page of each brand, and puts the product back.");
    let quiet = shop.facets(&ctx.target().connection());
    let mut found = Vec::new();
    for brand in [&moved.brand, to] {
        let of_brand = Selection { brands: [brand.to_owned()].into(), ..Selection::default() };
        let page = quiet.page(&of_brand, Order::Popularity, PageOf::first(ON_A_PAGE)).await?;
        found.push(page.products.iter().any(|product| product.id == moved.id));
    }
    ctx.check("the product is found under its new brand only", found == [false, true])?;
    quiet.put(moved).await.map(|_| ())?;
    Ok(())
}

/// Round trips of one query in a comparison: three to four approaches, verified and measured at least three times.
const ROUND_TRIPS: f64 = 16.0;

async fn compare(ctx: &LessonContext, shop: &Shop, full_text: bool) -> Result<(), BoxError> {
    ctx.step(
        "What does it save? Each selection gets a page of 20 products with all counts. The baseline is a GET of the stored page, as a \
         cache would have it. A client that filters reads the whole catalog for each page: look at the bytes received. Over \
         100 Mbit/s, the 280 kB of one page take 22 ms.",
    )
    .await?;
    let count = ctx.fit("selections", shop::SELECTIONS, 2, ROUND_TRIPS);
    ctx.compare(Comparison {
        title: "A page with its counts",
        approaches: &FilterBy::all(full_text),
        input: &FilterQueries::new(shop.clone(), count),
    })
    .await?;

    ctx.step(
        "And autocomplete? Five suggestions for each prefix. If a prefix has lines of its own, one ZRANGE reads them. Otherwise a \
         script ranks all terms that begin with it. An index of terms alone is a fifth as large, and cheaper to change.",
    )
    .await?;
    let count = ctx.fit("prefixes", shop::PREFIXES.len(), 2, ROUND_TRIPS);
    ctx.compare(Comparison {
        title: "Five suggestions",
        approaches: &CompleteBy::all(full_text),
        input: &PrefixQueries::new(shop.clone(), count),
    })
    .await?;
    Ok(())
}
