//! When are several commands one step, and what does each way cost?
//!
//! `cargo complex transactions`

mod payments;
mod transfer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lab_connection::{Connection, Target, Transcript};
use lab_runner::clients::connect;
use lab_runner::table::{Table, thousands};
use lab_runner::{
    Comparison, Keys, Lesson, LessonContext, LessonError, Need, Outcome, Retry, labeled, source,
};
use redis::{AsyncTypedCommands, Pipeline, RedisResult, Value};

pub use self::payments::{Audit, Payment};
pub use self::transfer::{Library, Moved, Order, Transfer, Transfers};

/// Pipelines, MULTI, WATCH, scripts, and functions, and what each of them promises.
pub static LESSON: Lesson = Lesson {
    name: "transactions",
    title: "Transactions",
    question: "When are several commands one step, and what does each way cost?",
    commands: &["MULTI", "EXEC", "DISCARD", "WATCH", "EVALSHA", "FUNCTION", "FCALL"],
    needs: &[],
    sources: &[
        source!("src/transactions.rs"),
        source!("src/transactions/transfer.rs"),
        source!("src/transactions/transfer.lua"),
        source!("src/transactions/library.lua"),
        source!("src/transactions/payments.rs"),
    ],
    rule: "Use a pipeline to save round trips, MULTI if clients must see several writes together, and a script or a function \
           if you decide between reading and writing.",
    takeaways: &[
        "EXEC does not roll back: if one command fails, the others are still done.",
        "WATCH belongs to a connection, so never share that connection.",
        "While a script or a function runs, all other clients wait, so keep it short.",
    ],
    quiz: &[37, 39, 40, 41, 44, 71, 73, 77, 89, 142],
    run: |ctx| Box::pin(run(ctx)),
};

/// Functions came with Redis 7.0.
const FUNCTIONS: Need = Need { command: "FCALL", available_in: "--server valkey-9.1" };
/// All users of a server see a library, so the lesson loads one only on a private server.
const OWN_LIBRARY: Need = Need {
    command: "FUNCTION library of ours, because all its users would see it",
    available_in: "a private one: --server valkey-9.1",
};
/// MULTI and DISCARD name no key, so a cluster connection does not know which node they are for.
const ONE_NODE: Need = Need {
    command: "single node for MULTI and DISCARD, which name no key",
    available_in: "one server, without --cluster",
};

/// How much a transfer moves: 100 dollars.
const CENTS: i64 = 10_000;
/// How many transfers the comparison runs.
const TRANSFERS: usize = 100;
/// How many clients fetch money at the same time, and how often each of them does.
const CUSTOMERS: usize = 16;
const TIMES_EACH: usize = 25;
/// How many pipelines the writer of the race sends.
const PIPELINES: usize = 20;
/// How long BLPOP waits at most, and how long the lesson waits for a pipeline to get there.
const TIMEOUT: Duration = Duration::from_secs(5);

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let [first, second, gate] = ["first", "second", "gate"].map(|name| keys.key(format!("{{pair}}:{name}")));
    let order = ["status", "total", "changes"].map(|name| keys.key(format!("{{order:7}}:{name}")));
    let notice = keys.key("{bank}:notice");
    let [ada, ben] = ["ada", "ben"].map(|owner| transfer::account(&keys, owner));
    let used = [&first, &second, &gate, &notice, &ada, &ben].map(String::clone);
    ctx.start_clean(&[&used[..], &order, &payments::accounts(&keys, CUSTOMERS)].concat()).await?;

    // Two clients, each with a connection of its own.
    let [one, two] = ctx.dedicated().await?;
    stop_between(ctx, (one.clone(), two.clone()), [&first, &gate, &second]).await?;
    count_torn_reads(ctx, [&first, &second]).await?;
    fail_inside(ctx, &order).await?;
    discard(ctx, one.clone(), &order[0]).await?;
    overdraw(ctx, (one.clone(), two), &ada, &ben).await?;
    watch(ctx, one.clone(), &ada, &ben).await?;
    share_a_connection(ctx, one, [&ada, &ben, &notice]).await?;
    run_a_script(ctx, &ada, &ben).await?;

    let functions = may_load_functions(ctx).await;
    // The library is removed even if a claim is broken.
    let result = async {
        if functions {
            call_a_function(ctx, &ada, &ben).await?;
        }
        count_money(ctx, &keys, functions).await?;
        compare(ctx, &keys, functions).await
    }
    .await;
    if functions {
        ctx.say("Last, the lesson removes its function library from the server.");
        ctx.function("delete");
        Library::delete(&mut ctx.redis()).await?;
    }
    result?;

    let [status, _, changes] = order;
    ctx.keys([status, changes, ada, ben]);
    Ok(())
}

type Redis = Transcript<Connection>;

async fn stop_between(ctx: &LessonContext, clients: (Redis, Redis), pair: [&str; 3]) -> Outcome {
    let (mut redis, (mut writer, mut reader)) = (ctx.redis(), clients);
    let [first, gate, second] = pair;

    ctx.step("A pipeline is a way to send: many commands at once, without waiting for each reply. It does not make them one \
              step. Between any two of them the server may serve other clients. To see that, both keys start with 1, and a \
              writer sends SET, BLPOP, and SET in one pipeline. BLPOP waits until another client pushes, so the pipeline \
              stops in the middle. Meanwhile a reader reads both keys, and then pushes. You see the pipeline last, with its \
              replies.").await?;
    ctx.function("set_wait_set");
    let mut other = ctx.untraced(format!("Another client sends GET {first} until it is 2."));
    redis.mset(&[(first, 1), (second, 1)]).await?;
    let pipeline = set_wait_set(redis::pipe(), first, gate, second, 2);
    let writing = async { Ok::<_, LessonError>(pipeline.query_async::<Popped>(&mut writer).await?) };
    let reading = async {
        let mut retry = Retry::within(TIMEOUT);
        while other.get_int(first).await? != Some(2) {
            retry.again("the other client writes the first key").await?;
        }
        let seen = reader.mget(&[first, second]).await?;
        reader.rpush(gate, "go on").await?;
        Ok(seen)
    };
    let ((popped,), seen) = tokio::try_join!(writing, reading)?;
    ctx.check(
        "the reader saw the first write without the second",
        are(&seen, ["2", "1"]) && popped.is_some(),
    )?;

    ctx.step("Fix it: MULTI and EXEC around the same commands. The server queues them until EXEC and then runs all of them \
              without serving other clients in between. Nothing can wait inside a transaction, so BLPOP finds nothing and \
              returns nil at once.").await?;
    let mut transaction = redis::pipe();
    transaction.atomic();
    let transaction = set_wait_set(transaction, first, gate, second, 3);
    let (popped,): Popped = transaction.query_async(&mut writer).await?;
    let seen = redis.mget(&[first, second]).await?;
    ctx.check("both were written, and BLPOP did not wait", popped.is_none() && are(&seen, ["3", "3"]))
}

type Popped = (Option<(String, String)>,);

fn set_wait_set(mut pipe: Pipeline, first: &str, gate: &str, second: &str, value: u8) -> Pipeline {
    pipe.set(first, value).ignore();
    pipe.cmd("BLPOP").arg(gate).arg(TIMEOUT.as_secs());
    pipe.set(second, value).ignore();
    pipe
}

fn are<const N: usize>(values: &[Option<String>], expected: [&str; N]) -> bool {
    values.iter().map(Option::as_deref).eq(expected.map(Some))
}

async fn count_torn_reads(ctx: &LessonContext, pair: [&String; 2]) -> Outcome {
    ctx.step("It happens without BLPOP too. The server reads what a client sends in pieces, 16 kB at first, and serves other \
              clients between two pieces. Here a writer sends pipelines of 1,000 pairs each, while a reader reads both keys \
              with MGET, which is one step. A read is torn if the two values differ. How many are torn depends on the \
              machine.").await?;
    ctx.function("write_pairs");
    ctx.function("count_reads");
    let pipelines = ctx.fit("pipelines", PIPELINES, 3, 5.0);
    ctx.announce(format!(
        "A writer sends {pipelines} pipelines of SET, first without and then with MULTI and EXEC. A reader sends MGET."
    ));
    let mut table = Table::new("Torn reads", &["written with", "reads", "torn"]);
    let mut torn = Vec::new();
    for together in WriteTogether::ALL {
        let reads = together.race(ctx.target(), pair, pipelines).await?;
        table = table.labeled(together.label(), [reads.all, reads.torn].map(|it| thousands(it as f64)));
        torn.push(reads.torn);
    }
    ctx.table(table);
    ctx.check("with MULTI and EXEC, no read was torn", torn.last() == Some(&0))
}

/// Pairs in each pipeline.
const PAIRS: usize = 1_000;

labeled! {
    /// How to send several writes together.
    pub enum WriteTogether {
        /// All at once, and nothing more.
        Pipeline => "pipeline",
        /// As one step.
        Transaction => "MULTI, EXEC",
    }
}

/// What a client read while another one wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// How often it read.
    pub all: u64,
    /// How often it saw the first write of a pair without the second.
    pub torn: u64,
}

impl WriteTogether {
    /// Writes pairs in this many pipelines, while another client reads both keys.
    pub async fn race(self, target: &Target, pair: [&String; 2], pipelines: usize) -> RedisResult<Reads> {
        let (mut writer, reader) = tokio::try_join!(target.dedicated(), target.dedicated())?;
        self.write_pairs(&mut writer, pair).await?;
        let ended = AtomicBool::new(false);
        let writing = async {
            for _ in 0..pipelines {
                self.write_pairs(&mut writer, pair).await?;
            }
            ended.store(true, Ordering::Relaxed);
            Ok(())
        };
        let ((), reads) = tokio::try_join!(writing, count_reads(reader, pair, &ended))?;
        Ok(reads)
    }

    async fn write_pairs(self, writer: &mut Connection, [first, second]: [&String; 2]) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        if self == Self::Transaction {
            pipeline.atomic();
        }
        for value in 0..PAIRS {
            pipeline.set(first, value).ignore().set(second, value).ignore();
        }
        pipeline.exec_async(writer).await
    }
}

async fn count_reads(mut reader: Connection, pair: [&String; 2], ended: &AtomicBool) -> RedisResult<Reads> {
    let mut reads = Reads { all: 0, torn: 0 };
    while !ended.load(Ordering::Relaxed) {
        let (first, second): (u32, u32) = redis::cmd("MGET").arg(&pair).query_async(&mut reader).await?;
        reads.all += 1;
        reads.torn += u64::from(first != second);
    }
    Ok(reads)
}

async fn fail_inside(ctx: &LessonContext, [status, total, changes]: &[String; 3]) -> Outcome {
    let mut redis = ctx.redis();

    let guess = ctx.step("In other databases, a transaction that fails leaves no trace. Here the second of three commands treats a \
                          string as a list.")
        .predict("How many of the three are done?", ["none", "only the first", "all but the second"])
        .await?;
    redis.mset(&[(status, "new"), (total, "4999"), (changes, "0")]).await?;
    let mut transaction = redis::pipe();
    transaction.atomic().ignore_errors();
    transaction.set(status, "paid").lpush(total, 1).incr(changes, 1);
    let replies: Vec<RedisResult<Value>> = transaction.query_async(&mut redis).await?;
    let after = redis.mget(&[status, changes]).await?;
    let done: Vec<bool> = replies.iter().map(RedisResult::is_ok).collect();
    guess.answer(match done[..] {
        [false, ..] => "none",
        [true, false, false] => "only the first",
        _ => "all but the second",
    })?;
    ctx.say("EXEC runs every command whatever happens to the others, and there is no rollback.");
    ctx.check_eq("one failed, and the two others were done", &done, &vec![true, false, true])?;
    ctx.check("the order is paid, and was changed once", are(&after, ["paid", "1"]))?;

    ctx.step("If the server cannot even queue a command, because it does not know it or the number of arguments is wrong, \
              EXEC refuses all of them (EXECABORT).").await?;
    let mut transaction = redis::pipe();
    transaction.atomic().set(status, "sent").ignore();
    transaction.cmd("INCR").arg(changes).arg("too many").ignore();
    let aborted = transaction.exec_async(&mut redis).await;
    let after = redis.mget(&[status, changes]).await?;
    let code = aborted.as_ref().map_or_else(|error| error.code(), |()| None);
    ctx.check(
        "EXEC refused, and nothing was written",
        code == Some("EXECABORT") && are(&after, ["paid", "1"]),
    )
}

async fn discard(ctx: &LessonContext, mut own: Redis, status: &str) -> Outcome {
    if ctx.target().is_cluster() {
        ctx.skip(ONE_NODE);
        return Ok(());
    }

    let guess = ctx.step("You can also send MULTI by itself, on a connection of your own. The status of the order is 'paid'. DISCARD \
                          drops the commands that came after MULTI.")
        .predict("What does the GET after the SET reply?", ["paid", "lost", "QUEUED"])
        .await?;
    redis::cmd("MULTI").exec_async(&mut own).await?;
    let set: String = redis::cmd("SET").arg(status).arg("lost").query_async(&mut own).await?;
    let get: String = redis::cmd("GET").arg(status).query_async(&mut own).await?;
    redis::cmd("DISCARD").exec_async(&mut own).await?;
    let after = own.get(status).await?;
    guess.answer(&get)?;
    ctx.say("The reply to every command is QUEUED, so inside MULTI you cannot read and then decide.");
    ctx.check("both were only queued", set == "QUEUED" && get == "QUEUED")?;
    ctx.check("nothing was written", after.as_deref() == Some("paid"))
}

async fn overdraw(ctx: &LessonContext, clients: (Redis, Redis), ada: &str, ben: &str) -> Outcome {
    let (mut redis, (mut one, mut two)) = (ctx.redis(), clients);

    ctx.step("Break it: Ada has 100 dollars, stored as 10,000 cents, and two clients each move 100 dollars from her to Ben. \
              Each client reads the balance first and finds enough. Then each moves the money, with MULTI and EXEC.").await?;
    ctx.function("move_money");
    redis.mset(&[(ada, 10_000), (ben, 0)]).await?;
    let seen = (one.get_int(ada).await?, two.get_int(ada).await?);
    move_money(&mut one, ada, ben).await?;
    move_money(&mut two, ada, ben).await?;
    let after = redis.mget(&[ada, ben]).await?;
    ctx.check("both clients saw 100 dollars", seen == (Some(10_000), Some(10_000)))?;
    ctx.check("Ada now has 100 dollars less than nothing", are(&after, ["-10000", "20000"]))
}

/// Whether EXEC ran the commands. It refuses if a watched key was written.
async fn move_money(redis: &mut Redis, from: &str, to: &str) -> RedisResult<bool> {
    let mut transaction = redis::pipe();
    transaction.atomic().decr(from, CENTS).ignore().incr(to, CENTS).ignore();
    let done: Option<()> = transaction.query_async(redis).await?;
    Ok(done.is_some())
}

fn order(from: &str, to: &str) -> Order {
    Order { from: from.to_owned(), to: to.to_owned(), cents: CENTS }
}

async fn watch(ctx: &LessonContext, mut own: Redis, ada: &str, ben: &str) -> Outcome {
    let mut redis = ctx.redis();
    let order = order(ada, ben);

    ctx.step("Fix it with WATCH: the client watches the account and reads it. If another client writes the account before \
              EXEC, EXEC returns nil and does nothing. Here Ada has 200 dollars. A client sees them, but before it moves 100 \
              dollars, another client takes 100.").await?;
    redis.mset(&[(ada, 20_000), (ben, 0)]).await?;
    redis::cmd("WATCH").arg(ada).exec_async(&mut own).await?;
    let seen = own.get_int(ada).await?;
    redis.decr(ada, CENTS).await?; // the other client
    let done = move_money(&mut own, ada, ben).await?;
    ctx.check("the client saw 200 dollars, and EXEC refused", seen == Some(20_000) && !done)?;

    ctx.step("So the client starts again from the read, and now sees what is there. Under load it may have to try many \
              times. It must pause for a random moment, and give up at some point.").await?;
    ctx.function("by_watch");
    let second = transfer::by_watch(&mut own, &order).await?;
    let third = transfer::by_watch(&mut own, &order).await?;
    let after = redis.mget(&[ada, ben]).await?;
    ctx.check("the second attempt moved 100 dollars", second == Moved::Done)?;
    ctx.check(
        "a third one finds too little, and UNWATCH ends it",
        third == Moved::NotEnough && are(&after, ["0", "10000"]),
    )
}

async fn share_a_connection(ctx: &LessonContext, shared: Redis, keys: [&str; 3]) -> Outcome {
    let [ada, ben, notice] = keys;
    let mut redis = ctx.redis();
    let (mut task_a, mut task_b) = (shared.clone(), shared);

    let guess = ctx.step("Clones of a connection are one connection. Task A watches Ada's account and reads it: 100 dollars. Task B of \
                          the same program uses a clone, for a transaction that has nothing to do with it. Then another client \
                          takes all the money, and task A moves 100 dollars.")
        .predict("What does EXEC of task A do?", ["it refuses", "it moves the money"])
        .await?;
    redis.mset(&[(ada, 10_000), (ben, 0)]).await?;
    redis::cmd("WATCH").arg(ada).exec_async(&mut task_a).await?;
    let seen = task_a.get_int(ada).await?;
    redis::pipe().atomic().set(notice, "closed on Sunday").exec_async(&mut task_b).await?;
    redis.decr(ada, CENTS).await?; // the other client
    let done = move_money(&mut task_a, ada, ben).await?;
    let after = redis.mget(&[ada, ben]).await?;
    guess.answer(if done { "it moves the money" } else { "it refuses" })?;
    ctx.say("A trap: WATCH belongs to the connection, and any EXEC on it ends the WATCH.");
    ctx.check("EXEC did not refuse, because the WATCH was gone", seen == Some(10_000) && done)?;
    ctx.check("Ada owes 100 dollars", are(&after, ["-10000", "10000"]))?;
    ctx.say("So use a connection of your own for WATCH, for as long as it lasts. For many clients, use a pool of connections.");
    Ok(())
}

async fn run_a_script(ctx: &LessonContext, ada: &str, ben: &str) -> Outcome {
    let mut redis = ctx.redis();
    let order = order(ada, ben);

    ctx.step("Or fix it with a script: a short Lua program, with its keys in KEYS and its other arguments in ARGV. The server \
              runs it as one step: it reads, decides, and writes, and no other client \
              comes between. There is nothing to watch and nothing to try again.").await?;
    ctx.script(&transfer::SCRIPT.shown()).await?;

    ctx.step("EVALSHA calls the script by its hash. After a restart the server no longer has it; redis-rs then loads it \
              again. Ada has 100 dollars, and two transfers ask for them.").await?;
    ctx.function("by_script");
    redis.mset(&[(ada, 10_000), (ben, 0)]).await?;
    let first = transfer::by_script(&mut redis, &order).await?;
    let second = transfer::by_script(&mut redis, &order).await?;
    let after = redis.mget(&[ada, ben]).await?;
    ctx.check(
        "the first moved 100 dollars, the second found too little and wrote nothing",
        (first, second) == (Moved::Done, Moved::NotEnough) && are(&after, ["0", "10000"]),
    )?;
    ctx.say("A script gets all its keys as KEYS and never builds their names. On a cluster all of them must be in one slot; \
             that is what {bank} in these names is for. A script does not roll back either: one that fails halfway leaves \
             its first half. So check first and write last.");
    Ok(())
}

async fn may_load_functions(ctx: &LessonContext) -> bool {
    if !ctx.can(FUNCTIONS.command).await {
        ctx.skip(FUNCTIONS);
        return false;
    }
    let is_private = ctx.target().private().is_some();
    if !is_private {
        ctx.skip(OWN_LIBRARY);
    }
    is_private
}

async fn call_a_function(ctx: &LessonContext, ada: &str, ben: &str) -> Outcome {
    let mut redis = ctx.redis();
    let order = order(ada, ben);

    ctx.step("Since Redis 7.0 the same code can be a function. A script belongs to the client that brings it. A library of \
              functions belongs to the server, which saves it with the data and copies it to its replicas. Clients call a \
              function by name.").await?;
    ctx.code(transfer::LIBRARY.whole());
    Library::load(&mut ctx.untraced("FUNCTION LOAD REPLACE sends the library once.")).await?;

    ctx.step("FCALL calls the function, with the same arguments as the script.").await?;
    ctx.function("by_function");
    redis.mset(&[(ada, 10_000), (ben, 0)]).await?;
    let first = transfer::by_function(&mut redis, &order).await?;
    let second = transfer::by_function(&mut redis, &order).await?;
    let after = redis.mget(&[ada, ben]).await?;
    ctx.check(
        "the same decisions, the same balances",
        (first, second) == (Moved::Done, Moved::NotEnough) && are(&after, ["0", "10000"]),
    )?;
    ctx.say("All users of a server see a library, and on a cluster every primary needs it. So this lesson loads one only on \
             its private server and removes it at the end.");
    Ok(())
}

async fn count_money(ctx: &LessonContext, keys: &Keys, functions: bool) -> Outcome {
    let customers = ctx.fit("customers", CUSTOMERS, 4, 8.0);
    let times = ctx.fit("payments each", TIMES_EACH, 1, 20.0);
    ctx.step(format!("Now {customers} customers, each on a connection of its own, fetch 100 dollars from the shop's account, \
                      {times} times. The sum of all accounts must not change. An auditor adds them up all the time, with one \
                      MGET. The naive way reads both balances and writes both: first the worst case, in which every customer \
                      reads before any of them writes, then as it happens.")).await?;
    ctx.function("read_then_write");
    ctx.announce("The customers send MGET and MSET; DECRBY and INCRBY, without and with MULTI and EXEC; WATCH, GET, and \
                  UNWATCH; EVALSHA; and FCALL. The auditor sends MGET. SET opens the accounts.");
    let header = ["approach", "dollars too many", "audits", "wrong", "retries"];
    let mut table = Table::new("The sum of all accounts", &header);
    let mut audits = Vec::new();
    // One more for the auditor.
    let clients = connect(ctx.target(), customers + 1).await?;
    for payment in Payment::all(functions) {
        let audit = payment.race(&clients, keys, times).await?;
        let dollars = thousands((audit.made / 100) as f64);
        let numbers = [audit.audits, audit.wrong, audit.retries].map(|number| thousands(number as f64));
        table = table.labeled(payment.label(), [dollars].into_iter().chain(numbers));
        audits.push((payment, audit));
    }
    ctx.table(table);

    let from_nothing = (customers - 1) * times * 100;
    let made = |payment| audits.iter().find(|(one, _)| *one == payment).map(|(_, audit)| audit.made);
    ctx.check(
        format!(
            "at worst the shop pays once for {customers} customers: {} dollars from nothing",
            thousands(from_nothing as f64)
        ),
        made(Payment::ReadWriteAtWorst).is_some_and(|cents| usize::try_from(cents) == Ok(from_nothing * 100)),
    )?;
    let mut transfers = audits.iter().filter(|(payment, _)| matches!(payment, Payment::By(_)));
    ctx.check(
        "no way that uses DECRBY and INCRBY makes or loses a cent",
        transfers.all(|(_, audit)| audit.made == 0),
    )?;
    let mut one_step = audits
        .iter()
        .filter(|(payment, _)| matches!(payment, Payment::By(transfer) if *transfer != Transfer::Pipeline));
    ctx.check(
        "and where the transfer is one step, no audit saw a wrong sum",
        one_step.all(|(_, audit)| audit.wrong == 0),
    )?;
    ctx.say("All customers change the shop's account, so WATCH has to try again and again. A script and a function never do. \
             The pipeline lost nothing, because DECRBY and INCRBY are each one step. Its two commands are so short that they \
             nearly always arrive together, and then no auditor comes between. But nothing promises that: you saw a pipeline \
             that stopped in the middle.");
    Ok(())
}

async fn compare(ctx: &LessonContext, keys: &Keys, functions: bool) -> Outcome {
    ctx.step("And the cost? Many transfers, one after the other, with the same balances afterward. WATCH needs two round \
              trips, all others one. Only WATCH, the script, and the function check that the money is there.").await?;
    let transfers = Transfers::new(ctx.fit("transfers", TRANSFERS, 1, 24.0), CENTS, keys);
    let approaches = Transfer::all(functions);
    ctx.compare(Comparison { title: "Transfers", approaches, input: &transfers }).await
}
