//! Completing what is typed: one Sorted Set read by prefix, then popularity, accents, and products that leave.

use std::collections::BTreeSet;

use lab_runner::table::{Facts, thousands};
use lab_runner::{Outcome, Page};
use redis::{AsyncTypedCommands, Pipeline};
use storefront::autocomplete::{KEPT_OF_A_PREFIX, LONGEST_LISTED_PREFIX, normalised, terms};
use storefront::{Keys, Layout};

use super::failed;
use super::keys::Names;
use super::shop::Shop;

/// What a customer types, one letter after the other.
const TYPED: [&str; 2] = ["c", "cof"];
/// Products that leave, and products that get another name.
const REMOVED: usize = 40;
const RENAMED: usize = 60;

pub(super) async fn words(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    let words = Names::new(page.prefix()).words();

    page.say(
        "Members of a Sorted Set that have the same score stand in the order of their bytes, like words in a dictionary. So all \
         that begin with 'caf' stand together: from 'caf' itself to below 'caf' and a byte 255, which no UTF-8 text holds. \
         A range that ends at 'cafz' misses what is beyond the English alphabet.",
    );
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
    page.check_eq("byte 255 finds all three, 'z' only two", &[all.len(), fewer.len()], &[3, 2])?;

    page.say(format!(
        "'caffè' is found by 'caff', and what of who types 'CAFE' for 'Café'? Names are normalised before they are indexed, and \
         what is typed before it is looked up: decomposed (NFKD), accents off, case folded, white space squeezed. And each \
         word of a name shall be found, so each product has several terms. 'Café  CRÈME' has: {}.",
        terms("Café  CRÈME").join(" | "),
    ));
    page.check(
        "in every spelling it is the same",
        ["CAFÉ", "cafe\u{301}", " Café "].iter().all(|spelling| normalised(spelling) == "cafe"),
    )?;
    if keys.layout() == Layout::Cluster {
        page.say(
            "On a cluster the keys of the index bear one hash tag, {autocomplete}: one slot, so that one script can keep it right.",
        );
    }
    Ok(())
}

pub(super) async fn letter_by_letter(page: &Page, shop: &Shop) -> Outcome {
    let autocomplete = shop.autocomplete(&page.redis());
    let quiet = shop.autocomplete(&page.quietly());

    page.say(format!(
        "Our shop has {} products. A dictionary puts 'Coffee' before 'Compact', but customers want what is bought most first. So \
         there is a list for each prefix of up to {LONGEST_LISTED_PREFIX} characters, scored by popularity (below zero: the best first, those of \
         one popularity by name), which keeps the best {KEPT_OF_A_PREFIX}. What to suggest is then one short ZRANGE:",
        thousands(shop.products.len() as f64),
    ));
    let found = autocomplete.suggest("coff", 3).await.map_err(failed)?;
    page.check("three that have a word with 'coff'", found.len() == 3)?;

    let mut facts = Facts::new("Letter by letter", &["typed", "suggested", "popularity"]);
    let mut right = true;
    for typed in TYPED.into_iter().chain(["CAFÉ cr", "pinata", "☕"]) {
        let found = quiet.suggest(typed, 3).await.map_err(failed)?;
        right &= found.iter().map(|it| it.sku.as_str()).eq(shop.completing(typed, 3));
        for (number, suggestion) in found.iter().enumerate() {
            let typed = if number == 0 { typed } else { "" };
            facts = facts.row([
                typed.to_owned(),
                suggestion.name.to_string(),
                thousands(suggestion.popularity as f64),
            ]);
        }
    }
    page.facts(facts);
    page.check("each is what a search through all names finds, the most popular first", right)?;

    page.say("Somebody advertises the third of them; its popularity changes, and with it every list that it is in:");
    let third = &found[2];
    quiet.put(&third.sku, &third.name, 1_000_000).await.map_err(failed)?;
    let again = autocomplete.suggest("coff", 1).await.map_err(failed)?;
    page.check("now it is the first", again[0].sku == third.sku)?;
    quiet.put(&third.sku, &third.name, third.popularity).await.map_err(failed)?;
    Ok(())
}

/// Products that are renamed and removed, in an index that only adds and in ours.
pub(super) async fn ghosts(page: &Page, shop: &Shop) -> Outcome {
    let mut quietly = page.quietly();
    let naive = shop.names.naive_terms();
    let autocomplete = shop.autocomplete(&quietly);

    page.say(format!(
        "Break it: put the terms of a product in, and on a change only the new ones. {RENAMED} products get another name, \
         {REMOVED} are removed from the catalogue. Nobody knows any more which terms to take out. Fix it: a Hash beside the \
         index keeps the terms of each product, and one script replaces the former by the new ones.",
    ));
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
            terms(name).into_iter().map(|term| format!("{term}\n{name}\n{}", product.sku)).collect::<Vec<_>>()
        };
        for name in [Some(former.to_owned()), new.clone()].into_iter().flatten() {
            for entry in entries(&name) {
                add.zadd(&naive, entry, 0).ignore();
            }
        }
        wanted.extend(new.iter().flat_map(|name| entries(name)));
        match &new {
            None => {
                autocomplete.remove(&product.sku).await.map_err(failed)?;
            }
            Some(name) if name != former => {
                let Ok(name) = name.parse() else { continue };
                autocomplete.put(&product.sku, &name, product.popularity).await.map_err(failed)?;
            }
            Some(_) => {}
        }
    }
    add.exec_async(&mut quietly).await?;

    let mut facts = Facts::new("Ghosts", &["index", "entries", "of products as they are", "ghosts"]);
    let mut counted = Vec::new();
    for (label, key) in [("naive: only adds", &naive), ("storefront", &shop.keys.autocomplete_terms())] {
        let entries: BTreeSet<String> = quietly.zrange(key, 0, -1).await?.into_iter().collect();
        let ghosts = entries.difference(&wanted).count();
        let missing = wanted.difference(&entries).count();
        let numbers = [entries.len(), wanted.len(), ghosts].map(|number| thousands(number as f64));
        facts = facts.row(std::iter::once(label.to_owned()).chain(numbers));
        counted.push((ghosts > 0, missing));
    }
    page.facts(facts);
    page.check_eq(
        "the naive index suggests what is not there; ours has no ghost and misses nothing",
        &counted,
        &vec![(true, 0), (false, 0)],
    )?;

    page.say(
        "A customer who types what the least popular product was called, in our index and in the naive one:",
    );
    let gone = normalised(shop.products[0].name.as_str());
    // The server learns the script, so that the page shows the one call that is usual.
    autocomplete.suggest(&gone, 3).await.map_err(failed)?;
    let found = shop.autocomplete(&page.redis()).suggest(&gone, 3).await.map_err(failed)?;
    let mut range = redis::cmd("ZRANGE");
    range.arg(&naive).arg(format!("[{gone}")).arg([b"(", gone.as_bytes(), b"\xff"].concat()).arg("BYLEX");
    let ghost: Vec<String> = range.query_async(&mut page.redis()).await?;
    page.check("ours has nothing, the naive one a ghost", found.is_empty() && ghost.len() == 1)?;

    for product in &shop.products[..REMOVED + RENAMED] {
        autocomplete.put(&product.sku, &product.name, product.popularity).await.map_err(failed)?;
    }
    Ok(())
}
