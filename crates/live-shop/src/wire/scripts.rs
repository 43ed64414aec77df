//! The scripts of all patterns, by hash, by source, and by name.

use std::collections::HashMap;
use std::sync::OnceLock;

use patterns::script::Script;

static BY_HASH: OnceLock<HashMap<&'static str, &'static Script>> = OnceLock::new();

/// The script with this hash or this name, such as `cart.lua: add`. A few scripts share a name, so only a hash says which one was sent.
pub fn script(hash_or_name: &str) -> Option<&'static Script> {
    let named = || by_hash().values().copied().find(|script| script.name() == hash_or_name);
    by_hash().get(hash_or_name).copied().or_else(named)
}

/// The script that EVALSHA means.
pub fn with_hash(hash: &[u8]) -> Option<&'static Script> {
    by_hash().get(std::str::from_utf8(hash).ok()?).copied()
}

/// The script with this source.
pub fn with_source(source: &[u8]) -> Option<&'static Script> {
    by_hash().values().copied().find(|script| script.source().as_bytes() == source)
}

fn by_hash() -> &'static HashMap<&'static str, &'static Script> {
    BY_HASH.get_or_init(|| patterns::scripts().map(|(_, script)| (script.hash(), script)).collect())
}
