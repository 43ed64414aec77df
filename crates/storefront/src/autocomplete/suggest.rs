//! Asking for what completes a prefix.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError, Script};

use super::{
    Autocomplete, Index, LONGEST_LISTED_PREFIX, MOST_HITS, MOST_SUGGESTIONS, Suggestion, normalised,
};
use crate::script;
use crate::store::StoreError;

static SUGGEST: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/suggest.lua")));

/// Members, name and SKU on two lines, each with its score.
type Scored = Vec<(Vec<u8>, f64)>;

impl<C: ConnectionLike + Clone> Autocomplete<C> {
    /// The products that have a word which begins like this, the most popular first, those of one popularity in the order
    /// of their names (by bytes, then by SKU): at most `count`, and at most [`MOST_SUGGESTIONS`]. A prefix with nothing in
    /// it, before the first letter is typed, gets the most popular of all.
    ///
    /// One round trip. [`Index::Weighted`]: O(log products + count). [`Index::Lexicographic`], and prefixes longer than
    /// [`LONGEST_LISTED_PREFIX`]: O(log terms + hits), at most [`MOST_HITS`] of them.
    pub async fn suggest(&self, prefix: &str, count: usize) -> Result<Vec<Suggestion>, StoreError> {
        let count = count.min(MOST_SUGGESTIONS);
        if count == 0 {
            return Ok(Vec::new());
        }
        let prefix = normalised(prefix);
        let listed = prefix.chars().nth(LONGEST_LISTED_PREFIX).is_none();
        let found = if prefix.is_empty() {
            self.first_of(&self.keys.autocomplete_popular(), count).await?
        } else if self.index == Index::Weighted && listed {
            self.first_of(&self.keys.autocomplete_prefix(&prefix), count).await?
        } else {
            self.best_of_terms(&prefix, count).await?
        };
        found.iter().map(|(member, score)| self.read(member, *score)).collect()
    }

    async fn first_of(&self, key: &str, count: usize) -> Result<Scored, RedisError> {
        let range: Cmd = redis::cmd("ZRANGE").arg(key).arg(0).arg(count - 1).arg("WITHSCORES").take();
        range.query_async(&mut self.connection.clone()).await
    }

    async fn best_of_terms(&self, prefix: &str, count: usize) -> Result<Scored, RedisError> {
        let mut call = SUGGEST.key(self.keys.autocomplete_terms());
        call.key(self.keys.autocomplete_popular()).arg(prefix).arg(count).arg(MOST_HITS);
        script::run(&call, &self.connection).await
    }

    fn read(&self, member: &[u8], score: f64) -> Result<Suggestion, StoreError> {
        let text = String::from_utf8_lossy(member);
        let malformed = || StoreError::malformed(&self.keys.autocomplete_popular(), &text);
        let (name, sku) = text.split_once('\n').ok_or_else(malformed)?;
        // Scores are whole numbers from -(2^53 - 1) to 0; a cast keeps anything else within u64.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let popularity = -score as u64;
        Ok(Suggestion {
            sku: sku.parse().map_err(|_| malformed())?,
            name: name.parse().map_err(|_| malformed())?,
            popularity,
        })
    }
}
