//! Ways to read one field of a document.

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;

use super::assortment::Assortment;
use super::number::only_number;
use super::shape::{Shape, from_json};

/// How to read the price of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadField {
    /// GET the whole JSON text and parse it here.
    WholeText,
    /// HGET the field.
    HashField,
    /// JSON.GET the path. Needs JSON.SET.
    JsonPath,
}

impl ReadField {
    /// Those that a server can do, with or without the JSON commands.
    #[must_use]
    pub fn all(json_commands: bool) -> Vec<Self> {
        [Self::WholeText, Self::HashField]
            .into_iter()
            .chain(json_commands.then_some(Self::JsonPath))
            .collect()
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

    fn label(self) -> String {
        match self {
            Self::WholeText => "JSON string: GET, parse",
            Self::HashField => "Hash: HGET",
            Self::JsonPath => "JSON value: JSON.GET path",
        }
        .to_owned()
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
