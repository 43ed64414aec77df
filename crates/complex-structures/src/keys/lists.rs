//! Key names of the lesson `lists`.

use super::Keys;

impl Keys {}
