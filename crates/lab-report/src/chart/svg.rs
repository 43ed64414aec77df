//! What plotters draws, as SVG with classes instead of colors.

use std::convert::Infallible;
use std::fmt::Write as _;

use plotters_backend::text_anchor::HPos;
use plotters_backend::{BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};

use super::Words;
use crate::html::escape;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// The opening tag, and what the chart says in words.
pub(super) fn beginning(width: u32, height: u32, words: &Words<'_>) -> String {
    let mut text = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\"><title>");
    escape(&mut text, words.title);
    text.push_str("</title><desc>");
    escape(&mut text, words.description);
    text.push_str("</desc>");
    text
}

/// Writes what plotters draws. Rectangles that follow one another in the same color become one path.
pub(super) struct Svg<'a> {
    text: &'a mut String,
    size: (u32, u32),
    open: Option<u8>,
}

impl<'a> Svg<'a> {
    pub(super) fn new(text: &'a mut String, size: (u32, u32)) -> Self {
        Self { text, size, open: None }
    }

    /// Ends what is open.
    fn end(&mut self) {
        if self.open.take().is_some() {
            self.text.push_str("\"/>");
        }
    }

    fn shape(&mut self, name: &str, paint: u8, fill: bool, attributes: std::fmt::Arguments<'_>) {
        self.end();
        let kind = if fill { 'f' } else { 's' };
        // A String takes everything.
        let _ = write!(self.text, "<{name} class=\"{kind}{paint}\" {attributes}/>");
    }
}

/// Transparent things are not drawn.
fn paint(style: &impl BackendStyle) -> Option<u8> {
    let color = style.color();
    (color.alpha > 0.0).then_some(color.rgb.0)
}

fn points(path: impl IntoIterator<Item = BackendCoord>) -> String {
    path.into_iter().fold(String::new(), |mut text, (x, y)| {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{x},{y}");
        text
    })
}

impl DrawingBackend for Svg<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        self.end();
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: plotters_backend::BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + 1, y + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        let Some(paint) = paint(style) else { return Ok(()) };
        let ((x1, y1), (x2, y2)) = (from, to);
        self.shape("path", paint, false, format_args!("d=\"M{x1} {y1}L{x2} {y2}\""));
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let Some(paint) = paint(style) else { return Ok(()) };
        let (x, y, width, height) = (from.0, from.1, to.0 - from.0, to.1 - from.1);
        if !fill {
            self.shape("path", paint, false, format_args!("d=\"M{x} {y}h{width}v{height}h{}z\"", -width));
            return Ok(());
        }
        if self.open != Some(paint) {
            self.end();
            let _ = write!(self.text, "<path class=\"f{paint}\" d=\"");
            self.open = Some(paint);
        }
        let _ = write!(self.text, "M{x} {y}h{width}v{height}h{}z", -width);
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let Some(paint) = paint(style) else { return Ok(()) };
        self.shape("polyline", paint, false, format_args!("points=\"{}\"", points(path)));
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let Some(paint) = paint(style) else { return Ok(()) };
        self.shape("circle", paint, fill, format_args!("cx=\"{x}\" cy=\"{y}\" r=\"{radius}\""));
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let Some(paint) = paint(style) else { return Ok(()) };
        self.shape("polygon", paint, true, format_args!("points=\"{}\"", points(path)));
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, (x, y): BackendCoord) -> Drawn {
        self.end();
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Center => " m",
            HPos::Right => " e",
        };
        // An axis of plotters puts its labels above or below their point.
        let y = match style.anchor().v_pos {
            plotters_backend::text_anchor::VPos::Top => y + 12,
            plotters_backend::text_anchor::VPos::Center => y + 4,
            plotters_backend::text_anchor::VPos::Bottom => y,
        };
        let _ = write!(self.text, "<text class=\"f{}{anchor}\" x=\"{x}\" y=\"{y}\">", style.color().rgb.0);
        escape(self.text, text);
        self.text.push_str("</text>");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Paint;

    #[test]
    fn texts_are_escaped_and_bars_of_one_color_are_one_path() {
        let words = Words { title: "<b>", description: "\"&'\u{0}" };
        let text = beginning(1, 1, &words);
        assert!(text.contains("<title>&lt;b&gt;</title><desc>&quot;&amp;&#39;\u{fffd}</desc>"), "{text}");
        let mut text = String::new();
        let mut svg = Svg::new(&mut text, (9, 9));
        let bar = plotters_backend::BackendColor { alpha: 1.0, rgb: (Paint::BAR.0, 0, 0) };
        svg.draw_rect((0, 1), (5, 3), &bar, true).unwrap();
        svg.draw_rect((0, 4), (6, 6), &bar, true).unwrap();
        svg.end();
        assert_eq!(text, "<path class=\"f3\" d=\"M0 1h5v2h-5zM0 4h6v2h-6z\"/>");
    }
}
