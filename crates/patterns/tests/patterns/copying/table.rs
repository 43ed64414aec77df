//! The table in the README: `| [name](path) | files | lines | dependencies | what it is for | what holds |`.

use std::collections::BTreeSet;
use std::fs;

use super::source;

/// What begins each row.
const PATH: &str = "crates/patterns/src/";

/// A pattern.
pub struct Row {
    pub name: String,
    pub path: String,
    /// What to copy: the pattern first, then what it needs.
    pub files: Vec<String>,
    /// How many lines these files have.
    pub lines: usize,
    pub dependencies: Vec<String>,
    pub purpose: String,
    pub holds: String,
}

impl Row {
    /// The row of a pattern, read from its source.
    pub fn of(pattern: &str) -> Self {
        let files = files_of(pattern);
        let text: String = files.iter().map(|file| fs::read_to_string(source(file)).unwrap()).collect();
        let docs = docs_of(pattern);
        let purpose = docs.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        let promise = docs.split_once("- **Promise**: ").map_or("", |(_, rest)| rest).replace('\n', " ");
        Self {
            name: pattern.to_owned(),
            path: format!("{PATH}{pattern}.rs"),
            lines: text.lines().count(),
            dependencies: dependencies_of(&files),
            files,
            // After the name of the thing.
            purpose: first_sentence(purpose.split_once(": ").map_or(&purpose, |(_, purpose)| purpose)),
            holds: first_sentence(&promise),
        }
    }

    pub fn line(&self) -> String {
        let Self { name, path, lines, purpose, holds, .. } = self;
        let (files, dependencies) = (self.files.join(" "), self.dependencies.join(" "));
        format!("| [{name}]({path}) | {files} | {lines} | {dependencies} | {purpose} | {holds} |")
    }

    fn parse(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [name, files, lines, dependencies, purpose, holds] = cells[..] else { return None };
        let (name, path) = name.strip_prefix('[')?.strip_suffix(')')?.split_once("](")?;
        let words = |cell: &str| cell.split_whitespace().map(str::to_owned).collect();
        path.starts_with(PATH).then(|| Self {
            name: name.to_owned(),
            path: path.to_owned(),
            files: words(files),
            lines: lines.parse().unwrap_or(0),
            dependencies: words(dependencies),
            purpose: purpose.to_owned(),
            holds: holds.to_owned(),
        })
    }
}

/// The rows of the README.
pub fn rows(readme: &str) -> Vec<Row> {
    readme.lines().filter_map(Row::parse).collect()
}

/// The README with what can be read from the sources brought up to date. New patterns come last.
pub fn update(readme: &str, patterns: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let (mut listed, mut end) = (BTreeSet::new(), None);
    for line in readme.lines() {
        match Row::parse(line) {
            Some(Row { name, purpose, holds, .. }) => {
                if patterns.contains(&name) && listed.insert(name.clone()) {
                    lines.push(Row { purpose, holds, ..Row::of(&name) }.line());
                }
                end = Some(lines.len());
            }
            None => lines.push(line.to_owned()),
        }
    }
    let new = patterns.iter().filter(|name| !listed.contains(*name)).map(|name| Row::of(name).line());
    let end = end.expect("the README has a row to begin with");
    lines.splice(end..end, new);
    lines.join("\n") + "\n"
}

/// The pattern's file, the modules that it uses, and theirs, each with the scripts that it includes.
fn files_of(pattern: &str) -> Vec<String> {
    let mut files = vec![format!("{pattern}.rs")];
    let mut next = 0;
    while next < files.len() {
        let text = code_of(&files[next]);
        let scripts = after_each(&text, "include_str!(\"", |character| character != '"');
        let modules =
            after_each(&text, "crate::", |character| character.is_ascii_lowercase() || character == '_');
        let used = scripts.into_iter().chain(modules.into_iter().map(|module| module + ".rs"));
        files.extend(used.filter(|file| source(file).is_file()));
        let mut seen = BTreeSet::new();
        files.retain(|file| seen.insert(file.clone()));
        next += 1;
    }
    files
}

/// The dependencies of the library that these files name outside their tests.
fn dependencies_of(files: &[String]) -> Vec<String> {
    let manifest = fs::read_to_string(source("../Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let all =
        rest.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split(['.', ' ']).next());
    let text: String = files.iter().map(|file| code_of(file)).collect();
    all.filter(|name| text.contains(&format!("{}::", name.replace('-', "_")))).map(str::to_owned).collect()
}

/// Without comments and without tests.
fn code_of(file: &str) -> String {
    let text = fs::read_to_string(source(file)).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The texts of these characters that follow the words.
fn after_each(text: &str, words: &str, belongs: impl Fn(char) -> bool) -> Vec<String> {
    let ends = text.split(words).skip(1);
    ends.map(|after| after.chars().take_while(|character| belongs(*character)).collect()).collect()
}

/// The module's docs.
fn docs_of(pattern: &str) -> String {
    let text = fs::read_to_string(source(&format!("{pattern}.rs"))).unwrap();
    let docs = text.lines().map_while(|line| line.strip_prefix("//!"));
    docs.map(str::trim).collect::<Vec<_>>().join("\n")
}

/// Up to the first period, as the cell of a table.
fn first_sentence(text: &str) -> String {
    let sentence = text.split(". ").next().unwrap_or_default();
    sentence.trim_end_matches('.').replace('|', "\\|").replace("[`", "`").replace("`]", "`")
}
