//! Key names of `query`.

use super::Keys;

impl Keys {}
