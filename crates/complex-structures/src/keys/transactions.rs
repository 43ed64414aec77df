//! Key names of the lesson `transactions`.

use super::Keys;

impl Keys {}
