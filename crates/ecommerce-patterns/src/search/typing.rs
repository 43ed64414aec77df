//! Completing what is typed: one Sorted Set read by prefix, then popularity, accents, and products that leave.

use std::collections::BTreeSet;

use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, Outcome};
use patterns::autocomplete::{MAX_LISTED_CHARACTERS, normalized, scripts, terms};
use redis::{AsyncTypedCommands, Pipeline};

use super::failed;
use super::keys::Names;
use super::shop::Shop;

/// What a customer types, one letter after the other.
const TYPED: [&str; 2] = ["c", "cof"];
/// Products that leave, and products that get another name.
const REMOVED: usize = 40;
const RENAMED: usize = 60;

pub(super) async fn words(ctx: &LessonContext) -> Outcome {
    let mut redis = ctx.redis();
    let words = Names::new(ctx.prefix()).words();

    ctx.step(
        "Members of a Sorted Set that have the same score are in the order of their bytes, like words in a dictionary. So all \
         that begin with 'caf' are side by side, from 'caf' itself to below 'caf' and a byte 255, which no UTF-8 text has. A range \
         that ends at 'cafz' misses letters outside the English alphabet.",
    ).await?;
    redis
        .zadd_multiple(
            &words,
            &[(0.0, "cable"), (0.0, "cafe"), (0.0, "caffè"), (0.0, "cafés"), (0.0, "cage")],
        )
        .await?;
    let range =
        |from: &str, to: &[u8]| redis::cmd("ZRANGE").arg(&words).arg(from).arg(to).arg("BYLEX").take();
    let all: Vec<String> = range("[caf", b"(caf\xff").query_async(&mut redis).await?;
    let fewer: Vec<String> = range("[caf", b"[cafz").query_async(&mut redis).await?;
    ctx.check_eq("byte 255 finds all three, 'z' only two", &[all.len(), fewer.len()], &[3, 2])?;

    ctx.step(format!(
        "'caff' finds 'caffè', but what if a customer types 'CAFE' for 'Café'? Both the name and what is typed are normalized: \
         decomposed (NFKD), without accents, quotes, and invisible characters, in lower case, with one space between words. And \
         each word of a name should be found, so a product has several terms. '“Café”  CRÈME' has these: {}.",
        terms("“Café”  CRÈME").join(" | "),
    )).await?;
    ctx.check(
        "in every spelling it is the same",
        ["CAFÉ", "cafe\u{301}", " Café ", "“Café”"].iter().all(|spelling| normalized(spelling) == "cafe"),
    )?;
    Ok(())
}

pub(super) async fn letter_by_letter(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let autocomplete = shop.autocomplete(&ctx.redis());
    let quiet = shop.autocomplete(&ctx.untraced("TODO"));

    ctx.step(format!(
        "Our shop has {} products. A dictionary puts 'Coffee' before 'Compact', but customers want the most popular product first. \
         So the index has a line for each prefix of a term, of up to {MAX_LISTED_CHARACTERS} characters, and the product's rank \
         follows the prefix in the line. The rank is 2^64 - 1 - popularity in hexadecimal digits, so the most popular product for \
         'coff' is the first line that begins with 'coff' and a line break. A suggestion is one short ZRANGE:",
        thousands(shop.products.len() as f64),
    )).await?;
    let found = autocomplete.suggest("coff", 3).await.map_err(failed)?;
    ctx.check("three that have a word with 'coff'", found.len() == 3)?;

    let mut table = Table::new("Letter by letter", &["typed", "suggested", "popularity"]);
    let mut right = true;
    for typed in TYPED.into_iter().chain(["CAFÉ cr", "pinata", "☕"]) {
        let found = quiet.suggest(typed, 3).await.map_err(failed)?;
        right &= found.iter().map(|it| it.id.as_str()).eq(shop.completing(typed, 3));
        for (number, suggestion) in found.iter().enumerate() {
            let typed = if number == 0 { typed } else { "" };
            table = table.row([
                typed.to_owned(),
                suggestion.name.clone(),
                thousands(suggestion.popularity as f64),
            ]);
        }
    }
    ctx.table(table);
    ctx.check("each is what a search through all names finds, the most popular first", right)?;

    ctx.step(
        "The shop advertises the third of them. Its popularity changes, and with it every line that it has:",
    )
    .await?;
    let third = &found[2];
    quiet.put(&third.id, &third.name, 1_000_000).await.map_err(failed)?;
    let again = autocomplete.suggest("coff", 1).await.map_err(failed)?;
    ctx.check("now it is the first", again[0].id == third.id)?;
    quiet.put(&third.id, &third.name, third.popularity).await.map_err(failed)?;
    Ok(())
}

/// Products that are renamed and removed, in an index that only adds and in ours.
pub(super) async fn ghosts(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let mut quietly = ctx.untraced("TODO");
    let naive = shop.names.naive_terms();
    let autocomplete = shop.autocomplete(&quietly);

    ctx.step(format!(
        "Break it: add the terms of a product, and after a change add the new ones. {RENAMED} products get another name, and \
         {REMOVED} are removed from the catalog. Now nothing says which terms to remove. Fix it: the index also has a record of each \
         product, a line that begins with 'ID:'. One script replaces the lines of the old record with those of the new one:",
    )).await?;
    ctx.listing(scripts()[0].1.source());
    let mut add = Pipeline::new();
    let mut wanted = BTreeSet::new();
    for (number, product) in shop.products.iter().enumerate() {
        let former = product.name.as_str();
        let new = match number {
            0..REMOVED => None,
            _ if number < REMOVED + RENAMED => Some(format!("Renewed {former}")),
            _ => Some(former.to_owned()),
        };
        let entries = |name: &str| {
            terms(name).into_iter().map(|term| format!("{term}\n{name}\n{}", product.id)).collect::<Vec<_>>()
        };
        for name in [Some(former.to_owned()), new.clone()].into_iter().flatten() {
            for entry in entries(&name) {
                add.zadd(&naive, entry, 0).ignore();
            }
        }
        wanted.extend(new.iter().flat_map(|name| entries(name)));
        match &new {
            None => {
                autocomplete.remove(&product.id).await.map_err(failed)?;
            }
            Some(name) if name != former => {
                autocomplete.put(&product.id, name, product.popularity).await.map_err(failed)?;
            }
            Some(_) => {}
        }
    }
    add.exec_async(&mut quietly).await?;

    let mut table = Table::new("Ghosts", &["index", "entries", "of products as they are", "ghosts"]);
    let mut counted = Vec::new();
    let of_pattern: Vec<String> = quietly.zrange(autocomplete.key().map_err(failed)?, 0, -1).await?;
    let of_naive: Vec<String> = quietly.zrange(&naive, 0, -1).await?;
    for (label, entries) in [
        ("naive: only adds", of_naive.into_iter().collect::<BTreeSet<_>>()),
        ("the pattern: terms", of_pattern.iter().filter_map(|line| entry_of_term(line)).collect()),
    ] {
        let ghosts = entries.difference(&wanted).count();
        let missing = wanted.difference(&entries).count();
        let numbers = [entries.len(), wanted.len(), ghosts].map(|number| thousands(number as f64));
        table = table.row(std::iter::once(label.to_owned()).chain(numbers));
        counted.push((ghosts > 0, missing));
    }
    ctx.table(table);
    ctx.check_eq(
        "the naive index suggests what is not there; ours has no ghost and misses nothing",
        &counted,
        &vec![(true, 0), (false, 0)],
    )?;

    ctx.step(
        "A customer types the old name of the least popular product, in our index and in the naive one:",
    )
    .await?;
    let gone = normalized(&shop.products[0].name);
    // The server learns the script, so that the page shows the one call that is usual.
    autocomplete.suggest(&gone, 3).await.map_err(failed)?;
    let found = shop.autocomplete(&ctx.redis()).suggest(&gone, 3).await.map_err(failed)?;
    let mut range = redis::cmd("ZRANGE");
    range.arg(&naive).arg(format!("[{gone}")).arg([b"(", gone.as_bytes(), b"\xff"].concat()).arg("BYLEX");
    let ghost: Vec<String> = range.query_async(&mut ctx.redis()).await?;
    ctx.check("ours has nothing, the naive one a ghost", found.is_empty() && ghost.len() == 1)?;

    for product in &shop.products[..REMOVED + RENAMED] {
        autocomplete.put(&product.id, &product.name, product.popularity).await.map_err(failed)?;
    }
    Ok(())
}

/// The line of a term as the naive index has it, without the rank: `T:cafe\nfff0 Café\nmug1` as `cafe\nCafé\nmug1`.
fn entry_of_term(line: &str) -> Option<String> {
    let (term, product) = line.strip_prefix("T:")?.split_once('\n')?;
    Some(format!("{term}\n{}", product.split_once(' ')?.1))
}
