//! Key names of `concurrency`.

use super::Keys;

impl Keys {}
