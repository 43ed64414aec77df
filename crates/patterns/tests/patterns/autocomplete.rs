use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lab_server::Server;
use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, cases, prefix};
use patterns::autocomplete::{Autocomplete, MAX_HITS, MAX_SUGGESTIONS, normalized, terms};
use patterns::script::StoreError;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::task::JoinSet;

use crate::everywhere;
use crate::facets::commands_of;

/// What the index should hold: by ID the name and the popularity.
type Model = BTreeMap<String, (String, u64)>;

/// Goes through the whole catalog: what a suggestion is, without any index.
fn expected(model: &Model, prefix: &str, count: usize) -> Vec<(String, String)> {
    let prefix = normalized(prefix);
    let fits = |name: &str| prefix.is_empty() || terms(name).iter().any(|term| term.starts_with(&prefix));
    let fitting = model.iter().filter(|(_, (name, _))| fits(name));
    let mut found: Vec<_> =
        fitting.map(|(id, (name, popularity))| (Reverse(*popularity), name.clone(), id.clone())).collect();
    found.sort();
    found.into_iter().take(count).map(|(_, name, id)| (name, id)).collect()
}

async fn suggested(autocomplete: &Autocomplete<TestConnection>, prefix: &str) -> Vec<(String, String)> {
    let found = autocomplete.suggest(prefix, MAX_SUGGESTIONS).await.unwrap();
    found.into_iter().map(|it| (it.name, it.id)).collect()
}

async fn ids(autocomplete: &Autocomplete<TestConnection>, prefix: &str) -> BTreeSet<String> {
    suggested(autocomplete, prefix).await.into_iter().map(|(_, id)| id).collect()
}

async fn lines(connection: &TestConnection, autocomplete: &Autocomplete<TestConnection>) -> Vec<String> {
    connection.send(&["ZRANGE", &autocomplete.key().unwrap(), "0", "-1"]).await
}

/// The index has the lines that these products have in a new one, and no others.
async fn assert_no_ghosts(
    connection: &TestConnection,
    autocomplete: &Autocomplete<TestConnection>,
    model: &Model,
) {
    let new = Autocomplete::new(connection.clone(), &prefix());
    for (id, (name, popularity)) in model {
        assert!(new.put(id, name, *popularity).await.unwrap());
    }
    assert_eq!(lines(connection, autocomplete).await, lines(connection, &new).await);
}

#[test]
fn what_people_type_differently_is_the_same() {
    let same = [
        [
            "CAFÉ",
            "cafe\u{301}",
            "  Café ",
            "“Café”",
            "«café»",
            "caf\u{ad}e",
            "\u{feff}cafe\u{200b}",
            "ca\u{2060}fe",
        ],
        ["Chef’s knife", "chefs knife", "CHEF'S-KNIFE", "chef`s knife", "‘Chef´s’ knife", "", "", ""],
        ["Rock ‘n’ Roll", "rock n roll", "Rock 'n' roll", "rock–n–roll", "rock n’ roll", "", "", ""],
        ["Đà Nẵng Łódź Ørsted", "da nang lodz orsted", "đà NẴNG łódź ørsted", "", "", "", "", ""],
        ["Æble Œuvre Þór Ðis Ħal ŋ", "aeble oeuvre thor dis hal n", "", "", "", "", "", ""],
        ["STRAẞE", "straße", "strasse", "", "", "", "", ""],
        ["İSTANBUL", "istanbul", "ıstanbul", "Istanbul", "", "", "", ""],
        ["ΣΊΣΥΦΟΣ", "σισυφος", "", "", "", "", "", ""],
        ["ﬁne ｗｉｄｅ", "FINE WIDE", "", "", "", "", "", ""],
        ["Ёлка", "елка", "", "", "", "", "", ""],
        ["col·lecció", "colleccio", "", "", "", "", "", ""],
        ["a \t\u{3000}\u{a0} b", "A B", "a…b", "a/b", "(a), b!", "「a」b", "", ""],
        ["☕\u{fe0f}", "☕", "", "", "", "", "", ""],
        ["Ǆ ŉ Acme™", "dž ʼn acme", "", "", "", "", "", ""],
        // Arabic and Hebrew points are optional, and so is the stroke that stretches an Arabic word.
        ["مُحَمَّد", "محمد", "محـمد", "", "", "", "", ""],
        ["שָׁלוֹם", "שלום", "", "", "", "", "", ""],
        ["צה״ל", "צהל", "צה\"ל", "", "", "", "", ""],
        // Composed and decomposed.
        ["가\u{2d}각", "\u{1100}\u{1161} \u{1100}\u{1161}\u{11a8}", "", "", "", "", "", ""],
        ["क़लम", "क\u{93c}लम", "", "", "", "", "", ""],
    ];
    for spellings in same {
        for other in spellings.iter().filter(|it| !it.is_empty()) {
            assert_eq!(normalized(spellings[0]), normalized(other), "{other}");
        }
    }
    // Signs that make another word stay.
    let different = [
        ["ガス", "カス"],
        ["हिन्दी", "हन्द"],
        ["कि", "की"],
        ["ก\u{e34}น", "กน"],
        ["தமிழ்", "தமழ"],
        ["日本", "日木"],
        ["👍", "👎"],
    ];
    for [one, other] in different {
        assert_ne!(normalized(one), normalized(other), "{one}");
    }
    // If you have typed half a syllable, you see the whole one.
    assert!(normalized("한국").starts_with(&normalized("하")));
    assert_eq!(terms("“Café”-‘n’ crème"), ["cafe n creme", "n creme", "creme"]);
    assert_eq!(terms("…"), [""; 0]);
}

#[test]
fn a_normalized_character_stays_as_it_is() {
    let changing = (char::MIN..=char::MAX).filter(|character| {
        let once = normalized(&character.to_string());
        once.contains(|it: char| it == '\n' || it.is_ascii_uppercase()) || normalized(&once) != once
    });
    assert_eq!(changing.collect::<String>(), "");
}

#[test]
fn what_is_compared_is_bounded() {
    let text = prop_oneof![any::<String>(), "\\PC{0,300}", "[\u{ff00}-\u{ffef} \u{fd00}-\u{fdff}]{0,150}"];
    let result = TestRunner::new(cases(2_000)).run(&text, |text| {
        let normal = normalized(&text);
        prop_assert!(normal.chars().count() <= 100);
        prop_assert_eq!(normalized(&normal), normal.clone());
        prop_assert!(normal.trim() == normal && !normal.contains("  "));
        prop_assert!(terms(&text).len() <= 8);
        Ok(())
    });
    assert_eq!(result, Ok(()));
    assert!(normalized(&"\u{fdfa}".repeat(1_000_000)).chars().count() <= 100);
}

#[test]
fn names_are_found_by_the_beginning_of_any_word_in_any_spelling() {
    everywhere(async |connection, prefix| {
        for listed in [0, 8] {
            let prefix = format!("{prefix}{listed}:");
            let autocomplete = Autocomplete::new(connection.clone(), &prefix).with_listed_characters(listed);
            let names = [
                "“Café” Crème",
                "Decaf",
                "日本の茶",
                "Tea ☕ 日本",
                "Chef’s knife-sharpener",
                "\u{10fffd}x ÿ",
            ];
            for (number, name) in names.iter().enumerate() {
                autocomplete.put(&format!("p{number}"), name, 1).await.unwrap();
            }
            for (typed, found) in [
                ("CAFE", vec![0]),
                ("cafe\u{301}  cre", vec![0]),
                ("‘caf", vec![0]),
                ("crÈ", vec![0]),
                ("日", vec![2, 3]),
                ("日本の", vec![2]),
                ("☕ 日", vec![3]),
                ("sharp", vec![4]),
                ("chefs k", vec![4]),
                ("chef's knife sh", vec![4]),
                ("\u{10fffd}", vec![5]),
                ("y", vec![5]),
                ("x", vec![]),
                ("cafx", vec![]),
                ("caf\u{0}", vec![0]),
                ("cafe creme and more", vec![]),
            ] {
                let found: BTreeSet<String> = found.iter().map(|number| format!("p{number}")).collect();
                assert_eq!(ids(&autocomplete, typed).await, found, "{typed:?}, {listed} listed");
            }
        }
    });
}

#[test]
fn the_most_popular_come_first_and_equals_by_name_then_id() {
    everywhere(async |connection, prefix| {
        let autocomplete = Autocomplete::new(connection.clone(), &prefix);
        for (id, name, popularity) in [
            ("b", "Mug mug mug", 5),
            ("a", "Mug mug mug", 5),
            ("c", "Mug mug mug blue", 5),
            ("d", "Mug mug mug-a", 5),
            ("e", "Mug mug mugs", u64::MAX),
            ("f", "Mug mug mu", 0),
        ] {
            autocomplete.put(id, name, popularity).await.unwrap();
        }
        for typed in ["m", "Mu", " ", "mug mug mu"] {
            let found = suggested(&autocomplete, typed).await;
            assert_eq!(found.iter().map(|(_, id)| id.as_str()).collect::<String>(), "eabcdf", "{typed:?}");
        }
        let best = autocomplete.suggest("mug mug m", 2).await.unwrap();
        assert_eq!((best.len(), best[0].popularity, best[1].popularity), (2, u64::MAX, 5));
        assert_eq!(autocomplete.suggest("m", 0).await.unwrap(), []);
        assert_eq!(autocomplete.suggest("", usize::MAX).await.unwrap().len(), 6);
    });
}

#[test]
fn ids_and_names_are_any_texts() {
    everywhere(async |connection, prefix| {
        let autocomplete = Autocomplete::new(connection.clone(), &prefix);
        let texts = ["a\nb", "a\\nb", "a\\\nb", "\\", "ID:x", "T:x\n", "{}*?[%:", "Zoë", " a ", "\u{0}"];
        let long = "é".repeat(256);
        for (number, text) in (0..).zip(texts.iter().copied().chain([long.as_str()])) {
            assert!(
                autocomplete
                    .put(text, &if text == long { text.to_owned() } else { format!("Mug {text}") }, number)
                    .await
                    .unwrap()
            );
        }
        let found = autocomplete.suggest("", MAX_SUGGESTIONS).await.unwrap();
        let found: Vec<(&str, u64)> = found.iter().rev().map(|it| (it.id.as_str(), it.popularity)).collect();
        let wanted: Vec<(&str, u64)> = texts.iter().copied().chain([long.as_str()]).zip(0..).collect();
        assert_eq!(found, wanted);
        assert_eq!(suggested(&autocomplete, "mug a nb").await, [("Mug a\\nb".into(), "a\\nb".into())]);
        for text in texts.iter().copied().chain([long.as_str()]) {
            assert!(autocomplete.remove(text).await.unwrap());
            assert!(!autocomplete.remove(text).await.unwrap());
        }
        assert_eq!(lines(&connection, &autocomplete).await, [""; 0]);
        for text in ["", &"a".repeat(513)] {
            assert_matches!(autocomplete.put(text, "Mug", 1).await, Err(StoreError::Key(_)));
            assert_matches!(autocomplete.put("a", text, 1).await, Err(StoreError::Key(_)));
            assert_matches!(autocomplete.remove(text).await, Err(StoreError::Key(_)));
        }
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let autocomplete = Autocomplete::new(connection.clone(), &prefix);
        for popularity in [1, 2, 2] {
            assert_eq!(connection.round_trips_of(autocomplete.put("mug", "Coffee mug", popularity)).await, 1);
        }
        for typed in ["", "c", "coffee m", "coffee mu"] {
            assert_eq!(connection.round_trips_of(autocomplete.suggest(typed, 5)).await, 1);
        }
        assert_eq!(connection.round_trips_of(autocomplete.remove("mug")).await, 1);
    });
}

#[test]
fn foreign_data_is_refused_and_left_alone() {
    everywhere(async |connection, prefix| {
        let autocomplete = Autocomplete::new(connection.clone(), &prefix);
        let key = autocomplete.key().unwrap();
        let _: () = connection.send(&["SET", &key, "mine"]).await;
        assert_matches!(autocomplete.put("mug", "Mug", 1).await, Err(StoreError::WrongType(_)));
        let _: () = connection.send(&["DEL", &key]).await;
        let _: () =
            connection.send(&["ZADD", &key, "0", "ID:mug\nx", "0", "m\nx", "0", "T:mug of coffee\nx"]).await;
        assert_matches!(autocomplete.put("mug", "Mug", 1).await, Err(StoreError::Malformed(_)));
        for typed in ["m", "mug of co"] {
            assert_matches!(autocomplete.suggest(typed, 1).await, Err(StoreError::Malformed(_)));
        }
        assert_eq!(lines(&connection, &autocomplete).await.len(), 3);
    });
}

#[test]
fn random_changes_leave_what_a_search_of_everything_finds() {
    let words = [
        "Café",
        "cafe\u{301}s",
        "Straße",
        "日本",
        "☕",
        "👩\u{200d}💻",
        "ﬁne",
        "İs",
        "한국",
        "हिन्दी",
        "A-b",
        "o’n",
        "ÿ",
        "a",
        "ab",
    ];
    let word =
        prop_oneof![8 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => "\\PC{1,5}"];
    let name = prop::collection::vec(word, 1..5).prop_map(|words| words.join(" "));
    let change = (0..12_u8, prop::option::weighted(0.8, (name.clone(), 0..4_u64)));
    let changes = (prop::collection::vec(change, 1..40), name);
    let result = TestRunner::new(cases(8)).run(&changes, |(changes, other)| {
        everywhere(async |connection, prefix| {
            let autocomplete = Autocomplete::new(connection.clone(), &prefix);
            let mut model = Model::new();
            for (number, change) in &changes {
                let id = format!("p{number}");
                if let Some((name, popularity)) = change {
                    let is_new = autocomplete.put(&id, name, *popularity).await.unwrap();
                    assert_eq!(is_new, model.insert(id, (name.clone(), *popularity)).is_none());
                } else {
                    assert_eq!(autocomplete.remove(&id).await.unwrap(), model.remove(&id).is_some());
                }
            }
            assert_no_ghosts(&connection, &autocomplete, &model).await;
            let mut typed = BTreeSet::from([String::new(), "a".into(), "カ".into(), other.clone()]);
            for term in model.values().flat_map(|(name, _)| terms(name)) {
                typed.extend((1..11).map(|length| term.chars().take(length).collect::<String>()));
            }
            for typed in typed {
                assert_eq!(
                    suggested(&autocomplete, &typed).await,
                    expected(&model, &typed, MAX_SUGGESTIONS),
                    "{typed:?}"
                );
            }
        });
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn the_listed_characters_change_when_every_product_is_put_again() {
    everywhere(async |connection, prefix| {
        let few = Autocomplete::new(connection.clone(), &prefix).with_listed_characters(0);
        let all = Autocomplete::new(connection.clone(), &prefix);
        few.put("mug", "Coffee mug", 1).await.unwrap();
        assert_eq!(lines(&connection, &few).await.len(), 4);
        assert!(!all.put("mug", "Coffee mug", 1).await.unwrap());
        assert_eq!(all.suggest("co", 1).await.unwrap().len(), 1);
        few.put("mug", "Coffee mug", 1).await.unwrap();
        assert_eq!(lines(&connection, &few).await.len(), 4);
        assert_eq!(few.suggest("co", 1).await.unwrap().len(), 1);
    });
}

#[tokio::test]
async fn a_prefix_that_is_not_listed_looks_at_no_more_than_it_states() {
    let connection = TestConnection::server().await;
    let autocomplete = Autocomplete::new(connection, &prefix()).with_listed_characters(1);
    for number in 0..=MAX_HITS {
        // The most popular one is the one too many.
        autocomplete.put(&format!("p{number}"), &format!("mug {number:05}"), number as u64).await.unwrap();
    }
    assert_eq!(autocomplete.suggest("mu", 1).await.unwrap()[0].popularity, MAX_HITS as u64 - 1);
    assert_eq!(autocomplete.suggest("m", 1).await.unwrap()[0].popularity, MAX_HITS as u64);
    assert_eq!(autocomplete.suggest("mug 01", 1).await.unwrap()[0].popularity, MAX_HITS as u64);
}

#[tokio::test]
async fn the_work_of_a_call_does_not_grow_with_the_catalog() {
    let server = Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let autocomplete = Autocomplete::new(connection.clone(), "");
    let name = |number: u64| format!("Mug mini tall {number} a b c d e f g h");
    for number in 0..3_000 {
        autocomplete.put(&format!("p{number}"), &name(number), number).await.unwrap();
    }
    assert!(!autocomplete.remove("the server learns the script").await.unwrap());
    // The best of every list leave; nothing has to be filled again.
    for number in (2_000..3_000).rev() {
        let best = autocomplete.suggest("m", 3).await.unwrap();
        assert_eq!(best[0].popularity, number);
        let commands = commands_of(&connection, autocomplete.remove(&best[0].id)).await;
        assert_eq!(
            commands,
            BTreeMap::from([("evalsha".into(), 1), ("zrange".into(), 1), ("zrem".into(), 1)])
        );
        if number == 2_999 {
            let commands = commands_of(&connection, autocomplete.put(&best[1].id, &name(1), 1)).await;
            let calls = ["evalsha", "zadd", "zrange", "zrem"].map(|command| (command.to_owned(), 1));
            assert_eq!(commands, BTreeMap::from(calls));
            autocomplete.put(&best[1].id, &best[1].name, best[1].popularity).await.unwrap();
        }
    }
    // Eight words, each with its term and eight prefixes, the empty prefix, and the record.
    let own = Autocomplete::new(connection.clone(), "own:");
    own.put("p", "abcdefghi bcdefghij cdefghijk defghijkl efghijklm fghijklmn ghijklmno hijklmnop ijk", 1)
        .await
        .unwrap();
    assert_eq!(lines(&connection, &own).await.len(), 8 * 9 + 2);
}

#[tokio::test]
async fn removing_works_when_memory_is_full() {
    let server = Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let autocomplete = Autocomplete::new(connection.clone(), "");
    autocomplete.put("mug", "Coffee mug", 1).await.unwrap();
    let _: () = connection.send(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(autocomplete.put("mug", "Tea mug", 1).await.is_err());
    assert_eq!(autocomplete.suggest("coffee mug", 1).await.unwrap().len(), 1);
    assert!(autocomplete.remove("mug").await.unwrap());
}

const CLIENTS: u64 = 10;
const CHANGES: u64 = 40;
const PRODUCTS: u64 = 4;

/// A change that was acknowledged: what it left, and the moments before it was asked for and after the answer.
struct Change {
    id: String,
    name: Option<String>,
    asked: u64,
    answered: u64,
}

/// All clients change the same few products, and remove some.
async fn race(autocomplete: &Autocomplete<TestConnection>) -> Vec<Change> {
    let clock = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (autocomplete, clock) = (autocomplete.clone(), Arc::clone(&clock));
        clients.spawn(async move {
            let mut changes = Vec::new();
            for number in 0..CHANGES {
                let id = format!("p{}", (client + number) % PRODUCTS);
                let asked = clock.fetch_add(1, Ordering::SeqCst);
                let name = (number % 5 != 2).then(|| format!("Mug {client} Übergroß {number}"));
                match &name {
                    Some(name) => drop(autocomplete.put(&id, name, number % 7).await.unwrap()),
                    None => drop(autocomplete.remove(&id).await.unwrap()),
                }
                changes.push(Change { id, name, asked, answered: clock.fetch_add(1, Ordering::SeqCst) });
            }
            changes
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

/// Each product is as one of its last changes left it, and nothing else is in the index.
async fn assert_the_last_change_holds(
    connection: &TestConnection,
    autocomplete: &Autocomplete<TestConnection>,
    changes: &[Change],
) {
    let mut model = Model::new();
    for it in autocomplete.suggest("", MAX_SUGGESTIONS).await.unwrap() {
        assert_eq!(model.insert(it.id.clone(), (it.name, it.popularity)), None, "{} has two names", it.id);
    }
    for number in 0..PRODUCTS {
        let id = format!("p{number}");
        let of_product: Vec<&Change> = changes.iter().filter(|change| change.id == id).collect();
        let begun_last = of_product.iter().map(|change| change.asked).max().unwrap();
        let mut may_be_last = of_product.iter().filter(|it| it.answered > begun_last);
        let holds = model.get(&id).map(|(name, _)| name);
        assert!(may_be_last.any(|change| change.name.as_ref() == holds), "{id} is {holds:?}");
    }
    assert_no_ghosts(connection, autocomplete, &model).await;
}

#[test]
fn racing_changes_leave_the_last_one_and_no_ghost() {
    everywhere(async |connection, prefix| {
        let autocomplete = Autocomplete::new(connection.clone(), &prefix);
        let changes = race(&autocomplete).await;
        assert_the_last_change_holds(&connection, &autocomplete, &changes).await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_changes_leave_no_ghost_while_the_slot_moves() {
    let connection = TestConnection::cluster().await;
    let autocomplete = Autocomplete::new(connection.clone(), &prefix());
    let moving = MovingSlots::of([autocomplete.key().unwrap()]);
    race(&autocomplete).await;
    let changes = race(&autocomplete).await;
    moving.end();
    assert_the_last_change_holds(&connection, &autocomplete, &changes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_after_a_lost_answer_leaves_no_ghost() {
    let lossy = lossy_proxy(lab_testing::server(), 7);
    let (connection, prefix) = (TestConnection::server().await, prefix());
    let unsure = Autocomplete::new(TestConnection::reconnecting(&lossy.url()).await, &prefix);
    let autocomplete = Autocomplete::new(connection.clone(), &prefix);
    for number in 0..40_u64 {
        let mut model = Model::new();
        // Until there is an answer.
        if number % 5 == 4 {
            while unsure.remove("p").await.is_err() {}
        } else {
            let name = format!("Mug {number} large");
            while unsure.put("p", &name, number).await.is_err() {}
            model.insert("p".into(), (name, number));
        }
        assert_no_ghosts(&connection, &autocomplete, &model).await;
    }
    assert!(lossy.cuts() > 3, "{}", lossy.cuts());
}
