//! The number fields that change, and the number in a reply of the JSON commands.

use redis::{RedisResult, Value, from_redis_value};

use super::shape::unreadable;
use crate::catalog::Product;

/// A field that holds a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberField {
    /// What one unit costs, in cents.
    PriceCents,
    /// Units in stock.
    Stock,
}

impl NumberField {
    /// Its name in a document and in a Hash.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PriceCents => "price_cents",
            Self::Stock => "stock",
        }
    }

    /// The field of this product.
    pub fn of(self, product: &mut Product) -> &mut i64 {
        match self {
            Self::PriceCents => &mut product.price_cents,
            Self::Stock => &mut product.stock,
        }
    }
}

/// The number in a reply. A path may match several places, so JSON.GET and JSON.NUMINCRBY reply with a list: as JSON text, or as an
/// array for JSON.NUMINCRBY over RESP3.
pub(super) fn only_number(reply: Value) -> RedisResult<i64> {
    let numbers: Vec<i64> = match reply {
        Value::Array(_) => from_redis_value(reply)?,
        text => serde_json::from_str(&from_redis_value::<String>(text)?).map_err(unreadable)?,
    };
    match numbers[..] {
        [number] => Ok(number),
        _ => Err(unreadable(format!("the path matches {} places", numbers.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_one_is_a_number_in_both_protocols() {
        assert_eq!(only_number(Value::BulkString(b"[41]".to_vec())).unwrap(), 41);
        assert_eq!(only_number(Value::Array(vec![Value::Int(41)])).unwrap(), 41);
    }

    #[test]
    fn a_path_that_leads_nowhere_is_an_error() {
        assert!(only_number(Value::BulkString(b"[]".to_vec())).is_err());
        assert!(only_number(Value::Nil).is_err());
    }
}
