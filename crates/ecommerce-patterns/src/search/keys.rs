//! The names that only this lesson writes.

/// Names that begin with the prefix of the server.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The Sorted Set of a few words.
    pub(super) fn words(&self) -> String {
        self.named("words")
    }

    /// The Sorted Set of terms that nobody takes out.
    pub(super) fn naive_terms(&self) -> String {
        self.named("naive_terms")
    }

    /// The Set of a brand.
    pub(super) fn brand(&self, brand: &str) -> String {
        self.in_one_slot(&format!("brand:{brand}"))
    }

    /// The Set of a category.
    pub(super) fn category(&self, category: &str) -> String {
        self.in_one_slot(&format!("category:{category}"))
    }

    /// The Sorted Set of prices in cents.
    pub(super) fn prices(&self) -> String {
        self.in_one_slot("prices")
    }

    /// The bits of a few products.
    pub(super) fn bits(&self, fact: &str) -> String {
        self.in_one_slot(&format!("bits:{fact}"))
    }

    /// The Set of a brand that nobody leaves.
    pub(super) fn naive_brand(&self, brand: &str) -> String {
        self.named(&format!("naive_brand:{brand}"))
    }

    /// The Hash from SKU to a JSON document, for a client that filters by itself.
    pub(super) fn catalogue(&self) -> String {
        self.named("catalogue")
    }

    /// The answer to a question, ready-made.
    pub(super) fn ready(&self, question: usize) -> String {
        self.named(&format!("ready:{question}"))
    }

    /// What completes a prefix, ready-made.
    pub(super) fn completed(&self, prefix: &str) -> String {
        self.named(&format!("completed:{prefix}"))
    }

    /// The Hash of a product, for the full-text index.
    pub(super) fn document(&self, sku: &str) -> String {
        self.named(&format!("product:{sku}"))
    }

    /// The full-text index.
    pub(super) fn index(&self) -> String {
        self.named("index")
    }

    /// The dictionary of suggestions.
    pub(super) fn suggestions(&self) -> String {
        self.named("suggestions")
    }

    /// Names with one hash tag, so that a cluster can intersect their keys.
    fn in_one_slot(&self, rest: &str) -> String {
        format!("{0}shop_search:{{{0}shop_search}}:{rest}", self.prefix)
    }

    fn named(&self, rest: &str) -> String {
        format!("{}shop_search:{rest}", self.prefix)
    }
}
