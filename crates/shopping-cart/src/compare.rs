//! What does a cart cost as a Hash, as a Sorted Set, as a JSON string? `cargo cart compare`

mod add_unit;
mod read_cart;

use lab_runner::table::{Table, thousands};
use lab_runner::{AnyConnection, Comparison, Lesson, LessonContext, Outcome};
use patterns::key::Key;
use redis::aio::ConnectionLike;
use redis::{AsyncCommands, RedisResult};
use serde::{Deserialize, Serialize};

pub use self::add_unit::AddUnit;
pub use self::read_cart::ReadCart;
use crate::story::unexpected;

/// The lesson.
pub static LESSON: Lesson = Lesson {
    name: "cart-shapes",
    title: "A cart in three shapes",
    question: "Hash, Sorted Set or JSON string: what does a cart cost in each, and what can each do?",
    commands: &["HINCRBY", "ZINCRBY", "GET", "SET", "HGETALL", "ZRANGE", "MEMORY USAGE"],
    needs: &[],
    sources: &[lab_runner::source!("src/compare.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// Lines of the cart that is timed.
const LINES: usize = 10;
/// Operations in one run.
const OPERATIONS: u64 = 100;
/// The session whose carts are compared; they are removed afterwards.
const SHOPPER: &str = "compare";

/// The carts that are compared: one of each shape.
pub struct Carts {
    key: Key,
}

/// What a cart is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CartShape {
    /// A string with a JSON document: read and written as a whole.
    Json,
    /// A Hash: field SKU, value quantity.
    Hash,
    /// A Sorted Set: member SKU, score quantity.
    SortedSet,
}

impl CartShape {
    /// All shapes, the reference first.
    pub const ALL: [Self; 3] = [Self::Json, Self::Hash, Self::SortedSet];
}

/// One line of the JSON document.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct JsonLine {
    /// The product.
    pub sku: String,
    /// The units.
    pub quantity: u32,
}

impl Carts {
    /// Carts under a prefix.
    pub fn new(prefix: &str) -> RedisResult<Self> {
        let key = Key::new(prefix, "cart", &["guest", SHOPPER]);
        Ok(Self { key: key.map_err(|error| unexpected(&error))? })
    }

    /// The Hash.
    #[must_use]
    pub fn hash(&self) -> String {
        self.key.as_str().to_owned()
    }

    /// The Sorted Set.
    #[must_use]
    pub fn sorted_set(&self) -> String {
        self.key.companion("by_quantity")
    }

    /// The string with the JSON document.
    #[must_use]
    pub fn json(&self) -> String {
        self.key.companion("json")
    }

    /// All keys of the comparison.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        vec![self.hash(), self.sorted_set(), self.json()]
    }

    /// Writes the same cart in all three shapes: `lines` lines of one to nine units.
    pub async fn fill(
        &self,
        lines: usize,
        connection: &mut (impl ConnectionLike + Send + Sync),
    ) -> RedisResult<()> {
        for key in self.all() {
            let () = connection.unlink(key).await?;
        }
        let cart: Vec<JsonLine> = (0..lines)
            .map(|line| JsonLine { sku: sku(line), quantity: u32::try_from(line % 9).unwrap_or(0) + 1 })
            .collect();
        let fields: Vec<(&str, u32)> = cart.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
        let members: Vec<(u32, &str)> = cart.iter().map(|line| (line.quantity, line.sku.as_str())).collect();
        let () = connection.hset_multiple(self.hash(), &fields).await?;
        let () = connection.zadd_multiple(self.sorted_set(), &members).await?;
        connection.set(self.json(), encode(&cart)?).await
    }
}

/// The SKU of a line.
#[must_use]
pub fn sku(line: usize) -> String {
    format!("sku{line:03}")
}

/// The JSON document of a cart.
pub fn encode(cart: &[JsonLine]) -> RedisResult<String> {
    serde_json::to_string(cart).map_err(|error| unexpected(&error))
}

/// The cart of a JSON document.
pub fn decode(document: &str) -> RedisResult<Vec<JsonLine>> {
    serde_json::from_str(document).map_err(|error| unexpected(&error))
}

async fn run(ctx: &mut LessonContext) -> Outcome {
    let carts = Carts::new(ctx.prefix())?;
    ctx.step(
        "A cart is a small map from SKU to quantity. Three types can hold it. All rows below leave the same cart behind. \
         That was verified before anything was timed.",
    ).await?;
    let approaches = CartShape::ALL.map(AddUnit);
    let title = "Adding one unit to a line of a ten-line cart";
    ctx.compare(Comparison { title, approaches: &approaches, input: &carts }).await?;
    let approaches = CartShape::ALL.map(ReadCart);
    ctx.compare(Comparison { title: "Reading the ten-line cart", approaches: &approaches, input: &carts })
        .await?;
    ctx.table(memory(&carts, &mut ctx.untraced("TODO")).await?);
    ctx.table(
        Table::new("What each can do", &["shape", "atomic without a script", "what can expire"])
            .row(["JSON string", "nothing but replacing it all", "the cart"])
            .row(["Hash", "each line (HINCRBY)", "the cart; each line where HPEXPIRE exists"])
            .row(["Sorted Set", "each line (ZINCRBY)", "the cart; lines by a companion set"]),
    );
    ctx.step(
        "None of the three checks a limit by itself. The script of the cart does, in one round trip, for either the Hash or \
         the Sorted Set. Take the Hash unless you want Redis to rank or count lines by quantity.",
    ).await?;
    ctx.start_clean(&carts.all()).await?;
    Ok(())
}

async fn memory<C: AnyConnection>(carts: &Carts, connection: &mut C) -> RedisResult<Table> {
    let mut table = Table::new("Bytes in memory, by lines in the cart", &["shape", "1", "10", "100"]);
    let shapes = [("JSON string", carts.json()), ("Hash", carts.hash()), ("Sorted Set", carts.sorted_set())];
    let mut sizes = vec![Vec::new(); shapes.len()];
    for lines in [1, 10, 100] {
        carts.fill(lines, connection).await?;
        for ((_, key), sizes) in shapes.iter().zip(&mut sizes) {
            let usage = redis::cmd("MEMORY")
                .arg("USAGE")
                .arg(key)
                .arg("SAMPLES")
                .arg(0)
                .query_async(connection)
                .await?;
            let usage: Option<u32> = usage;
            sizes.push(usage.map_or_else(|| "-".to_owned(), |bytes| thousands(bytes.into())));
        }
    }
    for ((shape, _), sizes) in shapes.iter().zip(sizes) {
        table = table.row(std::iter::once((*shape).to_owned()).chain(sizes));
    }
    Ok(table)
}
