//! A guide that deviates from its format is refused with the line, and with what is expected there.

use interview::guide::{Guide, Level};
use proptest::prelude::*;

const GOOD: &str = "# Redis guide

What it is.

## Contents

- [Types](#types): question 1

## Types

### 1. What is a `key`?

Level: expert

**Say:** A name,
in bytes.

**Why:** It has to be found:

- quickly

**Trap:** Spaces.

```redis
# A comment.
> SET \"my key\" 1
OK
```

And:

```redis same
> GET \"my key\"
\"1\"
```

**See:** [`strings`](crates/simple-ops/src/strings.rs): keys.
";

fn parsed(text: &str) -> Guide {
    Guide::parse(text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn assert_refused(text: &str, line: usize, expected: &str) {
    let told = Guide::parse(text).expect_err(expected).to_string();
    let place = format!("REDIS_GUIDE.md:{line}: ");
    assert!(told.contains(&place) && told.contains(expected), "line {line}, {expected:?}: {told}");
}

#[test]
fn the_parts_of_a_question_are_understood() {
    let guide = parsed(GOOD);
    let (topic, question) = guide.questions().next().unwrap();
    assert_eq!((topic.title.as_str(), question.number, question.level), ("Types", 1, Level::Expert));
    assert_eq!((question.title.as_str(), question.slug.as_str()), ("What is a `key`?", "what-is-a-key"));
    assert_eq!(question.say[0].text(), "A name, in bytes.");
    assert_eq!(question.why[1].text(), "- quickly");
    assert_eq!(question.trap[0].text(), "Spaces.");
    assert_eq!(question.blocks().count(), 2);
    assert_eq!(question.links()[0].target, "crates/simple-ops/src/strings.rs");
}

#[test]
fn a_question_may_have_follow_ups_and_pages_to_read() {
    let guide = parsed(GOOD);
    let (_, question) = guide.questions().next().unwrap();
    assert_eq!((question.follow_ups.len(), question.read_more.len()), (0, 0));

    let follow_up = "**They will ask next:** How long may it be?\n512 MB.";
    let page = "**Read more:** [Keys](https://redis.io/docs/latest/develop/using-commands/keyspace/)";
    let text = |between: &str| GOOD.replace("Spaces.\n", &format!("Spaces.\n\n{between}\n"));
    for (between, follow_ups, pages) in
        [(format!("{follow_up}\n\n{page}"), 1, 1), (follow_up.to_owned(), 1, 0), (page.to_owned(), 0, 1)]
    {
        let guide = parsed(&text(&between));
        let (_, question) = guide.questions().next().unwrap();
        assert_eq!((question.follow_ups.len(), question.read_more.len()), (follow_ups, pages), "{between}");
        assert_eq!((question.trap.len(), question.blocks().count()), (1, 2), "{between}");
        if follow_ups == 1 {
            assert_eq!(question.follow_ups[0].text(), "How long may it be? 512 MB.");
        }
        assert_eq!(question.links().iter().any(|link| link.text == "Keys"), pages == 1, "{between}");
    }
    for (between, line, expected) in [
        (format!("{page}\n\n{follow_up}"), 26, "an example is expected"),
        ("**They will ask next:**".to_owned(), 24, "says nothing"),
        ("**Read more:** [Keys](crates/simple-ops/src/strings.rs)".to_owned(), 24, "https://"),
    ] {
        assert_refused(&text(&between), line, expected);
    }
}

#[test]
fn pages_may_follow_the_topics() {
    let end = "\n## Index\n\n### Commands\n\n`GET` [1];\n\n## Study paths\n\nRead [1].\n";
    let guide = parsed(&(GOOD.to_owned() + end));
    assert_eq!((guide.topics.len(), guide.questions().count()), (1, 1));
    let titles: Vec<&str> = guide.appendices.iter().map(|appendix| appendix.title.as_str()).collect();
    assert_eq!(titles, ["Index", "Study paths"]);
    assert!(guide.appendices[0].lines.contains(&"### Commands".to_owned()));

    for (text, expected) in [
        (GOOD.to_owned() + "\n## Study paths\n" + end, "the order at the end"),
        (GOOD.to_owned() + end + "\n## More types\n", "no topic follows the index"),
    ] {
        let told = Guide::parse(&text).expect_err(expected).to_string();
        assert!(told.contains(expected), "{expected:?}: {told}");
    }
}

#[test]
fn a_diagram_stands_in_the_prose() {
    let diagram = "Spaces.\n\n```text\nA --> B\n```\n\n```mermaid\ngraph LR; A --> B\n```\n";
    let guide = parsed(&GOOD.replace("Spaces.\n", diagram));
    let (_, question) = guide.questions().next().unwrap();
    assert_eq!(question.trap.len(), 3);
    assert_eq!(question.trap[1].text(), "A --> B");
}

#[test]
fn every_deviation_is_told_with_its_line() {
    for (from, to, line, expected) in [
        ("# Redis guide\n", "Redis guide\n", 1, "its title"),
        ("## Contents", "## Content", 5, "## Contents"),
        ("### 1. What", "### What", 11, "### N. Title"),
        ("### 1. What", "#### 1. What", 11, "## Topic"),
        ("## Types\n", "## Types\n\nAll about types.\n", 9, "begins with its first question"),
        ("Level: expert", "Level: guru", 13, "Level: beginner"),
        ("**Say:**", "**Says:**", 15, "**Say:**"),
        ("**Why:** It has to be found:\n\n- quickly\n\n", "", 18, "**Why:**"),
        ("**Trap:** Spaces.", "**Trap:**", 22, "says nothing"),
        ("```redis\n#", "```\n#", 24, "```redis"),
        ("```redis\n#", "```rediss\n#", 24, "a listing"),
        ("**See:**", "```go\n```\n\n**See:**", 37, "rust, sh"),
        ("```redis\n#", "```redis sentinels\n#", 24, "no word of an info string"),
        ("> SET \"my key\" 1", "SET \"my key\" 1", 26, "begins with a prompt"),
        ("> SET \"my key\" 1", "> SET \"my key 1", 26, "quotes"),
        ("> SET", "node1> SET", 26, "node1"),
        (
            "```redis same\n> GET \"my key\"\n\"1\"\n```",
            "```redis same\n> GET \"my key\"\n\"1\"",
            32,
            "never closed",
        ),
        (
            "**See:** [`strings`](crates/simple-ops/src/strings.rs): keys.",
            "**See:** strings",
            37,
            "links to a file",
        ),
        ("**See:**", "See:", 38, "**See:**"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        assert_refused(&text, line, expected);
    }
}

#[test]
fn one_fault_of_each_question_is_told() {
    let second = GOOD.split_once("### 1. ").unwrap().1.replace("What is", "Why is there");
    let text = format!("{GOOD}\n### 2. {second}").replace("Level: expert", "Level: guru");
    let errors = Guide::parse(&text).unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
    let twice = format!("{GOOD}\n### 2. {}", GOOD.split_once("### 1. ").unwrap().1);
    assert!(Guide::parse(&twice).unwrap_err().to_string().contains("the same title"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// Lines lost, doubled and exchanged: it is a guide or it is refused.
    #[test]
    fn nothing_panics(picks in proptest::collection::vec(0_usize..38, 0..60)) {
        let lines: Vec<&str> = GOOD.lines().collect();
        let text: Vec<&str> = picks.iter().filter_map(|pick| lines.get(*pick).copied()).collect();
        let _ = Guide::parse(&text.join("\n"));
        let _ = Guide::parse(&format!("{GOOD}{}", text.join("\n")));
    }
}
