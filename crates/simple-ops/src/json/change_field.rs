//! Ways to change one number of a document.

use lab_runner::{AnyConnection, Approach, ScriptFile, labeled, lua};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::assortment::Assortment;
use super::number::{NumberField, only_number};
use super::shape::{Shape, from_json, to_json};

/// Adds to a number within a JSON string, in one step.
pub(super) static ADD_TO_NUMBER: ScriptFile = lua!("src/json/scripts/add_to_number.lua");

labeled! {
    /// How to add to one number of a product.
    pub enum ChangeField {
        /// Loses what others write in between.
        Rewrite => "JSON string: GET, SET",
        /// The same on the server, in one step.
        Script => "JSON string: script",
        /// Of a field.
        HashField => "Hash: HINCRBY",
        /// Where the server has JSON.SET.
        JsonPath => "JSON value: JSON.NUMINCRBY",
    }
}

impl ChangeField {
    /// Those that a server can do, with or without the JSON commands.
    pub fn all(json_commands: bool) -> Vec<Self> {
        Self::ALL.into_iter().filter(|change| json_commands || *change != Self::JsonPath).collect()
    }

    /// In which shape it wants the product.
    pub fn shape(self) -> Shape {
        match self {
            Self::Rewrite | Self::Script => Shape::Text,
            Self::HashField => Shape::Hash,
            Self::JsonPath => Shape::Json,
        }
    }

    /// Adds `delta` to a number of the product at `key` and returns the new number.
    pub async fn add(
        self,
        connection: &mut impl ConnectionLike,
        key: &str,
        field: NumberField,
        delta: i64,
    ) -> RedisResult<i64> {
        let name = field.name();
        match self {
            Self::Rewrite => {
                let text: String = redis::cmd("GET").arg(key).query_async(connection).await?;
                let mut product = from_json(&text)?;
                let number = field.of(&mut product);
                *number += delta;
                let sum = *number;
                redis::cmd("SET").arg(key).arg(to_json(&product)?).exec_async(connection).await?;
                Ok(sum)
            }
            Self::Script => ADD_TO_NUMBER.key(key).arg(name).arg(delta).invoke_async(connection).await,
            Self::HashField => {
                redis::cmd("HINCRBY").arg(key).arg(name).arg(delta).query_async(connection).await
            }
            Self::JsonPath => {
                let add = redis::cmd("JSON.NUMINCRBY").arg(key).arg(format!("$.{name}")).arg(delta).take();
                only_number(add.query_async(connection).await?)
            }
        }
    }
}

impl Approach for ChangeField {
    type Input = Assortment;
    /// Units left of each product after one was sold.
    type Output = Vec<i64>;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, assortment: &Assortment) -> u64 {
        assortment.products().len() as u64
    }

    async fn reset<C: AnyConnection>(self, assortment: &Assortment, connection: &mut C) -> RedisResult<()> {
        if self == Self::Script {
            // A service does this once when it starts.
            ADD_TO_NUMBER.load_async(connection).await?;
        }
        assortment.fill(self.shape(), connection).await
    }

    async fn run<C: AnyConnection>(
        self,
        assortment: &Assortment,
        connection: &mut C,
    ) -> RedisResult<Vec<i64>> {
        let mut left = Vec::with_capacity(assortment.products().len());
        for key in assortment.keys(self.shape()) {
            left.push(self.add(connection, &key, NumberField::Stock, -1).await?);
        }
        Ok(left)
    }
}
