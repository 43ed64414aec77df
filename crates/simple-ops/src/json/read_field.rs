//! Ways to read one field of a document.

use lab_runner::{AnyConnection, Approach, labeled};
use redis::RedisResult;

use super::assortment::Assortment;
use super::number::only_number;
use super::shape::{Shape, from_json};

labeled! {
    /// How to read the price of a product.
    pub enum ReadField {
        /// GET the document and parse it.
        WholeText => "JSON string: GET, parse",
        /// HGET the field.
        HashField => "Hash: HGET",
        /// JSON.GET with a path; needs the JSON commands.
        JsonPath => "JSON value: JSON.GET path",
    }
}

impl ReadField {
    /// The ways that the server supports, with or without the JSON commands.
    pub fn all(json_commands: bool) -> Vec<Self> {
        Self::ALL.into_iter().filter(|read| json_commands || *read != Self::JsonPath).collect()
    }

    fn shape(self) -> Shape {
        match self {
            Self::WholeText => Shape::Text,
            Self::HashField => Shape::Hash,
            Self::JsonPath => Shape::Json,
        }
    }
}

impl Approach for ReadField {
    type Input = Assortment;
    /// The prices in cents, in the order of the products.
    type Output = Vec<i64>;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, assortment: &Assortment) -> u64 {
        assortment.products().len() as u64
    }

    async fn reset<C: AnyConnection>(self, assortment: &Assortment, connection: &mut C) -> RedisResult<()> {
        assortment.fill(self.shape(), connection).await
    }

    async fn run<C: AnyConnection>(
        self,
        assortment: &Assortment,
        connection: &mut C,
    ) -> RedisResult<Vec<i64>> {
        let mut prices = Vec::with_capacity(assortment.products().len());
        for key in assortment.keys(self.shape()) {
            prices.push(match self {
                Self::WholeText => {
                    let text: String = redis::cmd("GET").arg(key).query_async(connection).await?;
                    from_json(&text)?.price_cents
                }
                Self::HashField => {
                    redis::cmd("HGET").arg(key).arg("price_cents").query_async(connection).await?
                }
                Self::JsonPath => only_number(
                    redis::cmd("JSON.GET").arg(key).arg("$.price_cents").query_async(connection).await?,
                )?,
            });
        }
        Ok(prices)
    }
}
