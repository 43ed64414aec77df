//! Ways to change one number of a document.

use std::sync::LazyLock;

use lab_runner::{AnyConnection, Approach};
use redis::aio::ConnectionLike;
use redis::{RedisResult, Script};

use super::assortment::Assortment;
use super::number::{NumberField, only_number};
use super::shape::{Shape, from_json, to_json};

pub(super) const ADD_TO_NUMBER_SOURCE: &str = include_str!("scripts/add_to_number.lua");

/// Adds to a number within a JSON string, in one step.
pub(super) static ADD_TO_NUMBER: LazyLock<Script> = LazyLock::new(|| Script::new(ADD_TO_NUMBER_SOURCE));

/// How to add to one number of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeField {
    /// GET the JSON text, change it here, SET it. Loses what others write in between.
    Rewrite,
    /// The same within a script on the server, in one step.
    Script,
    /// HINCRBY on the field of a Hash.
    HashField,
    /// JSON.NUMINCRBY on the path. Needs JSON.SET.
    JsonPath,
}

impl ChangeField {
    /// Those that a server can do, with or without the JSON commands.
    #[must_use]
    pub fn all(json_commands: bool) -> Vec<Self> {
        let always = [Self::Rewrite, Self::Script, Self::HashField];
        always.into_iter().chain(json_commands.then_some(Self::JsonPath)).collect()
    }

    /// In which shape it wants the product.
    #[must_use]
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
                let path = format!("$.{name}");
                only_number(
                    redis::cmd("JSON.NUMINCRBY")
                        .arg(key)
                        .arg(path)
                        .arg(delta)
                        .query_async(connection)
                        .await?,
                )
            }
        }
    }
}

impl Approach for ChangeField {
    type Input = Assortment;
    /// Units left of each product after one was sold.
    type Output = Vec<i64>;

    fn label(self) -> String {
        match self {
            Self::Rewrite => "JSON string: GET, SET",
            Self::Script => "JSON string: script",
            Self::HashField => "Hash: HINCRBY",
            Self::JsonPath => "JSON value: JSON.NUMINCRBY",
        }
        .to_owned()
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
