use patterns::fence::{Fence, FenceError, MAX_FIELDS, MAX_NUMBER};
use patterns::script::StoreError;

use crate::everywhere;

#[test]
fn an_older_number_never_writes_again() {
    everywhere(async |connection, prefix| {
        let records = Fence::new(connection, &prefix);
        records.write("{report}", 33, &[("by", "first"), ("total", "1")]).await.unwrap();
        records.write("{report}", 33, &[("total", "2")]).await.unwrap();
        records.write("{report}", 34, &[]).await.unwrap();
        for number in [33, 1, 0] {
            match records.write("{report}", number, &[("by", "late")]).await.unwrap_err() {
                FenceError::Stale { sent, seen: 34 } => assert_eq!(sent, number),
                other => panic!("{other}"),
            }
        }
        let fields = records.read("{report}").await.unwrap();
        assert_eq!(
            fields.into_iter().collect::<Vec<_>>(),
            [("by".into(), "first".into()), ("total".into(), "2".into())]
        );
        assert!(records.read("none").await.unwrap().is_empty());
    });
}

#[test]
fn the_highest_numbers_are_compared_exactly() {
    everywhere(async |connection, prefix| {
        let records = Fence::new(connection, &prefix);
        records.write("a", MAX_NUMBER, &[("by", "last")]).await.unwrap();
        let late = records.write("a", MAX_NUMBER - 1, &[("by", "late")]).await;
        assert_matches!(late, Err(FenceError::Stale { seen: MAX_NUMBER, .. }));
        assert_matches!(records.write("a", MAX_NUMBER + 1, &[]).await, Err(FenceError::Number { .. }));
    });
}

#[test]
fn what_is_no_record_or_no_field_is_refused() {
    everywhere(async |connection, prefix| {
        let records = Fence::new(connection.clone(), &prefix);
        assert_matches!(records.write("a", 1, &[(":fence", "9")]).await, Err(FenceError::Field));
        let many = records.write("a", 1, &[("a", "b"); MAX_FIELDS + 1]).await;
        assert_matches!(many, Err(FenceError::TooManyFields { .. }));
        assert!(records.write("", 1, &[]).await.is_err());

        let _: () = connection.send(&["SET", records.key("text").unwrap().as_str(), "mine"]).await;
        let error = records.write("text", 1, &[("a", "b")]).await.unwrap_err();
        assert_matches!(error, FenceError::Store(StoreError::WrongType(_)));
        let _: () = connection.send(&["HSET", records.key("odd").unwrap().as_str(), ":fence", "x"]).await;
        let error = records.write("odd", 1, &[("a", "b")]).await.unwrap_err();
        assert_matches!(error, FenceError::Store(StoreError::Malformed(_)));
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let records = Fence::new(connection.clone(), &prefix);
        assert_eq!(connection.round_trips_of(records.write("a", 1, &[("b", "c")])).await, 1);
        assert_eq!(connection.round_trips_of(records.read("a")).await, 1);
    });
}
