//! What people type: refused with a reason or taken exactly; never a panic, never a raw control character in a message.

use proptest::prelude::*;
use storefront::{
    CartOwner, Cents, NameError, PersonName, PriceError, ProductName, Quantity, SessionId, Sku, UserId,
};

use crate::shop::cases;

/// No character of a message moves a cursor, ends a line or turns text around.
fn is_harmless(message: &str) -> bool {
    !message.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[test]
fn prices_are_taken_to_the_cent() {
    for (text, cents) in [
        ("20", 2000),
        ("19.9", 1990),
        ("19.99", 1999),
        ("0", 0),
        ("0.01", 1),
        ("007.50", 750),
        ("10000000.00", 1_000_000_000),
    ] {
        assert_eq!(text.parse::<Cents>().map(Cents::get), Ok(cents), "{text}");
    }
}

#[test]
fn what_is_no_price_is_refused() {
    let no_price = [
        "", "-1", "+1", "-0", ".5", "5.", "1e3", "0.1+0.2", "1,50", "1.5.0", "€5", "NaN", "inf", " 1",
        "0x10", "٣",
    ];
    for text in no_price {
        assert!(matches!(text.parse::<Cents>(), Err(PriceError::NotAPrice { .. })), "{text}");
    }
    for text in ["0.001", "19.990", "1.00000000000000000000000000000001"] {
        assert!(matches!(text.parse::<Cents>(), Err(PriceError::TooManyDecimals { .. })), "{text}");
    }
    for text in ["10000000.01", "92233720368547758.07", "92233720368547758.08", "99999999999999999999999999"]
    {
        assert!(matches!(text.parse::<Cents>(), Err(PriceError::TooHigh { .. })), "{text}");
    }
}

#[test]
fn names_of_every_language_are_taken() {
    for name in [
        "Parker",
        "Zoë",
        "李小龍",
        "محمد",
        "شب‌نم",
        "Nguyễn Văn",
        "👨‍👩‍👧‍👦 mug",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿 scarf",
        "O'Neil-Smith",
        "100% \"cotton\" {M}",
    ] {
        assert_eq!(name.parse::<PersonName>().map(|name| name.to_string()), Ok(name.to_owned()));
    }
    assert_eq!("\u{3000} mug ".parse::<ProductName>().unwrap().as_str(), "mug");
    assert_eq!("é".repeat(100).parse::<ProductName>().unwrap().as_str().chars().count(), 100);
}

#[test]
fn names_that_hide_or_rearrange_text_are_refused_with_the_place() {
    for (name, character, position) in [
        ("a\0b", '\0', 2),
        ("ab\r\n", '\r', 3),
        ("\x1b[2J", '\x1b', 1),
        ("abc\u{202e}gpj", '\u{202e}', 4),
        ("a\u{200f}", '\u{200f}', 2),
        ("a\u{2066}b", '\u{2066}', 2),
        ("a\u{200b}b", '\u{200b}', 2),
        ("\u{feff}a", '\u{feff}', 1),
        ("a\u{2028}b", '\u{2028}', 2),
        ("a\u{9b}b", '\u{9b}', 2),
    ] {
        let error = name.parse::<ProductName>().unwrap_err();
        let NameError::Forbidden { character: found, position: at, .. } = error else { panic!("{error:?}") };
        assert_eq!((found, at), (character, position));
        assert!(
            is_harmless(&error.to_string())
                && error.to_string().contains(&format!("U+{:04X}", u32::from(character)))
        );
    }
}

#[test]
fn empty_and_endless_names_are_refused_without_repeating_them() {
    for name in ["", "   ", "\u{200d}", "\u{3000}"] {
        assert_eq!(name.parse::<PersonName>(), Err(NameError::Empty), "{name:?}");
    }
    for name in ["x".repeat(101), "x".repeat(1 << 20), " ".repeat(1 << 20), "👍".repeat(1 << 18)] {
        let error = name.parse::<PersonName>().unwrap_err();
        assert_eq!(error, NameError::TooLong { bytes: name.len() });
        assert!(error.to_string().len() < 100);
    }
}

#[test]
fn identifiers_that_would_change_a_key_are_refused() {
    for id in [
        "",
        ":",
        "a:b",
        "{a}",
        "*",
        "a?",
        "[a]",
        "a b",
        "a\nb",
        "a\0",
        "é",
        "../a b",
        &"a".repeat(65),
        &"1".repeat(1 << 20),
    ] {
        assert!(id.parse::<Sku>().is_err() || id.len() > 64, "{id}");
        for error in [
            id.parse::<UserId>().unwrap_err(),
            id.parse::<SessionId>().unwrap_err(),
            id.parse::<CartOwner>().unwrap_err(),
        ] {
            assert!(is_harmless(&error.to_string()) && error.to_string().len() < 200, "{error}");
        }
    }
    assert!("a".repeat(65).parse::<Sku>().is_err());
}

#[test]
fn digits_are_a_user_and_everything_else_a_guest() {
    assert!(matches!("1".parse(), Ok(CartOwner::User(_))));
    assert!(matches!("abc123".parse(), Ok(CartOwner::Guest(_))));
    assert!(matches!("1a".parse(), Ok(CartOwner::Guest(_))));
    for refused in ["0", "01", "-1", "9007199254740992", "18446744073709551616"] {
        assert!(refused.parse::<UserId>().is_err(), "{refused}");
    }
    for digits in ["0", "01", "9007199254740992"] {
        assert!(digits.parse::<CartOwner>().is_err(), "{digits} must not become a guest");
    }
    assert_eq!("9007199254740991".parse::<UserId>(), Ok(UserId::MAX));
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_text_is_taken_or_refused_harmlessly(text in any::<String>()) {
        let messages = [
            text.parse::<PersonName>().err().map(|error| error.to_string()),
            text.parse::<Sku>().err().map(|error| error.to_string()),
            text.parse::<CartOwner>().err().map(|error| error.to_string()),
            text.parse::<Quantity>().err().map(|error| error.to_string()),
            text.parse::<Cents>().err().map(|error| error.to_string()),
        ];
        for message in messages.into_iter().flatten() {
            prop_assert!(is_harmless(&message), "{message:?}");
            prop_assert!(message.len() < 1000);
        }
        if let Ok(name) = text.parse::<ProductName>() {
            prop_assert!(is_harmless(name.as_str()));
            prop_assert!((1..=100).contains(&name.as_str().chars().count()));
            prop_assert_eq!(name.as_str().parse::<ProductName>().unwrap(), name);
        }
    }

    #[test]
    fn a_price_reads_back_as_it_is_shown(cents in 0..=Cents::MAX_PRICE.get()) {
        let price = Cents::new(cents).unwrap();
        prop_assert_eq!(price.to_string().parse::<Cents>().unwrap(), price);
    }

    #[test]
    fn arithmetic_is_exact_or_refused(a in 0..i64::MAX, b in 0..i64::MAX, times in any::<u32>()) {
        let (left, right) = (Cents::new(a).unwrap(), Cents::new(b).unwrap());
        let exact = |sum: i128| i64::try_from(sum).ok().and_then(Cents::new);
        prop_assert_eq!(left.checked_add(right), exact(i128::from(a) + i128::from(b)));
        prop_assert_eq!(left.checked_mul(times), exact(i128::from(a) * i128::from(times)));
    }
}
