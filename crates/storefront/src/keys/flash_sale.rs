//! The names of flash sales.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `flash_sale:current` | `flash_sale:{current}` | Hash | what is sold, from when to when, how much is left, the cap |
//! | `flash_sale:current:bought` | `flash_sale:{current}:bought` | Hash | customer to his units, `customer:order` to the answer given |
//! | `flash_sale:current:line` | `flash_sale:{current}:line` | Sorted Set | who waits, scored by his number |
//! | `flash_sale:current:tickets` | `flash_sale:{current}:tickets` | Hash | who waits to what he waits for |

use crate::flash_sale::FlashSaleKeys;

impl super::Keys {
    /// The keys of the flash sale that is on now.
    #[must_use]
    pub fn flash_sale(&self) -> FlashSaleKeys {
        let sale = format!("{}flash_sale:{}", self.prefix, self.tagged("current"));
        FlashSaleKeys {
            bought: format!("{sale}:bought"),
            line: format!("{sale}:line"),
            tickets: format!("{sale}:tickets"),
            sale,
        }
    }
}
