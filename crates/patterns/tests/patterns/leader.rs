use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lab_server::Server;
use lab_testing::{TIMEOUT, TestConnection, until};
use patterns::fence::{Fence, FenceError};
use patterns::leader::{Candidate, Elections, LeaderError, Standing};
use patterns::script::StoreError;
use tokio::time::{sleep, timeout};

use crate::everywhere;

const SHORT: Duration = Duration::from_secs(1);

fn elections(connection: &TestConnection, prefix: &str) -> Elections<TestConnection> {
    Elections::new(connection.clone(), prefix).with_lease(SHORT)
}

#[test]
fn of_candidates_at_the_same_moment_one_leads() {
    everywhere(async |connection, prefix| {
        let elections = elections(&connection, &prefix).with_lease(TIMEOUT);
        let candidates: Vec<_> = (0..20).map(|_| Candidate::new("same name").unwrap()).collect();
        let standings =
            join_all(candidates.iter().map(|candidate| elections.campaign("{e}", candidate))).await;
        let leads = |standing: &Result<Standing, LeaderError>| matches!(standing, Ok(Standing::Leads(_)));
        assert_eq!(standings.iter().filter(|standing| leads(standing)).count(), 1, "{standings:?}");
        let leader = elections.leader("{e}").await.unwrap().unwrap();
        let first = candidates.iter().zip(&standings).find(|(_, standing)| leads(standing)).unwrap().0;
        let Standing::Leads(term) = elections.campaign("{e}", first).await.unwrap() else { panic!() };
        assert_eq!((leader.term, leader.candidate.as_str()), (term.number, "same name"));

        let second = candidates.iter().find(|candidate| *candidate != first).unwrap();
        assert!(!elections.resign("{e}", second).await.unwrap());
        assert!(elections.resign("{e}", first).await.unwrap());
        assert!(!elections.resign("{e}", first).await.unwrap());
        let Standing::Leads(next) = elections.campaign("{e}", second).await.unwrap() else { panic!() };
        assert!(next.number > term.number);
    });
}

#[test]
fn a_candidate_takes_over_when_the_leader_resigns_dies_or_loses_its_key() {
    everywhere(async |connection, prefix| {
        let elections = elections(&connection, &prefix);
        let first = elections.stand("e", "first").unwrap();
        let one = first.elected().await;
        let second = elections.stand("e", "second").unwrap();
        assert!(first.resign().await.unwrap());
        let two = second.elected().await;
        assert!(two > one);

        let third = elections.stand("e", "third").unwrap();
        drop(second);
        let three = third.elected().await;
        assert!(three > two);

        let _: () = connection.send(&["DEL", &elections.keys("e").unwrap()[0]]).await;
        // The former leader notices, and whoever leads then has a higher term.
        third.over(three).await;
        let later = third.elected().await;
        assert!(later > three);
        assert_eq!(third.lead(three, async {}).await, None, "that term is over");
        assert_eq!(third.last_error(), None);
    });
}

#[tokio::test]
async fn a_leader_stays_through_a_short_outage_and_comes_back_after_a_long_one() {
    let server = Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let lease = Duration::from_secs(3);
    let elections = Elections::new(connection.clone(), "").with_lease(lease);
    let candidacy = Arc::new(elections.stand("e", "only").unwrap());
    let term = candidacy.elected().await;

    server.pause().unwrap();
    let work = candidacy.lead(term, std::future::pending::<()>());
    assert!(timeout(lease / 3, work).await.is_err(), "its work was dropped");
    server.resume().unwrap();
    assert_eq!(elections.leader("e").await.unwrap().unwrap().term, term);
    assert_eq!(candidacy.term(), Some(term));

    server.pause().unwrap();
    assert_eq!(candidacy.lead(term, std::future::pending::<()>()).await, None);
    assert_eq!(candidacy.term(), None);
    // By the server's clock the lease ends a twentieth later.
    sleep(lease).await;
    server.resume().unwrap();
    let again = candidacy.elected().await;
    assert!(again > term, "a new term, without a restart");
}

/// The runtime's only thread sleeps, and so do renewals: what SIGSTOP does to a process.
#[tokio::test]
async fn a_leader_that_was_frozen_knows_it_at_once_and_cannot_write() {
    let server = Server::start().unwrap();
    let url = server.url();
    let connection = TestConnection::to_server(&server).await;
    let records = Fence::new(connection.clone(), "");
    let elections = elections(&connection, "");
    let frozen = elections.stand("e", "frozen").unwrap();
    let term = frozen.elected().await;
    records.write("r", term, &[("by", "frozen")]).await.unwrap();

    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let connection = TestConnection::to_url(&url).await;
            let candidacy = self::elections(&connection, "").stand("e", "other").unwrap();
            let term = candidacy.elected().await;
            let records = Fence::new(connection.clone(), "");
            records.write("r", term, &[("by", "other")]).await.unwrap();
            candidacy.resign().await.unwrap();
            term
        })
    });
    let next = other.join().unwrap();

    assert_eq!(frozen.term(), None, "the first statement after the freeze");
    assert!(next > term);
    let late = records.write("r", term, &[("by", "frozen")]).await;
    assert_matches!(late, Err(FenceError::Stale { seen, .. }) if seen == next);
    let again = frozen.elected().await;
    assert!(again > next);
    records.write("r", again, &[("by", "frozen")]).await.unwrap();
}

#[test]
fn what_another_program_wrote_is_an_error_that_the_candidacy_shows() {
    everywhere(async |connection, prefix| {
        let elections = elections(&connection, &prefix);
        let [leader, _] = elections.keys("e").unwrap();
        let _: () = connection.send(&["SET", &leader, "mine"]).await;
        let error = elections.campaign("e", &Candidate::new("a").unwrap()).await.unwrap_err();
        assert_matches!(error, LeaderError::Store(StoreError::Malformed(_)));
        assert_matches!(elections.leader("e").await, Err(StoreError::Malformed(_)));
        let candidacy = elections.stand("e", "a").unwrap();
        until("the error is shown", async || candidacy.last_error().is_some()).await;
        let _: () = connection.send(&["DEL", &leader]).await;
        candidacy.elected().await;
        until("the error is gone", async || candidacy.last_error().is_none()).await;
        assert!(elections.stand("", "a").is_err());
        assert!(elections.stand("e", "").is_err());
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let elections = elections(&connection, &prefix);
        let candidate = Candidate::new("a").unwrap();
        assert_eq!(connection.round_trips_of(elections.campaign("e", &candidate)).await, 1);
        assert_eq!(connection.round_trips_of(elections.leader("e")).await, 1);
        assert_eq!(connection.round_trips_of(elections.resign("e", &candidate)).await, 1);
    });
}
