//! Lines that end where words do.

/// Wraps at spaces only, not at hyphens either; a word longer than the line is left whole, so that it can be copied.
/// `first` stands before the first line, `rest` before all others.
#[must_use]
pub fn wrap(text: &str, width: usize, first: &str, rest: &str) -> String {
    textwrap::fill(text, options(width, first, rest))
}

pub(crate) fn options<'a>(width: usize, first: &'a str, rest: &'a str) -> textwrap::Options<'a> {
    textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false)
}
