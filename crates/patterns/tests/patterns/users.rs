use patterns::script::StoreError;
use patterns::users::{CreateError, User, Users};
use tokio::task::JoinSet;

use crate::everywhere;

fn parker(id: &str) -> User {
    User { id: id.to_owned(), first_name: "Parker".to_owned(), last_name: "Perry".to_owned() }
}

fn ids(users: &[User]) -> Vec<&str> {
    users.iter().map(|user| user.id.as_str()).collect()
}

#[test]
fn a_user_is_never_overwritten_and_the_same_one_again_is_no_error() {
    everywhere(async |connection, prefix| {
        let users = Users::new(connection.clone(), &prefix);
        for _ in 0..2 {
            assert_eq!(users.create_with_id("1", "Parker", "Perry").await.unwrap(), parker("1"));
        }
        let error = users.create_with_id("1", "Somebody", "Else").await.unwrap_err();
        assert_eq!(error.to_string(), "there is already a user 1");
        assert_eq!(users.get("1").await.unwrap(), Some(parker("1")));
        // Two people of one name have two numbers; 1 is passed over.
        assert_eq!(users.create("Parker", "Perry").await.unwrap().id, "2");
        assert_eq!(users.create("Parker", "Perry").await.unwrap().id, "3");
        assert_eq!(users.get("4").await.unwrap(), None);
        let first: String = connection.send(&["HGET", &format!("{prefix}user:1"), "firstname"]).await;
        let last: String = connection.send(&["HGET", &format!("{prefix}user:1"), "lastname"]).await;
        assert_eq!((first.as_str(), last.as_str()), ("Parker", "Perry"));
    });
}

#[test]
fn every_id_and_name_works() {
    everywhere(async |connection, prefix| {
        let users = Users::new(connection, &prefix);
        let long = "é".repeat(256);
        let odd = ["10", "9", "ann@example.com", "2001:db8::1", "{1}", "*", " ", "007", &long];
        for id in odd {
            users.create_with_id(id, "", "\0 any text").await.unwrap();
            assert_eq!(users.get(id).await.unwrap().unwrap().last_name, "\0 any text");
        }
        let sorted = ["9", "10", " ", "*", "007", "2001:db8::1", "ann@example.com", "{1}", &long];
        assert_eq!(ids(&users.list().await.unwrap()), sorted, "numbers first, then by text");
        for refused in ["", &"a".repeat(513)] {
            let error = users.create_with_id(refused, "A", "B").await.unwrap_err();
            assert_matches!(error, CreateError::Store(StoreError::Key(_)));
        }
    });
}

#[test]
fn users_are_listed_by_number_also_beyond_one_page() {
    everywhere(async |connection, prefix| {
        let users = Users::new(connection.clone(), &prefix);
        assert_eq!(users.list().await.unwrap(), []);
        for _ in 0..510 {
            users.create("A", "B").await.unwrap();
        }
        // An ID whose user was deleted by hand is passed over.
        let _: i64 = connection.send(&["DEL", users.key("3").unwrap().as_str()]).await;
        let expected: Vec<String> = (1..=510).filter(|id| *id != 3).map(|id| id.to_string()).collect();
        assert_eq!(ids(&users.list().await.unwrap()), expected);
    });
}

#[test]
fn steps_that_are_sent_twice_make_one_user() {
    everywhere(async |connection, prefix| {
        let users = Users::new(connection.sending_twice(), &prefix);
        for _ in 0..5 {
            users.create("Parker", "Perry").await.unwrap();
        }
        users.create_with_id("ann", "Ann", "Lee").await.unwrap();
        assert_eq!(users.list().await.unwrap().len(), 6);
    });
}

#[test]
fn lost_keys_give_no_number_twice_and_can_be_repaired() {
    everywhere(async |connection, prefix| {
        let users = Users::new(connection.clone(), &prefix);
        for _ in 0..250 {
            users.create("A", "B").await.unwrap();
        }
        let list = users.list_key().unwrap();
        let _: i64 = connection.send(&["DEL", &list.companion("last")]).await;
        let trips = connection.round_trips_of(users.create("C", "D")).await;
        assert!(trips <= 6, "it does not try each number: {trips}");
        assert_eq!(users.list().await.unwrap().len(), 251);

        let _: i64 = connection.send(&["DEL", list.as_str()]).await;
        assert_eq!(users.create("E", "F").await.unwrap().id, "252");
        users.create_with_id("7", "A", "B").await.unwrap();
        assert_eq!(
            ids(&users.list().await.unwrap()),
            ["7", "252"],
            "the same user again is on the list again"
        );
    });
}

#[test]
fn what_another_program_wrote_is_an_error_that_names_the_key() {
    everywhere(async |connection, prefix| {
        let users = Users::new(connection.clone(), &prefix);
        let key = users.key("1").unwrap();
        let _: i64 = connection.send(&["HSET", key.as_str(), "firstname", "A"]).await;
        let error = users.get("1").await.unwrap_err().to_string();
        assert!(error.contains(key.as_str()), "{error}");
        let _: i64 = connection.send(&["DEL", key.as_str()]).await;
        let _: () = connection.send(&["SET", key.as_str(), "mine"]).await;
        let error = users.create_with_id("1", "A", "B").await.unwrap_err();
        assert_matches!(&error, CreateError::Store(StoreError::WrongType(keys)) if keys.contains(key.as_str()));
        assert_eq!(connection.send::<String>(&["GET", key.as_str()]).await, "mine");
    });
}

#[test]
fn users_created_at_once_all_get_a_number_of_their_own() {
    everywhere(async |connection, prefix| {
        let users = Users::new(connection, &prefix);
        // Taken beforehand, so it is passed over; even by people of the same name.
        users.create_with_id("5", "A", "B").await.unwrap();
        let mut clients = JoinSet::new();
        for _ in 0..64 {
            let users = users.clone();
            clients.spawn(async move { users.create("A", "B").await.unwrap().id });
        }
        let mut ids: Vec<u64> = clients.join_all().await.iter().map(|id| id.parse().unwrap()).collect();
        ids.push(5);
        ids.sort_unstable();
        assert_eq!(ids, (1..=65).collect::<Vec<_>>());
        assert_eq!(users.list().await.unwrap().len(), 65);
    });
}

#[test]
fn reading_takes_one_round_trip_and_creating_two_or_three() {
    everywhere(async |connection, prefix| {
        let users = Users::new(connection.clone(), &prefix);
        users.create("A", "B").await.unwrap();
        assert_eq!(connection.round_trips_of(users.get("1")).await, 1);
        assert_eq!(connection.round_trips_of(users.create_with_id("ann", "A", "B")).await, 2);
        assert_eq!(connection.round_trips_of(users.create("A", "B")).await, 3);
    });
}
