//! A reply as `redis-cli` prints it on a terminal (`cliFormatReplyTTY` in its source).

use std::fmt::Write;

use redis::{RedisError, ServerError, Value};

use super::{SHOWN_CHARS, SHOWN_ERROR_CHARS, SHOWN_ITEMS, SHOWN_ITEMS_IN_ALL, quote, wire};

/// The reply as `redis-cli` prints it, without a line break at the end. Long strings and arrays are cut.
#[must_use]
pub fn reply_text(value: &Value) -> String {
    text_within(value, SHOWN)
}

/// The same, with nothing cut. For comparing replies, not for showing them.
#[must_use]
pub fn whole_reply_text(value: &Value) -> String {
    text_within(value, WHOLE)
}

/// The same, with far longer strings and arrays, for a person who asked for the reply.
#[must_use]
pub fn long_reply_text(value: &Value) -> String {
    text_within(value, LONG)
}

/// How much of a reply there is room for.
#[derive(Clone, Copy)]
struct Room {
    /// Characters of one string.
    chars: usize,
    /// Items of one aggregate.
    items: usize,
    /// Items at all depths together.
    items_in_all: usize,
}

const SHOWN: Room = Room { chars: SHOWN_CHARS, items: SHOWN_ITEMS, items_in_all: SHOWN_ITEMS_IN_ALL };
const LONG: Room = Room { chars: 20_000, items: 1_000, items_in_all: 1_000 };
const WHOLE: Room = Room { chars: usize::MAX, items: usize::MAX, items_in_all: usize::MAX };

fn text_within(value: &Value, room: Room) -> String {
    let mut page = Page { text: String::new(), room, items_left: room.items_in_all };
    page.write(value, 0);
    page.text
}

/// An error in a reply's place: the server's own, or why there is no reply.
pub fn error_text(error: &RedisError) -> String {
    match error.clone().into_server_errors().as_deref() {
        Some([(_, error), ..]) => server_error_text(error),
        _ => format!("(no reply) {}", quote::text(error.to_string().as_bytes(), false, SHOWN_CHARS)),
    }
}

/// `(error) WRONGTYPE Operation against a key holding the wrong kind of value`.
pub fn server_error_text(error: &ServerError) -> String {
    let message = match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    };
    format!("(error) {}", quote::text(message.as_bytes(), false, SHOWN_ERROR_CHARS))
}

struct Page {
    text: String,
    room: Room,
    /// Across all depths, so that an array of arrays of arrays stays a page.
    items_left: usize,
}

impl Page {
    /// `indent` is the column at which the lines of an aggregate begin.
    fn write(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Array(items) if items.is_empty() => self.text.push_str("(empty array)"),
            Value::Map(pairs) if pairs.is_empty() => self.text.push_str("(empty hash)"),
            Value::Set(items) if items.is_empty() => self.text.push_str("(empty set)"),
            Value::Array(items) => self.numbered(items, ')', indent, Self::write),
            Value::Set(items) => self.numbered(items, '~', indent, Self::write),
            Value::Map(pairs) => self.numbered(pairs, '#', indent, Self::write_pair),
            Value::Push { kind, data } => {
                let mut items = vec![Value::BulkString(wire::push_name(kind).into())];
                items.extend_from_slice(data);
                self.numbered(&items, ')', indent, Self::write);
            }
            Value::Attribute { data, attributes } => {
                self.numbered(attributes, '|', indent, Self::write_pair);
                self.new_line(indent);
                self.write(data, indent);
            }
            scalar => self.text.push_str(&scalar_text(scalar, self.room.chars)),
        }
    }

    fn write_pair(&mut self, (key, value): &(Value, Value), indent: usize) {
        self.write(key, indent);
        self.text.push_str(" => ");
        self.write(value, indent);
    }

    /// `1) ` and an item per line. Numbers are aligned to the widest, and nested lines begin behind the number.
    fn numbered<T>(&mut self, items: &[T], mark: char, indent: usize, write: fn(&mut Self, &T, usize)) {
        let width = items.len().to_string().len();
        let mut shown = 0;
        for item in items.iter().take(self.room.items) {
            if self.items_left == 0 {
                break;
            }
            self.items_left -= 1;
            // The first item continues the line on which the aggregate begins.
            if shown > 0 {
                self.new_line(indent);
            }
            shown += 1;
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{shown:width$}{mark} ");
            write(self, item, indent + width + 2);
        }
        if shown < items.len() {
            if shown > 0 {
                self.new_line(indent);
            }
            let _ = write!(self.text, "… {} more", items.len() - shown);
        }
    }

    fn new_line(&mut self, indent: usize) {
        let _ = write!(self.text, "\n{:indent$}", "");
    }
}

fn scalar_text(value: &Value, chars: usize) -> String {
    match value {
        Value::Nil => "(nil)".into(),
        Value::Okay => "OK".into(),
        Value::Int(number) => format!("(integer) {number}"),
        Value::BulkString(bytes) => quote::string(bytes, chars),
        Value::SimpleString(text) => quote::text(text.as_bytes(), false, chars),
        Value::Double(number) => format!("(double) {}", wire::double_text(*number)),
        Value::Boolean(true) => "(true)".into(),
        Value::Boolean(false) => "(false)".into(),
        Value::VerbatimString { text, .. } => quote::text(text.as_bytes(), true, chars),
        Value::BigNumber(digits) => quote::text(digits, false, chars),
        Value::ServerError(error) => server_error_text(error),
        // `Value` may grow.
        _ => "(a reply of a kind not known here)".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(resp: &str) -> String {
        reply_text(&redis::parse_redis_value(resp.as_bytes()).unwrap())
    }

    #[test]
    fn nested_aggregates_are_aligned_as_in_redis_cli() {
        let reply = "*3\r\n:1\r\n*2\r\n$1\r\na\r\n*1\r\n$-1\r\n*0\r\n";
        assert_eq!(shown(reply), "1) (integer) 1\n2) 1) \"a\"\n   2) 1) (nil)\n3) (empty array)");
    }

    #[test]
    fn numbers_are_aligned_to_the_widest() {
        let reply = format!("*12\r\n{}", ":7\r\n".repeat(12));
        assert!(shown(&reply).starts_with(" 1) (integer) 7\n 2) "), "{}", shown(&reply));
    }

    #[test]
    fn resp3_types_look_as_in_redis_cli() {
        assert_eq!(
            shown("%2\r\n+k\r\n:1\r\n$1\r\nl\r\n*1\r\n,1.5\r\n"),
            "1# k => (integer) 1\n2# \"l\" => 1) (double) 1.5"
        );
        assert_eq!(shown("~2\r\n#t\r\n#f\r\n"), "1~ (true)\n2~ (false)");
        assert_eq!(shown("=18\r\ntxt:line 1\r\nline 2\r\n"), "line 1\nline 2");
        assert_eq!(shown("(-12345678901234567890\r\n"), "-12345678901234567890");
        assert_eq!(shown(">2\r\n$10\r\ninvalidate\r\n_\r\n"), "1) \"invalidate\"\n2) (nil)");
        assert_eq!(shown(",1e300\r\n"), "(double) 1e+300");
    }

    #[test]
    fn errors_keep_the_servers_words() {
        assert_eq!(shown("-ERR unknown command\r\n"), "(error) ERR unknown command");
        assert_eq!(shown("*1\r\n-WRONGPASS no\r\n"), "1) (error) WRONGPASS no");
    }

    #[test]
    fn a_long_or_deep_reply_stays_a_page() {
        let row = format!("*200\r\n{}", ":7\r\n".repeat(200));
        let table = shown(&format!("*200\r\n{}", row.repeat(200)));
        assert!(table.lines().count() < 2 * SHOWN_ITEMS_IN_ALL, "{table}");
        assert!(table.ends_with(" more"), "{table}");
        assert!(shown(&row).ends_with("\n 20) (integer) 7\n… 180 more"), "{}", shown(&row));
    }

    #[test]
    fn a_whole_reply_is_never_cut() {
        let rows = vec![Value::Array(vec![Value::BulkString(vec![b'a'; 500]); 30]); 30];
        let text = whole_reply_text(&Value::Array(rows));
        assert_eq!(text.lines().count(), 900, "{text}");
        assert_eq!(text.matches('a').count(), 500 * 900);
        assert!(!text.contains('…'), "{text}");
    }
}
