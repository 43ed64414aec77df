//! The syntax of a command, and what of it is still to type.

/// One argument of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) kind: Kind,
    /// A word that comes first, such as EX.
    pub(crate) token: Option<String>,
    pub(crate) optional: bool,
    pub(crate) multiple: bool,
    /// Whether the token comes before each of several.
    pub(crate) repeats_token: bool,
}

/// What an argument is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing but its token.
    Token,
    /// The name of a key.
    Key(String),
    /// Any other word.
    Value(String),
    /// One of these.
    OneOf(Vec<Argument>),
    /// All of these, in order.
    Block(Vec<Argument>),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Value(String::new())
    }
}

/// What is left of a part of the syntax after some words.
struct Rest<'a> {
    text: String,
    used: usize,
    /// What the next word can be.
    next: Option<&'a Argument>,
}

/// The syntax of arguments, as the documentation writes it.
pub(crate) fn syntax(arguments: &[Argument]) -> String {
    join(arguments.iter().map(Argument::text))
}

/// What is still to type after these words; `None` if they do not fit the syntax.
pub(crate) fn remaining(arguments: &[Argument], words: &[&str]) -> Option<String> {
    let rest = sequence(arguments, words, &[]);
    (rest.used == words.len()).then_some(rest.text)
}

/// Whether the next word is the name of a key.
pub(crate) fn next_is_a_key(arguments: &[Argument], words: &[&str]) -> bool {
    let rest = sequence(arguments, words, &[]);
    rest.used == words.len() && rest.next.is_some_and(|next| matches!(next.kind, Kind::Key(_)))
}

/// Every token of the arguments, at all depths.
pub(crate) fn tokens(arguments: &[Argument]) -> Vec<&str> {
    let mut found = Vec::new();
    for argument in arguments {
        found.extend(argument.token.as_deref());
        if let Kind::OneOf(parts) | Kind::Block(parts) = &argument.kind {
            found.extend(tokens(parts));
        }
    }
    found
}

impl Argument {
    fn text(&self) -> String {
        let text = self.required_text();
        if self.optional { format!("[{text}]") } else { text }
    }

    fn required_text(&self) -> String {
        let value = match &self.kind {
            Kind::Token => String::new(),
            Kind::Key(name) | Kind::Value(name) => name.clone(),
            Kind::OneOf(parts) => parts.iter().map(Self::text).collect::<Vec<_>>().join("|"),
            Kind::Block(parts) => syntax(parts),
        };
        let token = self.token.clone().unwrap_or_default();
        let once = join([token, value.clone()]);
        match (self.multiple, self.repeats_token) {
            (false, _) => once,
            (true, true) => format!("{once} [{once} ...]"),
            (true, false) => format!("{once} [{value} ...]"),
        }
    }

    /// Takes the words that belong to this argument; `None` if the first does not.
    fn take(&self, words: &[&str], stops: &[&str]) -> Option<Rest<'_>> {
        let mut used = 0;
        if let Some(token) = &self.token {
            if !words.first()?.eq_ignore_ascii_case(token) {
                return None;
            }
            used = 1;
        }
        let once = self.take_value(&words[used..], stops)?;
        used += once.used;
        let (mut text, mut next) = (once.text, once.next);
        if !self.multiple {
            return Some(Rest { text, used, next });
        }
        while used < words.len() && !is_one_of(words[used], stops) {
            let again = &words[used..];
            let taken = match (&self.token, self.repeats_token) {
                (Some(token), true) if again[0].eq_ignore_ascii_case(token) => {
                    self.take_value(&again[1..], stops).map(|rest| Rest { used: rest.used + 1, ..rest })
                }
                (Some(_), true) => None,
                _ => self.take_value(again, stops),
            };
            let Some(taken) = taken.filter(|taken| taken.used > 0) else { break };
            used += taken.used;
            (text, next) = (taken.text, taken.next);
        }
        if text.is_empty() {
            let single = Self { multiple: false, optional: false, ..self.clone() };
            let token_once = Self { token: self.token.clone().filter(|_| self.repeats_token), ..single };
            text = format!("[{} ...]", token_once.required_text());
            next = next.or(Some(self));
        }
        Some(Rest { text, used, next })
    }

    /// Without the token, once.
    fn take_value(&self, words: &[&str], stops: &[&str]) -> Option<Rest<'_>> {
        match &self.kind {
            Kind::Token => Some(Rest { text: String::new(), used: 0, next: None }),
            Kind::Key(name) | Kind::Value(name) if words.is_empty() => {
                Some(Rest { text: name.clone(), used: 0, next: Some(self) })
            }
            Kind::Key(_) | Kind::Value(_) => Some(Rest { text: String::new(), used: 1, next: None }),
            Kind::OneOf(parts) if words.is_empty() => {
                let text = parts.iter().map(Self::text).collect::<Vec<_>>().join("|");
                Some(Rest { text, used: 0, next: parts.first() })
            }
            Kind::OneOf(parts) => {
                let (with_token, without): (Vec<&Self>, Vec<&Self>) =
                    parts.iter().partition(|part| part.begins_with_a_token());
                with_token
                    .into_iter()
                    .chain(without)
                    .filter_map(|part| part.take(words, stops))
                    .find(|rest| rest.used > 0)
            }
            Kind::Block(parts) => {
                let rest = sequence(parts, words, stops);
                (rest.used > 0 || words.is_empty()).then_some(rest)
            }
        }
    }

    fn begins_with_a_token(&self) -> bool {
        self.token.is_some()
            || match &self.kind {
                Kind::Block(parts) => parts.first().is_some_and(Self::begins_with_a_token),
                Kind::OneOf(parts) => parts.iter().all(Self::begins_with_a_token),
                _ => false,
            }
    }
}

/// Arguments in order. Optional ones that stand side by side may come in any order.
fn sequence<'a>(arguments: &'a [Argument], words: &[&str], stops: &[&str]) -> Rest<'a> {
    let mut rest = Rest { text: String::new(), used: 0, next: None };
    let mut texts = Vec::new();
    let mut at = 0;
    while at < arguments.len() {
        let run = arguments[at..].iter().take_while(|argument| argument.optional).count();
        let (group, after) = arguments[at..].split_at(run.max(1));
        let mut stops = stops.to_vec();
        stops.extend(after.iter().flat_map(|argument| tokens(std::slice::from_ref(argument))));
        if run == 0 {
            let argument = &group[0];
            let left = &words[rest.used..];
            let taken = if left.is_empty() { None } else { argument.take(left, &stops) };
            if let Some(taken) = taken {
                rest.used += taken.used;
                rest.next = rest.next.or(taken.next);
                texts.push(taken.text);
            } else {
                rest.next = rest.next.or(Some(argument));
                texts.push(argument.text());
            }
        } else {
            optional(group, words, &stops, &mut rest, &mut texts);
        }
        at += group.len();
    }
    rest.text = join(texts);
    rest
}

fn optional<'a>(
    group: &'a [Argument],
    words: &[&str],
    stops: &[&str],
    rest: &mut Rest<'a>,
    texts: &mut Vec<String>,
) {
    let mut left: Vec<&Argument> = group.iter().collect();
    let mut stops = stops.to_vec();
    stops.extend(tokens(group));
    loop {
        let words = &words[rest.used..];
        if words.is_empty() {
            break;
        }
        // What begins with a token is sure; any word fits the others.
        left.sort_by_key(|argument| !argument.begins_with_a_token());
        let taken = left.iter().enumerate().find_map(|(index, argument)| {
            argument.take(words, &stops).filter(|taken| taken.used > 0).map(|taken| (index, taken))
        });
        let Some((index, taken)) = taken else { break };
        left.remove(index);
        rest.used += taken.used;
        if !taken.text.is_empty() {
            rest.next = rest.next.or(taken.next);
            texts.push(taken.text);
        }
    }
    for argument in group.iter().filter(|argument| left.contains(argument)) {
        rest.next = rest.next.or(Some(argument));
        texts.push(argument.text());
    }
}

fn is_one_of(word: &str, names: &[&str]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

fn join(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Argument {
        Argument { kind: Kind::Value(name.into()), ..Argument::default() }
    }

    fn key() -> Argument {
        Argument { kind: Kind::Key("key".into()), ..Argument::default() }
    }

    fn token(word: &str) -> Argument {
        Argument { kind: Kind::Token, token: Some(word.into()), ..Argument::default() }
    }

    fn optional(argument: Argument) -> Argument {
        Argument { optional: true, ..argument }
    }

    fn set() -> Vec<Argument> {
        let condition = Argument { kind: Kind::OneOf(vec![token("NX"), token("XX")]), ..Argument::default() };
        let seconds = Argument { token: Some("EX".into()), ..value("seconds") };
        let time = Argument { kind: Kind::OneOf(vec![seconds, token("KEEPTTL")]), ..Argument::default() };
        vec![key(), value("value"), optional(condition), optional(token("GET")), optional(time)]
    }

    #[test]
    fn a_hint_is_what_is_still_to_type() {
        let set = set();
        let cases: [(&[&str], &str); 6] = [
            (&[], "key value [NX|XX] [GET] [EX seconds|KEEPTTL]"),
            (&["k"], "value [NX|XX] [GET] [EX seconds|KEEPTTL]"),
            (&["k", "v"], "[NX|XX] [GET] [EX seconds|KEEPTTL]"),
            (&["k", "v", "get"], "[NX|XX] [EX seconds|KEEPTTL]"),
            (&["k", "v", "ex"], "seconds [NX|XX] [GET]"),
            (&["k", "v", "ex", "10", "nx"], "[GET]"),
        ];
        for (words, left) in cases {
            assert_eq!(remaining(&set, words).as_deref(), Some(left), "{words:?}");
        }
        assert_eq!(remaining(&set, &["k", "v", "foo"]), None);
        assert!(next_is_a_key(&set, &[]) && !next_is_a_key(&set, &["k"]));
    }

    #[test]
    fn repeated_arguments_go_on() {
        let member =
            Argument { kind: Kind::Block(vec![value("score"), value("member")]), ..Argument::default() };
        let member = Argument { multiple: true, ..member };
        let zadd = vec![key(), optional(token("CH")), member];
        assert_eq!(syntax(&zadd), "key [CH] score member [score member ...]");
        assert_eq!(remaining(&zadd, &["k", "1"]).as_deref(), Some("[CH] member"));
        assert_eq!(remaining(&zadd, &["k", "ch", "1", "a"]).as_deref(), Some("[score member ...]"));
        let del = vec![Argument { multiple: true, ..key() }];
        assert_eq!(remaining(&del, &["a", "b"]).as_deref(), Some("[key ...]"));
        assert!(next_is_a_key(&del, &["a", "b"]));
    }
}
