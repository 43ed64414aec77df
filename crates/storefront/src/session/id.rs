//! Where session ids come from: always from here, never from a client.

use crate::SessionId;

/// A new id: 128 bits of the operating system's secure generator, as 32 letters from `a` to `p`.
///
/// Letters alone, because a [`SessionId`] of digits alone would read as a user's number.
pub fn generate() -> Result<SessionId, getrandom::Error> {
    loop {
        let mut bits = [0_u8; 16];
        getrandom::fill(&mut bits)?;
        let letters = bits.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|four| char::from(b'a' + four));
        // It always is one; the loop only spares a panic that nobody would ever see.
        if let Ok(id) = letters.collect::<String>().parse() {
            return Ok(id);
        }
    }
}
