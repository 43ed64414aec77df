//! HTML, element by element. Names of elements and attributes are ours; every text and every value is escaped. (A template crate would
//! bring a second version of syn into the first build, and four seconds of processor time.)

/// A piece of HTML.
#[derive(Default)]
pub(crate) struct Html(String);

impl Html {
    /// An element with attributes and what is in it.
    pub(crate) fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        content: impl FnOnce(&mut Self),
    ) {
        self.0.extend(["<", name]);
        for (attribute, value) in attributes {
            self.0.extend([" ", attribute, "=\""]);
            escape(&mut self.0, value);
            self.0.push('"');
        }
        self.0.push('>');
        content(self);
        self.0.extend(["</", name, ">"]);
    }

    /// An element of a class, with a text. No class if that is empty.
    pub(crate) fn line(&mut self, name: &'static str, class: &'static str, text: &str) {
        let attributes = [("class", class)];
        let attributes: &[_] = if class.is_empty() { &[] } else { &attributes };
        self.element(name, attributes, |html| html.text(text));
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) {
        escape(&mut self.0, text);
    }

    /// A chart, which is escaped already.
    pub(crate) fn svg(&mut self, svg: &str) {
        self.0.push_str(svg);
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Adds a text. What is special in HTML is escaped, and control characters, line breaks included, are replaced.
pub(crate) fn escape(buffer: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '<' => buffer.push_str("&lt;"),
            '>' => buffer.push_str("&gt;"),
            '&' => buffer.push_str("&amp;"),
            '"' => buffer.push_str("&quot;"),
            '\'' => buffer.push_str("&#39;"),
            control if control.is_control() => buffer.push('\u{fffd}'),
            other => buffer.push(other),
        }
    }
}
