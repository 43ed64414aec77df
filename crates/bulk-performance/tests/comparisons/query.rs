//! All approaches to a question give the same answer, which follows from who the users are. Nothing but our own data is
//! touched. KEYS is for private servers.

use std::collections::BTreeSet;
use std::time::Duration;

use bulk_performance::keys::Keys;
use bulk_performance::people::{CITIES, DEPARTMENTS, People};
use bulk_performance::query::{LESSON, Options, run};
use lab_connection::{Target, TargetArgs};
use lab_measure::query::{self, Answer, QueryApproach, Question, Redis, ServerFeatures, Users};
use lab_runner::block::Block;
use lab_runner::course::{self, LessonReport};
use lab_server::{Release, Server};
use redis::AsyncTypedCommands;

use lab_testing::lessons::{assert_stored, held, open_release, stored_keys, table};

use crate::{bulk, bulk_on, calls};

/// Enough for ties in salary, several pipelines, and sets beyond their small encodings.
const RECORDS: u64 = 6_000;

/// The release with the search module.
const SEARCH: Release = Release::Redis82Modules;

/// One server, a cluster, one behind a prefix, and one with search where there is one.
async fn targets() -> Vec<Target> {
    let mut targets = crate::targets().await;
    targets.extend(open_release(SEARCH, None).await);
    targets
}

/// Writes the users, and the search index where the server has one.
async fn prepare(target: &Target, records: u64) -> (Users, ServerFeatures) {
    let users = Users::new(&Keys::new(target.prefix()), records, 100);
    users.write(&mut target.connection()).await.unwrap();
    let server = query::prepare(target, &users).await;
    (users, server)
}

async fn answer(approach: &QueryApproach, users: &Users, target: &Target) -> Answer {
    (approach.answer)(users, &mut Redis::Plain(target.connection())).await.unwrap()
}

/// The approach to a question with this label.
fn approach(question: Question, label: &str) -> &'static QueryApproach {
    question.approaches().iter().find(|approach| approach.label == label).unwrap()
}

/// The answers, computed from the generator alone.
struct Right {
    in_city: Vec<u64>,
    in_both: Vec<u64>,
    by_salary: Vec<(u64, u32)>,
    average_cents: u64,
}

impl Right {
    fn of(records: u64) -> Self {
        let people = People::new();
        let city = |number: &u64| CITIES[people.user(*number).city] == "New York";
        let works = |number: &u64| DEPARTMENTS[people.user(*number).department] == "Engineering";
        let in_city: Vec<u64> = (1..=records).filter(city).collect();
        let in_both = in_city.iter().copied().filter(|number| works(number)).collect();
        let mut by_salary: Vec<(u64, u32)> =
            (1..=records).map(|number| (number, people.user(number).salary)).collect();
        by_salary.sort_by_key(|(number, salary)| (*salary, number.to_string()));
        let sum: u64 = in_city.iter().map(|&number| u64::from(people.user(number).salary)).sum();
        let average = sum as f64 * 100.0 / in_city.len() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cents of a salary")]
        let average_cents = average.round() as u64;
        Self { in_city, in_both, by_salary, average_cents }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_approaches_give_the_answer_that_follows_from_the_users() {
    for target in targets().await {
        for records in [1, 2, 99, RECORDS] {
            let (users, server) = prepare(&target, records).await;
            let right = Right::of(records);
            // What the lesson takes for right is right.
            assert_eq!(users.in_city(false), right.in_city);
            assert_eq!(users.in_city(true), right.in_both);
            let by_salary: Vec<_> =
                users.by_salary().into_iter().map(|user| (user.number, user.salary)).collect();
            assert_eq!(by_salary, right.by_salary);
            assert_eq!(users.average_cents(), right.average_cents);

            let mut open = Vec::new();
            for question in Question::ALL {
                let allowed = question.approaches().iter().filter(|one| one.obstacle(server).is_none());
                for approach in allowed.clone() {
                    let answer = answer(approach, &users, &target).await;
                    let place = format!("{} on {}", approach.label, target.describe());
                    assert_eq!(answer, question.right_answer(&users), "{place}");
                }
                open.push(allowed.count());
            }
            let search = usize::from(server.search);
            let expected = if server.cluster {
                [2, 3, 4, 2, 2, 1, 4, 2, 3]
            } else {
                [2, 4, 5, 3, 4 + search, 3 + search, 4, 2, 4 + search]
            };
            assert_eq!(open, expected, "approaches on {}", target.describe());
            users.remove(&mut target.connection()).await.unwrap();
        }
        let left = stored_keys(&target).await;
        let names = left.iter().map(|name| name.trim_start_matches(target.prefix())).collect::<Vec<_>>();
        assert_eq!(names, ["redis-lab:marker"], "removing removes all that was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_intersection_is_stored_again_when_it_has_expired() {
    let target = TargetArgs::private().open().await.unwrap();
    let (users, _) = prepare(&target, RECORDS).await;
    let mut redis = target.connection();
    let key = Keys::new("").city_and_department("New York", "Engineering");
    let stored = approach(Question::CityAndDepartment, "stored before: SMEMBERS");
    assert!(!redis.exists(&key).await.unwrap());
    for _ in 0..2 {
        assert_eq!(answer(stored, &users, &target).await, Answer::Numbers(users.in_city(true)));
        let ttl = redis.ttl(&key).await.unwrap().raw();
        assert!((1..=60).contains(&ttl), "{ttl}");
        redis.del(&key).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_passes_equal_salaries_that_fill_several_pages() {
    let target = TargetArgs::private().open().await.unwrap();
    let (users, _) = prepare(&target, RECORDS).await;
    let cursor = users.cursor.unwrap();
    // 250 more with the salary of the last user seen, all of them before that user by name.
    let key = Keys::new("").users_by_salary();
    for number in 1_000_000..1_000_250 {
        assert!(number.to_string() < cursor.number.to_string());
        target.connection().zadd(&key, number, cursor.salary).await.unwrap();
    }
    let expected = Question::DeepPage.right_answer(&users);
    let by_cursor = approach(Question::DeepPage, "cursor: score and member");
    assert_eq!(answer(by_cursor, &users, &target).await, expected);
    let by_rank = approach(Question::DeepPage, "offset: by rank");
    assert_ne!(answer(by_rank, &users, &target).await, expected, "an offset is misled");
}

fn small() -> Options {
    sized(500)
}

fn sized(records: u64) -> Options {
    Options { records: Some(records), repeat: 2, default_records: 0, slice: Duration::ZERO }
}

async fn run_lesson(target: &Target, options: Options) -> LessonReport {
    let report = course::record_with(target, &LESSON, |ctx| Box::pin(run(ctx, options)));
    held(target, report.await)
}

/// The approaches in the table with this title.
fn rows<'a>(report: &'a LessonReport, title: &str) -> Vec<&'a str> {
    table(report, title).iter().map(|row| row[0].as_str()).collect()
}

fn said(report: &LessonReport) -> String {
    report
        .blocks
        .iter()
        .filter_map(|block| if let Block::Say { text } = block { Some(text.as_str()) } else { None })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_passes_again_and_again_and_the_documented_queries_find_data() {
    for target in targets().await {
        let prefix = target.prefix();
        // One user is enough.
        for records in [1, 2, 700] {
            run_lesson(&target, sized(records)).await;
        }
        let before = stored_keys(&target).await;
        assert!(before.contains(&format!("{prefix}user:700")));
        let page = run_lesson(&target, small()).await;
        let stored = stored_keys(&target).await;
        assert!(
            !stored.contains(&format!("{prefix}user:501")),
            "the next run removes what the last one wrote"
        );
        assert!(stored.iter().all(|key| key.starts_with(prefix)), "{stored:?}");
        assert_stored(&target, &[page]).await;

        let mut redis = target.connection();
        let user = redis.hgetall(format!("{prefix}user:1")).await.unwrap();
        assert_eq!((user["firstname"].as_str(), user["lastname"].as_str()), ("Parker", "Perry"));
        let there = redis.smembers(format!("{prefix}city:New York:users")).await.unwrap();
        let there: BTreeSet<u64> = there.iter().map(|number| number.parse().unwrap()).collect();
        let right = Right::of(500);
        assert_eq!(there, right.in_city.into_iter().collect());
        let top: Vec<(u64, f64)> = redis::cmd("ZREVRANGE")
            .arg(format!("{prefix}users_by_salary"))
            .arg(0)
            .arg(9)
            .arg("WITHSCORES")
            .query_async(&mut redis)
            .await
            .unwrap();
        let expected: Vec<(u64, f64)> = right
            .by_salary
            .iter()
            .rev()
            .take(10)
            .map(|&(number, salary)| (number, f64::from(salary)))
            .collect();
        assert_eq!(top, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_the_lesson_says_what_it_leaves_out() {
    let target = TargetArgs { cluster: true, ..TargetArgs::private() }.open().await.unwrap();
    let page = run_lesson(&target, small()).await;
    assert_eq!(rows(&page, "Average salary of a city").len(), 3);
    for left_out in
        ["SINTER", "SINTERCARD", "SORT BY user:*->salary", "Hash: one script", "SCAN MATCH, HMGET each"]
    {
        assert!(
            said(&page).contains(&format!("Left out: '{left_out}', because ")),
            "{left_out}: {}",
            said(&page)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_is_sent_to_private_servers_only() {
    let private = TargetArgs::private().open().await.unwrap();
    let page = run_lesson(&private, small()).await;
    assert!(calls(&private).await["keys"] > 0);
    assert_eq!(rows(&page, "Users in a city").len(), 4);

    let server = Server::start().unwrap();
    let shared = TargetArgs::at(server.url()).open().await.unwrap();
    let page = run_lesson(&shared, small()).await;
    let calls = calls(&shared).await;
    for forbidden in ["keys", "flushall", "flushdb", "config|set", "shutdown"] {
        assert!(!calls.contains_key(forbidden), "{forbidden}: {calls:?}");
    }
    assert!(calls["scan"] > 0 && calls["smembers"] > 0, "{calls:?}");
    assert_eq!(rows(&page, "Users in a city").len(), 3);
    assert!(said(&page).contains("it is sent only to a private server"), "{}", said(&page));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_keep_beside_the_users_is_neither_found_nor_touched() {
    let mut targets = vec![TargetArgs::private().open().await.unwrap()];
    targets.extend(open_release(SEARCH, None).await);
    for target in targets {
        let mut redis = target.connection();
        // More users than were asked for, as a load leaves them, and names that only look like users.
        let more = [("city", "New York"), ("department", "Engineering"), ("salary", "999999")];
        for key in ["user:501", "user:100000", "user:07", "user:x"] {
            redis.hset_multiple(key, &more).await.unwrap();
        }
        redis.set("user:1:cart", "apples").await.unwrap();
        redis.set("city:Berlin:users", "none").await.unwrap();
        redis.set("query:note", "mine").await.unwrap();
        run_lesson(&target, small()).await;
        run_lesson(&target, sized(300)).await;
        for key in ["user:501", "user:100000", "user:07", "user:x"] {
            let left = redis.hgetall(key).await.unwrap();
            assert_eq!(left.len(), 3, "{key}: {left:?}");
        }
        for (key, value) in [("user:1:cart", "apples"), ("city:Berlin:users", "none"), ("query:note", "mine")]
        {
            assert_eq!(redis.get(key).await.unwrap().as_deref(), Some(value), "{key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_search_it_answers_and_leaves_no_index() {
    for prefix in [None, Some("lab:".to_owned())] {
        let Some(target) = open_release(SEARCH, prefix).await else { return };
        let mut redis = target.connection();
        // An index of somebody else, which has to stay.
        let mut create = redis::cmd("FT.CREATE");
        create.arg("foreign").arg("ON").arg("HASH").arg("PREFIX").arg(1).arg("other:");
        create.arg("SCHEMA").arg("name").arg("TEXT").exec_async(&mut redis).await.unwrap();
        // And one that an interrupted run of ours left.
        let (_users, _) = prepare(&target, 10).await;
        let page = run_lesson(&target, small()).await;
        for (title, way) in [
            ("Users in Engineering and New York", "FT.SEARCH"),
            ("How many work in Engineering and live in New York", "FT.SEARCH LIMIT 0 0"),
            ("Average salary of a city", "FT.AGGREGATE"),
        ] {
            assert!(rows(&page, title).contains(&way), "{title}");
        }
        let indexes: Vec<String> = redis::cmd("FT._LIST").query_async(&mut redis).await.unwrap();
        assert_eq!(indexes, ["foreign"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_read_in_both_protocols() {
    let Some(target) = open_release(SEARCH, None).await else { return };
    let Some(lab_connection::address::PrivateServer::Single(server)) = target.private() else {
        panic!("one private server")
    };
    let separator = if server.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}protocol=resp3", server.url());
    let resp3 = TargetArgs::at(url).open().await.unwrap();
    assert!(resp3.transport().contains("RESP3"), "{}", resp3.transport());
    let page = run_lesson(&resp3, small()).await;
    assert_eq!(rows(&page, "Average salary of a city").len(), 5);
}

#[test]
fn no_users_and_too_many_are_refused_before_a_connection_is_opened() {
    for records in ["0", "10000001", "-1", "many"] {
        let argument = format!("--records={records}");
        let output = bulk(&["query", &argument, "-h", "127.0.0.1", "-p", "1"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("--records") && said.contains(records), "{said}");
    }
    assert_eq!(bulk(&["query", "--repeat", "0"]).status().unwrap().code(), Some(2));
}

#[test]
fn the_command_prints_its_tables_in_eighty_columns() {
    let server = Server::start().unwrap();
    let output = bulk_on(&server, &["query", "--records", "200", "--repeat", "1"]).output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{page}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(page.contains("asked for 'sub-millisecond response times'"), "{page}");
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    assert!(!page.contains('✗'), "{page}");
}
