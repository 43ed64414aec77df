//! Each script says in its comments what it gets and what it replies, in one form, so that a lesson can label them.

use std::collections::BTreeSet;
use std::fs;

#[test]
fn every_script_is_named_after_its_file() {
    let named: BTreeSet<String> = patterns::scripts()
        .map(|(operation, script)| {
            let (file, name) = script.name().split_once(".lua").unwrap();
            assert!(name.is_empty() || name == format!(": {operation}"), "{}", script.name());
            file.to_owned()
        })
        .collect();
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files = files.filter_map(|name| name.strip_suffix(".lua").map(str::to_owned));
    let files: BTreeSet<String> = files.filter(|name| name != "script").collect();
    assert_eq!(named, files);
}

#[test]
fn every_script_says_what_it_gets_and_what_it_replies() {
    let faults: Vec<String> = patterns::scripts()
        .flat_map(|(_, script)| {
            let faults = faults(script.shown());
            faults.into_iter().map(|fault| format!("{}: {fault}", script.name()))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn faults(shown: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let code: String =
        shown.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n");
    for array in ["KEYS", "ARGV"] {
        let Ok([names]) = <[String; 1]>::try_from(headers(shown, array)) else {
            if code.contains(array) {
                faults.push(format!("it needs one comment that begins with {array}:"));
            }
            continue;
        };
        let count = names.split(", ").count();
        let index = |rest: &str| rest.split_once(']').and_then(|(number, _)| number.parse::<usize>().ok());
        let used = code.split(&format!("{array}[")).skip(1).filter_map(index).max().unwrap_or_default();
        if used > count {
            faults.push(format!("{array}[{used}] has no name in: {names}"));
        } else if used + 1 < count
            && !names.contains("for each")
            && !code.contains(&format!("unpack({array}"))
        {
            faults.push(format!("of {array}, no more than {used} are used: {names}"));
        }
    }

    let Ok([replies]) = <[String; 1]>::try_from(headers(shown, "Replies")) else {
        faults.push("it needs one comment that begins with Replies:".to_owned());
        return faults;
    };
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|char: char| !char.is_ascii_uppercase() && char != '_');
        words.filter(|word| word.len() > 2).map(str::to_owned).collect()
    };
    let outcome = |reply: &str| words(reply.split(',').next().unwrap_or_default());
    let named: BTreeSet<String> = replies.split("; or ").flat_map(outcome).collect();
    for outcome in named.iter().filter(|outcome| !code.contains(&format!("'{outcome}'"))) {
        faults.push(format!("it never replies {outcome}"));
    }
    for returned in code.split("return {").skip(1) {
        let first = returned.split([',', '}']).next().unwrap_or_default();
        // `'WORD'`, or `condition and 'WORD' or 'OTHER'`.
        let literals = first.split('\'').skip(1).step_by(2).map(words);
        for outcome in literals.flatten().collect::<BTreeSet<_>>().difference(&named) {
            faults.push(format!("it does not mention the reply {outcome}"));
        }
    }
    faults
}

/// What follows `-- name: `, with the lines that continue it.
fn headers(shown: &str, name: &str) -> Vec<String> {
    let begin = format!("-- {name}: ");
    let mut lines = shown.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(header) = line.strip_prefix(&begin) else { continue };
        let mut header = header.to_owned();
        while let Some(more) = lines.next_if(|next| next.starts_with("--   ")) {
            header.push(' ');
            header.push_str(more.trim_start_matches(['-', ' ']));
        }
        found.push(header);
    }
    found
}
