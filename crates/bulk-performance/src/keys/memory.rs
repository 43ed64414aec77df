//! Key names of `memory`.

use super::Keys;

impl Keys {}
