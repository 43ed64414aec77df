use std::fmt;

/// Someone else's text inside one of our messages: quoted, escaped, cut after 40 characters.
///
/// `escape_debug` escapes every control and formatting character (U+202E too), so what a person typed can neither move
/// a terminal's cursor nor turn a line around.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

const MOST: usize = 40;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.char_indices().nth(MOST).map_or(self.0, |(at, _)| &self.0[..at]);
        write!(f, "\"{}\"", cut.escape_debug())?;
        if cut.len() < self.0.len() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}
