use std::any::Any;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix, until};
use patterns::broadcast::{
    Broadcast, Event, Follower, Inbox, Listener, MAX_PAYLOAD_BYTES, MAX_WAITING, Position,
};
use redis::cluster::ClusterClientBuilder;
use redis::{ProtocolVersion, RedisResult};

use crate::everywhere;

type Connect = fn() -> BoxFuture<'static, RedisResult<TestConnection>>;

fn news(connection: &TestConnection, prefix: &str) -> Broadcast<TestConnection> {
    Broadcast::new(connection.clone(), prefix, "news")
}

async fn publish(news: &Broadcast<TestConnection>, numbers: std::ops::Range<usize>) -> String {
    let mut last = String::new();
    for number in numbers {
        last = news.publish(number.to_string().as_bytes()).await.unwrap();
    }
    last
}

fn follow(
    connection: &TestConnection,
    prefix: &str,
    from: Position,
) -> Follower<TestConnection, Connect, TestConnection> {
    let server: Connect = || Box::pin(async { Ok(TestConnection::server().await) });
    let cluster: Connect = || Box::pin(async { Ok(TestConnection::cluster().await) });
    news(connection, prefix).follow(from, if connection.is_cluster() { cluster } else { server })
}

/// The next events: payloads, or a gap.
async fn next(follower: &mut Follower<TestConnection, Connect, TestConnection>, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    for _ in 0..count {
        let event = tokio::time::timeout(lab_testing::TIMEOUT, follower.next()).await.unwrap().unwrap();
        events.push(text(event));
    }
    events
}

fn text(event: Event) -> String {
    match event {
        Event::Message(message) => String::from_utf8(message.payload).unwrap(),
        Event::Gap => "gap".to_owned(),
    }
}

#[test]
fn a_follower_resumes_after_what_it_has_seen() {
    everywhere(async |connection, prefix| {
        let news = news(&connection, &prefix);
        let mut begins_now = follow(&connection, &prefix, Position::Now);
        assert!(news.read(&Position::Now).await.unwrap().1.is_empty());
        let third = publish(&news, 0..3).await;
        publish(&news, 3..5).await;
        let mut all = follow(&connection, &prefix, Position::Start);
        assert_eq!(next(&mut all, 5).await, ["0", "1", "2", "3", "4"]);
        let mut resumed = follow(&connection, &prefix, Position::After(third));
        assert_eq!(next(&mut resumed, 2).await, ["3", "4"]);
        // All of them wait now.
        let waiting = tokio::time::timeout(Duration::from_millis(20), begins_now.next()).await;
        assert!(waiting.is_err(), "{waiting:?}");
        publish(&news, 5..6).await;
        for follower in [&mut all, &mut resumed, &mut begins_now] {
            assert_eq!(next(follower, 1).await, ["5"]);
        }
    });
}

#[test]
fn what_was_trimmed_is_one_gap_and_so_is_an_id_that_means_nothing() {
    everywhere(async |connection, prefix| {
        let news = news(&connection, &prefix).with_max_entries(10);
        let first = publish(&news, 0..1).await;
        publish(&news, 1..400).await;
        let kept: usize = connection.send(&["XLEN", news.key().unwrap().as_str()]).await;
        assert!((10..300).contains(&kept), "{kept}");
        let mut expected = vec!["gap".to_owned()];
        expected.extend((400 - kept..400).map(|number| number.to_string()));
        for from in [
            Position::After(first),
            Position::Start,
            Position::After("yesterday".into()),
            Position::After("99999999999999-0".into()),
        ] {
            let mut follower = follow(&connection, &prefix, from.clone());
            assert_eq!(next(&mut follower, expected.len()).await, expected, "{from:?}");
        }
    });
}

#[test]
fn a_reset_is_one_gap_for_a_follower_that_waits_and_for_one_that_comes_back() {
    everywhere(async |connection, prefix| {
        let news = news(&connection, &prefix);
        let last = publish(&news, 0..3).await;
        let mut waiting = follow(&connection, &prefix, Position::After(last.clone()));
        let nothing = tokio::time::timeout(Duration::from_millis(20), waiting.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        for key in news.keys().unwrap() {
            let _: u64 = connection.send(&["DEL", &key]).await;
        }
        publish(&news, 3..5).await;
        assert_eq!(next(&mut waiting, 3).await, ["gap", "3", "4"]);
        let mut back = follow(&connection, &prefix, Position::After(last));
        assert_eq!(next(&mut back, 3).await, ["gap", "3", "4"]);
        publish(&news, 5..6).await;
        assert_eq!([next(&mut waiting, 1).await, next(&mut back, 1).await], [["5"], ["5"]]);
    });
}

#[test]
fn one_lost_key_hides_no_gap() {
    everywhere(async |connection, prefix| {
        let news = news(&connection, &prefix);
        let [log, last] = news.keys().unwrap();
        let first = publish(&news, 0..1).await;
        let second = publish(&news, 1..2).await;
        let _: u64 = connection.send(&["DEL", &last]).await;
        publish(&news, 2..3).await;
        let mut follower = follow(&connection, &prefix, Position::After(first));
        assert_eq!(next(&mut follower, 2).await, ["1", "2"], "it is read from the stream");
        let _: u64 = connection.send(&["DEL", &log]).await;
        assert_eq!(next(&mut follow(&connection, &prefix, Position::After(second)), 1).await, ["gap"]);
        publish(&news, 3..4).await;
        assert_eq!(next(&mut follower, 1).await, ["3"], "it has seen all that was lost");
    });
}

/// All of it happens in one millisecond, or nearly so, in which the server would begin with the same IDs again.
#[test]
fn a_reset_in_the_millisecond_of_the_last_message_is_a_gap() {
    everywhere(async |connection, prefix| {
        for round in 0..50 {
            let news = news(&connection, &format!("{prefix}{round}:"));
            let keys = news.keys().unwrap();
            let seen = news.publish(b"seen").await.unwrap();
            let _: u64 = connection.send(&["DEL", &keys[0], &keys[1]]).await;
            news.publish(b"lost").await.unwrap();
            news.publish(b"last").await.unwrap();
            let (gap, messages, _) = news.read(&Position::After(seen.clone())).await.unwrap();
            assert_eq!((gap, messages.len()), (true, 2), "{seen}: {messages:?}");
        }
    });
}

/// The server numbers a new stream by its clock, perhaps as it has numbered the lost one.
#[test]
fn after_a_lost_log_no_id_is_used_again() {
    everywhere(async |connection, prefix| {
        let news = news(&connection, &prefix);
        let [log, last] = news.keys().unwrap();
        // The last message has an ID of the far future, as after a clock that was set back.
        let seen = "99999999999999-7";
        let _: () = connection.send(&["SET", &last, seen]).await;
        assert_eq!(news.publish(b"next").await.unwrap(), "99999999999999-8");
        let _: u64 = connection.send(&["DEL", &log]).await;
        assert_eq!(news.publish(b"after").await.unwrap(), "99999999999999-9");
        let (gap, messages, _) = news.read(&Position::After(seen.into())).await.unwrap();
        assert_eq!((gap, messages.len()), (true, 1), "the first one was lost with the log");
    });
}

#[test]
fn any_bytes_go_through_and_foreign_keys_stay_as_they_are() {
    everywhere(async |connection, prefix| {
        let news = Broadcast::new(connection.clone(), &prefix, "{a}:\n*");
        let payload = b"\0\r\ngap\xff".as_slice();
        news.publish(payload).await.unwrap();
        news.publish(b"").await.unwrap();
        news.publish(&vec![0; MAX_PAYLOAD_BYTES + 1]).await.unwrap_err();
        let (gap, messages, _) = news.read(&Position::Start).await.unwrap();
        assert_eq!((gap, messages[0].payload.as_slice(), messages[1].payload.len()), (false, payload, 0));
        for key in news.keys().unwrap() {
            let _: u64 = connection.send(&["DEL", &key]).await;
            let type_of_another = if key.ends_with("last") {
                ["HSET", &key, "a", "b"].to_vec()
            } else {
                ["SET", &key, "mine"].to_vec()
            };
            let _: redis::Value = connection.send(&type_of_another).await;
            news.publish(b"x").await.unwrap_err();
            news.read(&Position::Start).await.unwrap_err();
            let _: u64 = connection.send(&["DEL", &key]).await;
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_get_everything_in_order_while_slots_move() {
    let (connection, prefix) = (TestConnection::cluster().await, prefix());
    let news = news(&connection, &prefix);
    let moving = MovingSlots::of([news.key().unwrap().as_str()]);
    let mut follower = follow(&connection, &prefix, Position::Start);
    let publisher = tokio::spawn(async move { publish(&news, 0..200).await });
    let mut seen = Vec::new();
    while seen.len() < 200 {
        match follower.next().await {
            Ok(event) => seen.push(text(event)),
            // It was cut off, and goes on.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    publisher.await.unwrap();
    assert!(moving.end() > 1);
    assert_eq!(seen, (0..200).map(|number: usize| number.to_string()).collect::<Vec<_>>());
}

/// What keeps a subscription.
type Subscription = Box<dyn Any + Send>;

/// A listener over RESP3, on a shard channel or a plain one.
fn listen(
    news: &Broadcast<TestConnection>,
    sharded: bool,
    cluster: bool,
) -> Listener<impl FnMut(String, Inbox) -> BoxFuture<'static, RedisResult<Subscription>>, Subscription> {
    news.listen(move |channel, inbox| {
        Box::pin(async move {
            if cluster {
                subscribe_to_cluster(channel, inbox, sharded).await
            } else {
                subscribe_to_server(channel, inbox, sharded).await
            }
        }) as BoxFuture<'static, RedisResult<Subscription>>
    })
    .unwrap()
}

async fn subscribe_to_server(channel: String, inbox: Inbox, sharded: bool) -> RedisResult<Subscription> {
    let client = redis::Client::open(format!("{}?protocol=resp3", lab_testing::server().url()))?;
    let config = redis::AsyncConnectionConfig::new()
        .set_push_sender(inbox)
        .set_connection_timeout(Some(lab_testing::TIMEOUT))
        .set_response_timeout(Some(lab_testing::TIMEOUT));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    if sharded {
        redis::cmd("SSUBSCRIBE").arg(channel).exec_async(&mut connection).await?;
    } else {
        connection.subscribe(channel).await?;
    }
    Ok(Box::new(connection))
}

async fn subscribe_to_cluster(channel: String, inbox: Inbox, sharded: bool) -> RedisResult<Subscription> {
    let client = ClusterClientBuilder::new(lab_testing::cluster().urls())
        .use_protocol(ProtocolVersion::RESP3)
        .push_sender(inbox)
        .connection_timeout(lab_testing::TIMEOUT)
        .response_timeout(lab_testing::TIMEOUT)
        .build()?;
    let mut connection = client.get_async_connection().await?;
    if sharded {
        connection.ssubscribe(channel).await?;
    } else {
        connection.subscribe(channel).await?;
    }
    Ok(Box::new(connection))
}

/// Announces until the listener hears this message. Before it, there may be gaps and older copies.
async fn hears<F, X>(
    listener: &mut Listener<F, Subscription>,
    news: &Broadcast<TestConnection>,
    message: &'static str,
) -> Vec<String>
where
    F: FnMut(String, Inbox) -> X,
    X: Future<Output = RedisResult<Subscription>>,
{
    let news = news.clone();
    let announcing = tokio::spawn(async move {
        loop {
            // An error means that its slot moves.
            let _ = news.announce(message.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut heard: Vec<String> = Vec::new();
    let until_heard = async {
        while heard.last().is_none_or(|heard| heard != message) {
            // An error means that it could not subscribe while its slot moved.
            heard.extend(listener.next().await.ok().map(text));
        }
    };
    tokio::time::timeout(lab_testing::TIMEOUT, until_heard).await.unwrap();
    announcing.abort();
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_of_a_cluster_hears_both_kinds_of_channels() {
    for sharded in [false, true] {
        let connection = TestConnection::cluster().await;
        let mut news = news(&connection, &prefix());
        if sharded {
            news = news.sharded();
        }
        assert_eq!(news.announce(b"nobody").await.unwrap(), 0);
        let mut listener = listen(&news, sharded, true);
        listener.connect().await.unwrap();
        assert!(!hears(&mut listener, &news, "one").await.contains(&"nobody".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_of_a_shard_channel_gets_a_gap_when_its_slot_moves_and_goes_on() {
    let (connection, prefix) = (TestConnection::cluster().await, prefix());
    let news = news(&connection, &prefix).sharded();
    let mut listener = listen(&news, true, true);
    listener.connect().await.unwrap();
    hears(&mut listener, &news, "before").await;
    let moving = MovingSlots::of([news.channel().unwrap()]);
    hears(&mut listener, &news, "meanwhile").await;
    assert!(moving.end() > 1);
    let mut heard = hears(&mut listener, &news, "after").await;
    // After the last move, too.
    let moving = MovingSlots::of([news.channel().unwrap()]);
    assert!(moving.end() > 1);
    heard.extend(hears(&mut listener, &news, "at last").await);
    assert!(heard.contains(&"gap".to_owned()), "{heard:?}");
}

#[tokio::test]
async fn a_listener_hears_what_is_announced_and_learns_of_gaps() {
    for sharded in [false, true] {
        let connection = TestConnection::server().await;
        let mut news = news(&connection, &prefix());
        if sharded {
            news = news.sharded();
        }
        assert_eq!(news.announce(b"nobody").await.unwrap(), 0);
        let mut listener = listen(&news, sharded, false);
        listener.connect().await.unwrap();
        assert_eq!(news.announce(b"one").await.unwrap(), 1);
        assert_eq!(text(listener.next().await.unwrap()), "one");

        // It asks for nothing, and the messages come in.
        for number in 0..=MAX_WAITING {
            news.announce(number.to_string().as_bytes()).await.unwrap();
        }
        let last = MAX_WAITING.to_string();
        let mut heard = Vec::new();
        while heard.last() != Some(&last) {
            heard.push(text(listener.next().await.unwrap()));
        }
        assert!(heard.len() <= 3 || heard.len() == MAX_WAITING + 1 || heard[0] == "gap", "{}", heard.len());

        // The server cuts it off, as it does with a slow one.
        let clients: String = connection.send(&["CLIENT", "LIST"]).await;
        let name = if sharded { "ssub=1" } else { "sub=1" };
        let ids: Vec<&str> = clients
            .lines()
            .filter(|client| client.contains(&format!(" {name} ")))
            .filter_map(|client| client.strip_prefix("id=")?.split(' ').next())
            .collect();
        for id in ids {
            let _: u64 = connection.send(&["CLIENT", "KILL", "ID", id]).await;
        }
        assert_eq!(text(listener.next().await.unwrap()), "gap");
        listener.connect().await.unwrap();
        until("it is back", async || news.announce(b"two").await.unwrap() == 1).await;
        assert_eq!(text(listener.next().await.unwrap()), "two");
    }
}
