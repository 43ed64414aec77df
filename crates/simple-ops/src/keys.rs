//! The only place where the key names of this crate are spelled.
//!
//! No script or transaction here touches more than one key, so none needs a hash tag: MGET, MSET, EXISTS, UNLINK and
//! pipelines over several keys are split by slot when the server is a cluster.

/// Builds key names, each behind the prefix of the target.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Names behind `prefix`, which may be empty.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// String: a text to play with.
    #[must_use]
    pub fn greeting(&self) -> String {
        self.named("greeting")
    }

    /// String: where an order stands.
    #[must_use]
    pub fn order_status(&self) -> String {
        self.named("order:1001:status")
    }

    /// String: a coupon that can be used once.
    #[must_use]
    pub fn coupon(&self) -> String {
        self.named("coupon:WELCOME10")
    }

    /// String: the bytes of a picture.
    #[must_use]
    pub fn thumbnail(&self) -> String {
        self.named("thumbnail:123")
    }

    /// String: in which currency the shop sells.
    #[must_use]
    pub fn currency(&self) -> String {
        self.named("shop:currency")
    }

    /// String: from where the shop sends.
    #[must_use]
    pub fn country(&self) -> String {
        self.named("shop:country")
    }

    /// A key that no lesson writes.
    #[must_use]
    pub fn never_written(&self) -> String {
        self.named("shop:motto")
    }

    /// String: the price of a product in cents.
    #[must_use]
    pub fn price(&self, product: usize) -> String {
        self.named(&format!("price:{product}"))
    }

    /// String: a code that was sent to a customer.
    #[must_use]
    pub fn login_code(&self) -> String {
        self.named("login_code:parker")
    }

    /// String: a cached page.
    #[must_use]
    pub fn cached_page(&self) -> String {
        self.named("cache:page:home")
    }

    /// String: an advertisement that is gone in a moment.
    #[must_use]
    pub fn banner(&self) -> String {
        self.named("banner:flash")
    }

    /// String: one of many keys that nobody reads again.
    #[must_use]
    pub fn idle(&self, number: usize) -> String {
        self.named(&format!("idle:{number}"))
    }

    /// String: how often the home page was seen.
    #[must_use]
    pub fn page_views(&self) -> String {
        self.named("page:home:views")
    }

    /// String: how many units are in stock.
    #[must_use]
    pub fn units(&self) -> String {
        self.named("units:123")
    }

    /// String: money in a till, in cents.
    #[must_use]
    pub fn till(&self) -> String {
        self.named("till:1:cents")
    }

    /// String: money in a till as a decimal fraction, which is a mistake.
    #[must_use]
    pub fn float_till(&self) -> String {
        self.named("till:1:float")
    }

    /// Sorted Set: money as a score, which is the same mistake.
    #[must_use]
    pub fn score_till(&self) -> String {
        self.named("till:1:scores")
    }

    /// String: a counter that many clients raise, one for each approach.
    #[must_use]
    pub fn counter(&self, approach: &str) -> String {
        self.named(&format!("counter:{approach}"))
    }

    /// String: a product as JSON text.
    #[must_use]
    pub fn product(&self, id: u64) -> String {
        self.named(&format!("product:{id}"))
    }

    /// Hash: the same product, a field for each of its properties.
    #[must_use]
    pub fn product_hash(&self, id: u64) -> String {
        self.named(&format!("product:{id}:hash"))
    }

    /// JSON value: the same product, where the server has JSON.SET.
    #[must_use]
    pub fn product_json(&self, id: u64) -> String {
        self.named(&format!("product:{id}:json"))
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_behind_the_prefix() {
        let keys = Keys::new("lab:");
        assert_eq!(keys.greeting(), "lab:greeting");
        assert_eq!(keys.product(123), "lab:product:123");
        assert_eq!(Keys::new("").product_hash(7), "product:7:hash");
    }
}
