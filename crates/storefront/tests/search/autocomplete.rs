//! Autocomplete finds what it should and nothing else, in both indexes, whatever is put, renamed and removed, and by whomever
//! at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redis::FromRedisValue;
use storefront::autocomplete::{
    Autocomplete, HIGHEST_POPULARITY, Index, KEPT_OF_A_PREFIX, LONGEST_LISTED_PREFIX, MOST_HITS,
    MOST_SUGGESTIONS, normalised, terms,
};
use storefront::{Keys, Layout, Put, Sku, StoreError};

use crate::shop::{Wire, cases, in_each_layout, sku};

const INDEXES: [Index; 2] = [Index::Lexicographic, Index::Weighted];

/// What the index should hold: by SKU the name and the popularity.
type Model = BTreeMap<Sku, (String, u64)>;
/// Name and SKU.
type Found = Vec<(String, Sku)>;

async fn in_each_index<F: Future<Output = ()>>(test: impl Fn(Wire, Keys, Autocomplete<Wire>) -> F) {
    for index in INDEXES {
        in_each_layout(async |wire, keys| {
            let autocomplete = Autocomplete::new(wire.clone(), keys.clone(), index);
            test(wire, keys, autocomplete).await;
        })
        .await;
    }
}

/// Goes through the whole catalogue: what a suggestion is, without any index.
fn expected(model: &Model, prefix: &str, count: usize) -> Found {
    let prefix = normalised(prefix);
    let begins = |name: &str| prefix.is_empty() || terms(name).iter().any(|term| term.starts_with(&prefix));
    let mut found: Vec<_> = model
        .iter()
        .filter(|(_, (name, _))| begins(name))
        .map(|(sku, (name, popularity))| (Reverse(*popularity), name.clone(), sku.clone()))
        .collect();
    found.sort();
    found.into_iter().take(count).map(|(_, name, sku)| (name, sku)).collect()
}

async fn suggested(autocomplete: &Autocomplete<Wire>, prefix: &str) -> Found {
    let found = autocomplete.suggest(prefix, MOST_SUGGESTIONS).await.unwrap();
    found.into_iter().map(|it| (it.name.as_str().to_owned(), it.sku)).collect()
}

/// Every prefix that finds something.
fn prefixes(model: &Model) -> BTreeSet<String> {
    let terms = model.values().flat_map(|(name, _)| terms(name));
    let ends = |term: String| {
        let ends: Vec<_> = term.char_indices().map(|(at, c)| term[..at + c.len_utf8()].to_owned()).collect();
        ends.into_iter().take(LONGEST_LISTED_PREFIX + 2).filter(|prefix| !prefix.ends_with(' '))
    };
    terms.flat_map(ends).collect()
}

/// Reads every key of the index, beside what follows from the model alone. Gives how many entries were compared.
async fn assert_no_ghosts(
    wire: &Wire,
    keys: &Keys,
    autocomplete: &Autocomplete<Wire>,
    model: &Model,
) -> usize {
    let all = async |key: String| {
        let members = wire.send(&["ZRANGE", &key, "0", "-1"]).await;
        Vec::<String>::from_redis_value(members).unwrap()
    };
    let product = |(sku, (name, _)): (&Sku, &(String, u64))| format!("{name}\n{sku}");
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for entry in model {
        wanted.extend(terms(&entry.1.0).into_iter().map(|term| format!("{term}\n{}", product(entry))));
    }
    let stored: BTreeSet<String> = all(keys.autocomplete_terms()).await.into_iter().collect();
    assert_eq!(stored, wanted);
    let everything = |prefix: &str| -> Vec<String> {
        expected(model, prefix, usize::MAX).into_iter().map(|(name, sku)| format!("{name}\n{sku}")).collect()
    };
    assert_eq!(all(keys.autocomplete_popular()).await, everything(""));
    let skus: BTreeSet<String> =
        FromRedisValue::from_redis_value(wire.send(&["HKEYS", &keys.autocomplete_products()]).await).unwrap();
    assert_eq!(skus, model.keys().map(ToString::to_string).collect());
    let mut compared = wanted.len() + 2 * model.len();

    let listed: BTreeSet<String> = match autocomplete.index() {
        Index::Lexicographic => BTreeSet::new(),
        Index::Weighted => {
            prefixes(model).into_iter().filter(|it| it.chars().count() <= LONGEST_LISTED_PREFIX).collect()
        }
    };
    for prefix in &listed {
        let (list, best) = (all(keys.autocomplete_prefix(prefix)).await, everything(prefix));
        assert!(list.len() <= KEPT_OF_A_PREFIX && list.len() >= best.len().min(MOST_SUGGESTIONS), "{prefix}");
        assert_eq!(list, best[..list.len()], "{prefix}");
        compared += list.len();
    }
    if keys.layout() == Layout::Standalone {
        let pattern = format!("{}*", keys.autocomplete_prefix(""));
        let lists: BTreeSet<String> =
            FromRedisValue::from_redis_value(wire.send(&["KEYS", &pattern]).await).unwrap();
        assert_eq!(lists, listed.iter().map(|prefix| keys.autocomplete_prefix(prefix)).collect());
    }
    compared
}

#[test]
fn case_accents_and_white_space_make_no_difference() {
    let same = [
        ["CAFÉ", "cafe\u{301}"],
        ["  Café ", "cafe"],
        ["STRASSE", "straße"],
        ["STRAẞE", "strasse"],
        ["ΣΊΣΥΦΟΣ", "σισυφος"],
        ["İstanbul", "istanbul"],
        ["ﬁne ｗｉｄｅ", "FINE WIDE"],
        ["Ёлка", "елка"],
        ["a \t\u{3000}\u{a0} b", "A B"],
        ["☕\u{fe0f}", "☕"],
        ["Ǆ ŉ", "dž ʼn"],
    ];
    for [one, other] in same {
        assert_eq!(normalised(one), normalised(other), "{one}");
    }
    for [one, other] in [["ガス", "カス"], ["हिन्दी", "हन्द"], ["日本", "日木"], ["👍", "👎"]]
    {
        assert_ne!(normalised(one), normalised(other), "{one}");
    }
    // Who has typed half a syllable sees the whole one.
    assert!(normalised("한국").starts_with(&normalised("하")));
}

#[test]
fn every_character_stays_as_it_was_made() {
    let changing = (char::MIN..=char::MAX).filter(|character| {
        let once = normalised(&character.to_string());
        normalised(&once) != once
    });
    assert_eq!(changing.collect::<String>(), "");
}

#[test]
fn what_is_compared_is_bounded_and_stays_as_it_is() {
    let mut runner = TestRunner::new(cases(2_000));
    let text = prop_oneof![any::<String>(), "\\PC{0,300}", "[\u{ff00}-\u{ffef} \u{fd00}-\u{fdff}]{0,150}"];
    let result = runner.run(&text, |text| {
        let normal = normalised(&text);
        prop_assert!(normal.chars().count() <= 100);
        prop_assert_eq!(normalised(&normal), normal.clone());
        prop_assert!(!normal.contains('\n') && normal.trim() == normal && !normal.contains("  "));
        prop_assert!(terms(&text).len() <= 8);
        Ok(())
    });
    assert_eq!(result, Ok(()));
    assert!(normalised(&"\u{fdfa}".repeat(1_000_000)).chars().count() <= 100);
    assert_eq!(normalised(&" ".repeat(1_000_000)), "");
}

#[tokio::test]
async fn names_are_found_by_the_beginning_of_any_word_in_any_spelling() {
    in_each_index(async |_, _, autocomplete| {
        let names =
            ["Café Crème", "Decaf", "日本の茶", "Tea ☕ 日本", "Chef's knife-sharpener", "\u{10fffd}x ÿ"];
        for (number, name) in names.iter().enumerate() {
            autocomplete.put(&sku(&format!("p{number}")), &name.parse().unwrap(), 1).await.unwrap();
        }
        for (prefix, found) in [
            ("CAFE", vec![0]),
            ("cafe\u{301}  cre", vec![0]),
            ("crÈ", vec![0]),
            ("caf", vec![0]),
            ("日", vec![2, 3]),
            ("日本の", vec![2]),
            ("☕", vec![3]),
            ("☕ 日", vec![3]),
            ("sharp", vec![4]),
            ("chef's k", vec![4]),
            ("s", vec![4]),
            ("\u{10fffd}", vec![5]),
            ("y", vec![5]),
            ("x", vec![]),
            ("cafx", vec![]),
            ("caf\u{0}", vec![0]),
            ("cafe creme and more", vec![]),
        ] {
            let found: BTreeSet<Sku> = found.into_iter().map(|number| sku(&format!("p{number}"))).collect();
            let suggested: BTreeSet<Sku> =
                suggested(&autocomplete, prefix).await.into_iter().map(|(_, sku)| sku).collect();
            assert_eq!(suggested, found, "{prefix:?} in {:?}", autocomplete.index());
        }
    })
    .await;
}

#[tokio::test]
async fn the_most_popular_come_first_and_equals_by_name_then_sku() {
    in_each_index(async |_, _, autocomplete| {
        for (code, name, popularity) in [
            ("b", "Mug", 5),
            ("a", "Mug", 5),
            ("c", "Mug blue", 5),
            ("d", "Mug-a", 5),
            ("e", "Mugs", u64::MAX),
            ("f", "Mu", 0),
        ] {
            autocomplete.put(&sku(code), &name.parse().unwrap(), popularity).await.unwrap();
        }
        for prefix in ["m", "Mu", " "] {
            let found = suggested(&autocomplete, prefix).await;
            let codes: String = found.iter().map(|(_, sku)| sku.as_str()).collect();
            assert_eq!(codes, "eabcdf", "{prefix:?} in {:?}", autocomplete.index());
        }
        let best = autocomplete.suggest("m", 2).await.unwrap();
        assert_eq!((best.len(), best[0].popularity, best[1].popularity), (2, HIGHEST_POPULARITY, 5));
        assert_eq!(autocomplete.suggest("m", 0).await.unwrap(), []);
        assert_eq!(autocomplete.suggest("", usize::MAX).await.unwrap().len(), 6);
    })
    .await;
}

#[tokio::test]
async fn each_operation_makes_the_round_trips_it_states() {
    in_each_index(async |wire, _, autocomplete| {
        let (mug, name) = (sku("mug"), "Coffee mug".parse().unwrap());
        autocomplete.put(&sku("x"), &name, 1).await.unwrap();
        autocomplete.suggest("coffee mug", 5).await.unwrap();
        let known = if autocomplete.index() == Index::Weighted { 2 } else { 1 };
        assert_eq!(wire.round_trips_of(autocomplete.put(&mug, &name, 1)).await, 1);
        assert_eq!(wire.round_trips_of(autocomplete.put(&mug, &name, 2)).await, known);
        for prefix in ["", "c", "coffee m", "coffee mu"] {
            assert_eq!(wire.round_trips_of(autocomplete.suggest(prefix, 5)).await, 1);
        }
        assert_eq!(autocomplete.put(&mug, &name, 2).await.unwrap(), Put::Changed);
        assert_eq!(wire.round_trips_of(autocomplete.remove(&mug)).await, known);
        assert!(!autocomplete.remove(&mug).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn keys_of_another_type_are_refused_and_nothing_is_changed() {
    in_each_index(async |wire, keys, autocomplete| {
        let name = "Mug".parse().unwrap();
        let mut taken = vec![keys.autocomplete_products(), keys.autocomplete_popular()];
        if autocomplete.index() == Index::Weighted {
            taken.push(keys.autocomplete_prefix("mu"));
        }
        for key in taken {
            wire.send(&["SET", &key, "somebody's"]).await;
            let refused = autocomplete.put(&sku("mug"), &name, 1).await;
            assert!(matches!(refused, Err(StoreError::WrongType { .. })), "{refused:?}");
            assert_eq!(wire.send(&["EXISTS", &keys.autocomplete_terms()]).await, redis::Value::Int(0));
            wire.send(&["DEL", &key]).await;
        }
    })
    .await;
}

fn name() -> impl Strategy<Value = String> {
    let words = [
        "Café",
        "CAFE",
        "cafe\u{301}s",
        "Straße",
        "STRASSEN",
        "日本",
        "日",
        "本",
        "☕\u{fe0f}",
        "👩\u{200d}💻",
        "Über",
        "uber",
        "ﬁne",
        "fi",
        "İs",
        "ΣΊΣ",
        "한국",
        "하",
        "हिन्दी",
        "A-b",
        "o'n",
        "ÿ",
        "\u{10fffd}",
        "a",
        "aa",
        "ab",
    ];
    let word =
        prop_oneof![8 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => "\\PC{1,5}"];
    prop::collection::vec(word, 1..5).prop_map(|words| words.join(" ")).prop_filter_map("no name", |text| {
        Some(text.parse::<storefront::ProductName>().ok()?.as_str().to_owned())
    })
}

#[test]
fn random_edits_leave_what_a_search_of_everything_finds() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let edit = (0..12_u8, prop::option::weighted(0.8, (name(), 0..4_u64)));
    let edits = prop::collection::vec(edit, 1..40);
    let mut runner = TestRunner::new(cases(12));
    let result = runner.run(&(edits, name()), |(edits, other)| {
        runtime.block_on(in_each_index(async |wire, keys, autocomplete| {
            let mut model = Model::new();
            for (number, edit) in &edits {
                let sku = sku(&format!("p{number}"));
                if let Some((name, popularity)) = edit {
                    let former = model.insert(sku.clone(), (name.clone(), *popularity));
                    let put = autocomplete.put(&sku, &name.parse().unwrap(), *popularity).await.unwrap();
                    assert_eq!(put == Put::Changed, former.is_some());
                } else {
                    let removed = autocomplete.remove(&sku).await.unwrap();
                    assert_eq!(removed, model.remove(&sku).is_some());
                }
            }
            assert_no_ghosts(&wire, &keys, &autocomplete, &model).await;
            let mut asked = prefixes(&model);
            asked.extend([String::new(), "a".into(), "カ".into(), other.clone()]);
            for prefix in asked {
                let found = suggested(&autocomplete, &prefix).await;
                assert_eq!(found, expected(&model, &prefix, MOST_SUGGESTIONS), "{prefix:?}");
            }
        }));
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

/// Numbers that look random and are the same every time.
fn drawn(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

#[tokio::test]
async fn lists_that_are_cut_short_stay_exact_while_the_best_leave_and_fall() {
    in_each_index(async |wire, keys, autocomplete| {
        let (mut model, mut state) = (Model::new(), 7);
        let put = async |model: &mut Model, number: u64, popularity: u64| {
            let name = format!("Mug mini {} {number}", if number.is_multiple_of(3) { "Max" } else { "tall" });
            model.insert(sku(&format!("p{number}")), (name.clone(), popularity));
            autocomplete.put(&sku(&format!("p{number}")), &name.parse().unwrap(), popularity).await.unwrap();
        };
        // More than a list keeps.
        for number in 0..200 {
            put(&mut model, number, drawn(&mut state, 60)).await;
        }
        for step in 0..320_u64 {
            // The best are taken away or fall behind, as new ones come in anywhere.
            let best = expected(&model, "m", 3)[usize::try_from(step % 3).unwrap()].1.clone();
            let number: u64 = best.as_str()[1..].parse().unwrap();
            match step % 4 {
                0 | 1 => {
                    model.remove(&best);
                    assert!(autocomplete.remove(&best).await.unwrap());
                }
                2 => put(&mut model, number, 0).await,
                _ => put(&mut model, 200 + step, drawn(&mut state, 60)).await,
            }
            for prefix in ["m", "mi", "max"] {
                let found = suggested(&autocomplete, prefix).await;
                assert_eq!(found, expected(&model, prefix, MOST_SUGGESTIONS), "step {step}, {prefix}");
            }
        }
        assert_no_ghosts(&wire, &keys, &autocomplete, &model).await;
        for sku in model.keys() {
            autocomplete.remove(sku).await.unwrap();
        }
        assert_no_ghosts(&wire, &keys, &autocomplete, &Model::new()).await;
    })
    .await;
}

#[tokio::test]
async fn the_lexicographic_index_looks_at_no_more_than_it_states() {
    in_each_layout(async |wire, keys| {
        let few = Autocomplete::new(wire, keys, Index::Lexicographic);
        let mut last = String::new();
        for number in 0..=MOST_HITS {
            last.clear();
            write!(last, "mug {number:05}").unwrap();
            few.put(&sku(&format!("p{number}")), &last.parse().unwrap(), number as u64).await.unwrap();
        }
        // The most popular is the one too many.
        let best = few.suggest("m", 1).await.unwrap();
        assert_eq!(best[0].popularity, MOST_HITS as u64 - 1);
        assert_eq!(few.suggest("mug 01", 1).await.unwrap()[0].popularity, MOST_HITS as u64);
    })
    .await;
}
