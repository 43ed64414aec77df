//! A guide that says what is not so does not pass.

use interview::execution::{ExampleRunner, Execution};
use interview::guide::Guide;
use lab_server::Choice;

/// A guide with one question, whose examples are these.
fn guide(examples: &str) -> Guide {
    let text = format!(
        "# Redis guide\n\n## Contents\n\n- [Types](#types): question 1\n\n## Types\n\n### 1. What is a key?\n\n\
         Level: beginner\n\n**Say:** A name.\n\n**Why:** It has to be found.\n\n**Trap:** Spaces.\n\n{examples}\n\n\
         **See:** [`strings`](crates/simple-ops/src/strings.rs): keys.\n"
    );
    Guide::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn executed(guide: &Guide) -> Vec<Execution<'_>> {
    let (_, question) = guide.questions().next().unwrap();
    ExampleRunner::of(question, &Choice::from_env().unwrap()).execute_all()
}

/// What is wrong with these examples.
fn complaints(examples: &str) -> Vec<String> {
    executed(&guide(examples)).iter().filter_map(Execution::complaint).collect()
}

/// These examples have the real replies.
fn assert_right(examples: &str) {
    assert_eq!(complaints(examples), Vec::<String>::new());
}

#[test]
fn a_wrong_value_a_missing_line_and_another_error_are_each_told_with_what_came() {
    let told = complaints(
        "```redis\n> SET greeting hello\nOK\n> GET greeting\n\"hallo\"\n> APPEND greeting !\n(integer) 6\n```\n\n\
         ```redis\n> RPUSH queue a b c\n(integer) 3\n> LRANGE queue 0 -1\n1) \"a\"\n3) \"c\"\n```\n\n\
         ```redis\n> LPUSH list x\n(integer) 1\n> GET list\n(error) ERR no such thing\n```",
    );
    let expected = [
        "Question 1. What is a key? (REDIS_GUIDE.md:19, block 1; - expected, + came)\n  line 22: > GET greeting\n  \
         - \"hallo\"\n  + \"hello\"\n",
        "Question 1. What is a key? (REDIS_GUIDE.md:28, block 2; - expected, + came)\n  line 31: > LRANGE queue 0 -1\n    \
         1) \"a\"\n  + 2) \"b\"\n    3) \"c\"\n",
        "Question 1. What is a key? (REDIS_GUIDE.md:36, block 3; - expected, + came)\n  line 39: > GET list\n  \
         - (error) ERR no such thing\n  + (error) WRONGTYPE Operation against a key holding the wrong kind of value\n",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_reply_too_few_or_one_that_never_fits_is_told() {
    let told = complaints(
        "```redis\n> SET k v\nOK\nOK\n> GET k\n(nil)\n…\n```\n\n```redis\n> SET k v\nOK\n~> GET k\n\"w\"\n```",
    );
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("    OK\n  - OK\n"), "{}", told[0]);
    assert!(told[0].contains("  - (nil)\n"), "{}", told[0]);
    assert!(told[1].contains("~> GET k\n  - \"w\"\n  + \"v\"\n"), "{}", told[1]);
}

#[test]
fn a_server_that_cannot_start_is_a_fault_of_the_guide() {
    let told = complaints("```redis maxmemory=much\n> PING\nPONG\n```");
    assert!(told[0].contains("block 1") && told[0].contains("maxmemory"), "{told:?}");
}

#[test]
fn what_this_server_lacks_is_skipped_with_the_reason() {
    let guide = guide(
        "```redis needs=PING,NO.SUCH\n> NO.SUCH\nOK\n```\n\n```redis same\n> PING\nPONG\n```\n\n\
         ```redis no-run=\"takes a day\"\n> PING\nnever\n```\n\n\
         ```redis\n> PING\nPONG\n```\n\n```redis same needs=NO.SUCH\n> NO.SUCH\nOK\n```",
    );
    let executions = executed(&guide);
    let reasons: Vec<_> =
        executions.iter().map(|execution| execution.skipped().unwrap_or_default()).collect();
    let lacks = "this server has no NO.SUCH";
    assert_eq!(reasons, [lacks, lacks, "takes a day", "", lacks]);
    assert!(executions.iter().all(|execution| execution.complaint().is_none()));
}

#[test]
fn an_example_over_tls_is_executed_where_the_server_has_it() {
    let guide = guide(
        "```redis tls\n> SET k v\nOK\nA> BLPOP q 0\n> RPUSH q x\n(integer) 1\nA>\n1) \"q\"\n2) \"x\"\n```",
    );
    let executions = executed(&guide);
    assert_eq!(executions[0].complaint(), None);
    let skipped = executions[0].skipped().unwrap_or_default();
    if std::env::var("REDIS_LAB_SERVER").is_ok_and(|release| release == "redis-7.0") {
        assert_eq!(skipped, "", "Debian's has TLS");
    } else {
        assert!(["", "this server was built without TLS"].contains(&skipped), "{skipped}");
    }
}

#[test]
fn the_name_of_a_node_is_sent_as_its_id() {
    assert_right(
        "```redis cluster\nnode1> CLUSTER COUNT-FAILURE-REPORTS <node2>\n(integer) 0\n\
         node1> CLUSTER COUNT-FAILURE-REPORTS <node4>\n(error) ERR Unknown node <node4>\n```\n\n\
         ```redis\n> ECHO <node2>\n\"<node2>\"\n```",
    );
}

#[test]
fn each_try_of_a_repeated_command_begins_at_the_same_node() {
    // The first tries are redirected, too, and still find the key.
    assert_right(
        "```redis cluster\nnode2> SET user:1 Parker PX 300\nOK\n~> GET user:1\n\
         -> Redirected to slot [10778] located at 127.0.0.1:<node2:port>\n(nil)\n```",
    );
}

#[test]
fn clients_block_subscribe_and_close_like_redis_cli() {
    assert_right(
        "```redis\n\
         A> SUBSCRIBE one two\n1) \"subscribe\"\n2) \"one\"\n3) (integer) 1\n1) \"subscribe\"\n2) \"two\"\n3) (integer) 2\n\
         > PUBLISH two hi\n(integer) 1\nA>\n1) \"message\"\n2) \"two\"\n3) \"hi\"\n\
         B> HELLO 3\n…\nB> CLIENT TRACKING ON\nOK\nB> GET k\n(nil)\n> SET k v\nOK\nB> PING\nPONG\n\
         B>\n1) \"invalidate\"\n2) 1) \"k\"\n\
         C> BLMOVE from to LEFT RIGHT 0\nD> BRPOP to 0\n> RPUSH from x\n(integer) 1\nD>\n1) \"to\"\n2) \"x\"\nC>\n\"x\"\n\
         C> QUIT\nOK\nC> PING\nError: Server closed the connection\nC> PING\nPONG\n\
         C> RESET\nRESET\nC> GET k\n\"v\"\n```",
    );
}

#[test]
fn a_killed_server_comes_back_with_what_it_saved() {
    assert_right(
        "```redis\n> SET k old\nOK\n> SAVE\nOK\n> SET k new\nOK\n! copy dump.rdb kept.rdb\n> SAVE\nOK\n! kill\n\
         ! copy kept.rdb dump.rdb\n! start\n> GET k\n\"old\"\n```\n\n\
         ```redis aof appendfsync=always\n> SET k old\nOK\n> APPEND k er\n(integer) 5\n! kill\n\
         ! cut appendonlydir/appendonly.aof.1.incr.aof \"*3\\r\\n$6\\r\\nAPPEND\"\n! start\n> GET k\n\"old\"\n```",
    );
}

#[test]
fn an_action_that_fails_is_told() {
    let told = complaints(
        "```redis\n> PING\nPONG\n! kill node2\n! copy none.rdb dump.rdb\n```\n\n```redis\n> PING\nPONG\n! power-cut\n```",
    );
    assert!(
        told[0].contains("! kill node2\n") && told[0].contains("there is no server `node2` here"),
        "{told:?}"
    );
    assert!(told[0].contains("! copy none.rdb dump.rdb\n"), "{told:?}");
    assert!(told[1].contains("! power-cut\n"), "{told:?}");
}

#[test]
fn bytes_are_sent_and_shown_as_they_are() {
    assert_right(
        "```redis\nwire> \"SET a 1\\r\\n*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\na\\r\\n\"\n\"+OK\\r\\n$1\\r\\n1\\r\\n\"\n\
         wire> \"PING\"\n(no reply) these bytes are no whole commands\n```",
    );
}

#[test]
fn sentinels_and_replicas_of_a_cluster_take_over() {
    assert_right(
        "```redis sentinel\nprimary> SET k v\nOK\nprimary> WAIT 1 5000\n(integer) 1\n! kill primary\n\
         ~sentinel> SENTINEL GET-MASTER-ADDR-BY-NAME lab\n1) \"127.0.0.1\"\n2) \"<replica:port>\"\n```\n\n\
         ```redis cluster-replicas cluster-node-timeout=1000\n! kill node1\n~node4> ROLE\n1) \"master\"\n…\n! start node1\n\
         ~node1> ROLE\n1) \"slave\"\n2) \"127.0.0.1\"\n3) (integer) <node4:port>\n…\n```",
    );
}
