//! Key names of `insert`.

use super::Keys;

impl Keys {}
