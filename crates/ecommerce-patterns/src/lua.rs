//! Scripts of `patterns`, as lessons print them.

use futures_util::future::try_join_all;
use lab_runner::{LessonContext, LuaScript};
use patterns::script::Script;
use redis::RedisResult;

/// The whole script, without the functions that all patterns share.
#[must_use]
pub fn lua(script: &'static Script) -> LuaScript<'static> {
    part(script, script.shown())
}

/// Of a script with several sections, only its own, as it is in the file.
#[must_use]
pub fn lua_section(script: &'static Script) -> LuaScript<'static> {
    let operation = script.name().split(": ").nth(1).unwrap_or_default();
    let heading = format!("---- {operation}\n");
    let own = script.file().split_once(&heading).map_or(script.shown(), |(_, from)| from);
    part(script, own.split("\n---- ").next().unwrap_or(own))
}

/// From the line that begins with `first` to before the one that begins with `end`: the lines that carry the idea of a long script.
#[must_use]
pub fn lua_lines(script: &'static Script, first: &str, end: &str) -> LuaScript<'static> {
    let shown = script.shown();
    let line = |begin: &str| shown.find(&format!("\n{begin}")).map(|at| at + 1);
    part(script, &shown[line(first).unwrap_or(0)..line(end).unwrap_or(shown.len())])
}

/// Only the comment that says what a script does, gets, and replies. For scripts that are called but do not carry the idea.
#[must_use]
pub fn lua_contract(script: &'static Script) -> LuaScript<'static> {
    let text = &script.shown()[contract_start(script.shown())..];
    let end = text.split_inclusive('\n').take_while(|line| line.starts_with("--")).map(str::len).sum();
    part(script, &text[..end])
}

/// Loads all scripts of some patterns, so that each call is one EVALSHA and one round trip.
pub async fn load(ctx: &LessonContext, patterns: &[Vec<(&str, &'static Script)>]) -> RedisResult<()> {
    let mut files: Vec<&str> = patterns.iter().filter_map(|scripts| Some(file(scripts.first()?.1))).collect();
    files.dedup();
    ctx.announce(format!(
        "SCRIPT LOAD sends the scripts of {}, for calls that are not shown.",
        files.join(", ")
    ));
    let redis = ctx.target().connection();
    let loads = patterns.iter().flatten().map(|(_, script)| {
        let mut redis = redis.clone();
        async move { redis::cmd("SCRIPT").arg("LOAD").arg(script.source()).exec_async(&mut redis).await }
    });
    try_join_all(loads.collect::<Vec<_>>()).await.map(drop)
}

fn part(script: &'static Script, text: &'static str) -> LuaScript<'static> {
    // Sections that follow each other in a script need not do so in the file.
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let start = script.file().find(paragraph).unwrap_or(0);
    LuaScript {
        name: script.name(),
        // Leaked, because a lesson prints a script once.
        path: format!("crates/patterns/src/{}", file(script)).leak(),
        line: script.file()[..start].matches('\n').count() + 1,
        text,
        source: script.source(),
        hash: script.hash(),
    }
}

/// The file of a script, such as `cache.lua`.
fn file(script: &'static Script) -> &'static str {
    script.name().split(": ").next().unwrap_or_default()
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
