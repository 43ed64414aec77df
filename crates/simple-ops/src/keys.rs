//! The key names of this crate, and the only place that spells them.
//!
//! No script or transaction here touches more than one key, so none needs a hash tag: MGET, MSET, EXISTS, UNLINK and
//! pipelines over several keys are split by slot when the server is a cluster.

/// Builds key names. Each begins with the prefix of the target.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Names that begin with `prefix`, which may be empty.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// String: a text.
    pub fn greeting(&self) -> String {
        self.named("greeting")
    }

    /// String: the status of an order.
    pub fn order_status(&self) -> String {
        self.named("order:1001:status")
    }

    /// String: a coupon that can be used once.
    pub fn coupon(&self) -> String {
        self.named("coupon:WELCOME10")
    }

    /// String: the bytes of a picture.
    pub fn thumbnail(&self) -> String {
        self.named("thumbnail:123")
    }

    /// String: the shop's currency.
    pub fn currency(&self) -> String {
        self.named("shop:currency")
    }

    /// String: the country that the shop ships from.
    pub fn country(&self) -> String {
        self.named("shop:country")
    }

    /// A key that no lesson writes.
    pub fn never_written(&self) -> String {
        self.named("shop:motto")
    }

    /// String: the price of a product in cents.
    pub fn price(&self, product: usize) -> String {
        self.named(&format!("price:{product}"))
    }

    /// String: a code that was sent to a customer.
    pub fn login_code(&self) -> String {
        self.named("login_code:parker")
    }

    /// String: a cached page.
    pub fn cached_page(&self) -> String {
        self.named("cache:page:home")
    }

    /// String: an advertisement that expires in a moment.
    pub fn banner(&self) -> String {
        self.named("banner:flash")
    }

    /// String: one of many keys that nobody reads again.
    pub fn idle(&self, number: usize) -> String {
        self.named(&format!("idle:{number}"))
    }

    /// String: views of the home page.
    pub fn page_views(&self) -> String {
        self.named("page:home:views")
    }

    /// String: units in stock.
    pub fn units(&self) -> String {
        self.named("units:123")
    }

    /// String: money in a till, in cents.
    pub fn till(&self) -> String {
        self.named("till:1:cents")
    }

    /// String: money in a till as a decimal fraction, which is a mistake.
    pub fn float_till(&self) -> String {
        self.named("till:1:float")
    }

    /// Sorted Set: money as a score, which is the same mistake.
    pub fn score_till(&self) -> String {
        self.named("till:1:scores")
    }

    /// String: a counter that many clients raise, one for each approach.
    pub fn counter(&self, approach: &str) -> String {
        self.named(&format!("counter:{approach}"))
    }

    /// String: a product as JSON text.
    pub fn product(&self, id: u64) -> String {
        self.named(&format!("document:{id}"))
    }

    /// Hash: the same product, with a field for each property.
    pub fn product_hash(&self, id: u64) -> String {
        self.named(&format!("document:{id}:hash"))
    }

    /// JSON value: the same product, where the server has JSON.SET.
    pub fn product_json(&self, id: u64) -> String {
        self.named(&format!("document:{id}:json"))
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_begins_with_the_prefix() {
        let keys = Keys::new("lab:");
        assert_eq!(keys.greeting(), "lab:greeting");
        assert_eq!(keys.product(123), "lab:document:123");
        assert_eq!(Keys::new("").product_hash(7), "document:7:hash");
    }
}
