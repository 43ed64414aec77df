//! Arguments and replies that hold passwords.

use std::borrow::Cow;

use redis::Value;

/// What stands in a password's place; the word that Redis's own MONITOR uses.
pub const REDACTED: &str = "(redacted)";

/// Settings whose value is a password.
const SECRET_SETTINGS: [&str; 7] = [
    "requirepass",
    "masterauth",
    "primaryauth",
    "tls-key-file-pass",
    "tls-client-key-file-pass",
    "auth-pass",
    "sentinel-pass",
];

/// Whether the argument at `index` is a password.
pub fn is_secret(arguments: &[Cow<'_, [u8]>], index: usize) -> bool {
    let is = |at: usize, word: &str| {
        arguments.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    };
    if is(0, "AUTH") {
        return index > 0;
    }
    if is(0, "HELLO") {
        return follows(index, 2, |at| is(at, "AUTH"));
    }
    if is(0, "MIGRATE") {
        return follows(index, 1, |at| is(at, "AUTH")) || follows(index, 2, |at| is(at, "AUTH2"));
    }
    if is(0, "ACL") && is(1, "SETUSER") {
        return index > 2 && !arguments.get(index).is_some_and(|rule| is_harmless_rule(rule));
    }
    if (is(0, "CONFIG") || is(0, "SENTINEL")) && is(1, "SET") {
        return follows(index, 1, |at| SECRET_SETTINGS.iter().any(|setting| is(at, setting)));
    }
    false
}

/// Whether one of the words of a command is a password.
#[must_use]
pub fn holds_a_secret(words: &[Vec<u8>]) -> bool {
    let arguments: Vec<Cow<'_, [u8]>> = words.iter().map(|word| Cow::Borrowed(word.as_slice())).collect();
    (0..arguments.len()).any(|index| is_secret(&arguments, index))
}

/// The reply to a command as it may be shown: what tells a password is replaced.
#[must_use]
pub fn without_secrets<'a>(arguments: &[Cow<'_, [u8]>], reply: &'a Value) -> Cow<'a, Value> {
    let is = |at: usize, word: &str| {
        arguments.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    };
    if is(0, "CONFIG") && is(1, "GET") {
        return Cow::Owned(without_secret_settings(reply.clone()));
    }
    if is(0, "ACL") && is(1, "GENPASS") && matches!(reply, Value::BulkString(_)) {
        return Cow::Owned(Value::SimpleString(REDACTED.into()));
    }
    Cow::Borrowed(reply)
}

/// A server's error may quote the argument that it disliked.
pub fn without_arguments(arguments: &[Cow<'_, [u8]>], mut message: String) -> String {
    for (index, argument) in arguments.iter().enumerate() {
        if is_secret(arguments, index)
            && let Ok(secret) = std::str::from_utf8(argument)
            && !secret.is_empty()
        {
            message = message.replace(secret, REDACTED);
        }
    }
    message
}

/// Whether one of the `span` arguments before `index` is the word that makes them secret.
fn follows(index: usize, span: usize, is_word: impl Fn(usize) -> bool) -> bool {
    (1..=span).any(|back| index.checked_sub(back).is_some_and(&is_word))
}

/// Only rules known to hold no password are shown; `>password`, `<password`, `#hash`, `!hash` and typing errors
/// are not.
fn is_harmless_rule(rule: &[u8]) -> bool {
    let words = [
        "on",
        "off",
        "nopass",
        "reset",
        "resetpass",
        "resetkeys",
        "resetchannels",
        "allkeys",
        "allchannels",
        "allcommands",
        "nocommands",
        "clearselectors",
        "sanitize-payload",
        "skip-sanitize-payload",
    ];
    matches!(rule.first(), Some(b'~' | b'%' | b'&' | b'+' | b'-' | b'('))
        || words.iter().any(|word| rule.eq_ignore_ascii_case(word.as_bytes()))
}

fn without_secret_settings(reply: Value) -> Value {
    match reply {
        Value::Array(items) => {
            let mut previous_is_secret = false;
            let redact = |item| {
                let item = if previous_is_secret { redacted(item) } else { item };
                previous_is_secret = !previous_is_secret && names_a_secret(&item);
                item
            };
            Value::Array(items.into_iter().map(redact).collect())
        }
        Value::Map(pairs) => {
            let redact = |(name, value)| {
                if names_a_secret(&name) { (name, redacted(value)) } else { (name, value) }
            };
            Value::Map(pairs.into_iter().map(redact).collect())
        }
        other => other,
    }
}

fn names_a_secret(name: &Value) -> bool {
    let Value::BulkString(name) = name else {
        return false;
    };
    SECRET_SETTINGS.iter().any(|setting| name.eq_ignore_ascii_case(setting.as_bytes()))
}

/// An empty string tells that no password is set, which is no secret.
fn redacted(value: Value) -> Value {
    match value {
        Value::BulkString(text) if text.is_empty() => Value::BulkString(text),
        _ => Value::SimpleString(REDACTED.into()),
    }
}
