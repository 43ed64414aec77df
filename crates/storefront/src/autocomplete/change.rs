//! Putting a product into the index, and taking it out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use redis::Script;
use redis::aio::ConnectionLike;

use super::{
    Autocomplete, HIGHEST_POPULARITY, Index, KEPT_OF_A_PREFIX, LONGEST_LISTED_PREFIX, MOST_SUGGESTIONS, terms,
};
use crate::catalogue::Put;
use crate::script;
use crate::store::{Reply, StoreError};
use crate::{ProductName, Sku};

static CHANGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("../scripts/types.lua"),
        include_str!("scripts/prefix_list.lua"),
        include_str!("scripts/change.lua")
    ))
});

impl<C: ConnectionLike + Clone> Autocomplete<C> {
    /// Puts a product into the index, or gives it this name and popularity; above [`HIGHEST_POPULARITY`] counts as that.
    /// All in one step: whoever asks sees the product as it was, or as it is.
    ///
    /// One round trip and O(words · log terms). With [`Index::Weighted`] a product that is there already takes two, as the
    /// lists it is to leave must be known: one to learn them, one to change; and again if somebody else changed the product
    /// meanwhile. Refilling a list, at most once for 80 removals from it, goes through all terms of its prefix.
    pub async fn put(&self, sku: &Sku, name: &ProductName, popularity: u64) -> Result<Put, StoreError> {
        let mut state = vec![name.as_str().to_owned()];
        state.extend(terms(name.as_str()));
        let popularity = popularity.min(HIGHEST_POPULARITY);
        let reply = self.change(sku, &state, popularity).await?;
        match reply.outcome.as_str() {
            "ADDED" => Ok(Put::Added),
            "CHANGED" => Ok(Put::Changed),
            _ => Err(reply.into_error()),
        }
    }

    /// Takes a product out of the index; `false` if it was not in it. Round trips as for [`Autocomplete::put`].
    pub async fn remove(&self, sku: &Sku) -> Result<bool, StoreError> {
        let reply = self.change(sku, &[], 0).await?;
        match reply.outcome.as_str() {
            "REMOVED" => Ok(true),
            "UNKNOWN" => Ok(false),
            _ => Err(reply.into_error()),
        }
    }

    /// Brings the product into a state: its name, then its terms; empty: it is gone.
    async fn change(&self, sku: &Sku, state: &[String], popularity: u64) -> Result<Reply, StoreError> {
        // At first we take it that the product is new.
        let mut former = String::new();
        loop {
            let mut call = CHANGE.key(self.keys.autocomplete_terms());
            call.key(self.keys.autocomplete_popular()).key(self.keys.autocomplete_products());
            call.arg(sku.as_str()).arg(state.join("\n")).arg(score(popularity));
            call.arg(KEPT_OF_A_PREFIX).arg(MOST_SUGGESTIONS);
            match self.index {
                Index::Lexicographic => {
                    call.arg("any").arg("");
                }
                Index::Weighted => {
                    call.arg("this").arg(&former);
                    for (prefix, stays) in prefixes(&former, state) {
                        call.key(self.keys.autocomplete_prefix(prefix)).arg(prefix).arg(u8::from(stays));
                    }
                }
            }
            let mut reply: Reply = script::run(&call, &self.connection).await?;
            if reply.outcome != "DIFFERS" {
                return Ok(reply);
            }
            // Each time that somebody else is faster, somebody else has got on.
            former = reply.next()?;
        }
    }
}

/// The prefixes with a list of the former terms and of the new ones, each with whether it is one of the new.
fn prefixes<'a>(former: &'a str, state: &'a [String]) -> BTreeMap<&'a str, bool> {
    let listed = |term: &'a str| {
        let ends = term.char_indices().map(|(at, character)| at + character.len_utf8());
        // Nobody asks for a prefix that ends with a space: it is normalised too.
        ends.take(LONGEST_LISTED_PREFIX).map(move |end| &term[..end]).filter(|prefix| !prefix.ends_with(' '))
    };
    let mut prefixes: BTreeMap<&str, bool> =
        former.split('\n').skip(1).flat_map(listed).map(|prefix| (prefix, false)).collect();
    prefixes.extend(state.iter().skip(1).flat_map(|term| listed(term)).map(|prefix| (prefix, true)));
    prefixes
}

/// Below zero, so that the most popular come first, and those of one popularity in the order of their names.
fn score(popularity: u64) -> String {
    if popularity == 0 { "0".to_owned() } else { format!("-{popularity}") }
}
