//! Key names of `biglist`.

use super::Keys;

impl Keys {}
