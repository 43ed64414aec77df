//! Scripts of `patterns`, as lessons print them.

use lab_runner::LuaScript;
use patterns::script::Script;

/// The whole script, without the functions that all patterns share.
#[must_use]
pub fn lua(script: &'static Script) -> LuaScript<'static> {
    part(script, script.shown())
}

/// Of a script with several sections, only its own: from the comment that says what it does to the next blank line.
#[must_use]
pub fn lua_section(script: &'static Script) -> LuaScript<'static> {
    let text = &script.shown()[contract_start(script.shown())..];
    part(script, text.split("\n\n").next().unwrap_or(text))
}

/// Only the comment that says what a script does, gets, and replies. For scripts that are called but do not carry the idea.
#[must_use]
pub fn lua_contract(script: &'static Script) -> LuaScript<'static> {
    let text = &script.shown()[contract_start(script.shown())..];
    let end = text.split_inclusive('\n').take_while(|line| line.starts_with("--")).map(str::len).sum();
    part(script, &text[..end])
}

fn part(script: &'static Script, text: &'static str) -> LuaScript<'static> {
    let name = script.name();
    let file = name.split(": ").next().unwrap_or(name);
    // Sections that follow each other in a script need not do so in the file.
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let start = script.file().find(paragraph).unwrap_or(0);
    LuaScript {
        name,
        // Leaked, because a lesson prints a script once.
        path: format!("crates/patterns/src/{file}").leak(),
        line: script.file()[..start].matches('\n').count() + 1,
        text,
        source: script.source(),
        hash: script.hash(),
    }
}

/// Where the comment begins that has the line `-- KEYS:`.
fn contract_start(text: &str) -> usize {
    let keys = text.find("-- KEYS:").unwrap_or(0);
    let mut start = keys;
    for line in text[..keys].split_inclusive('\n').rev().take_while(|line| line.starts_with("-- ")) {
        start -= line.len();
    }
    start
}
