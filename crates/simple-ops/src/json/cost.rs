//! What each way costs: time, bytes on the wire, bytes in memory.

use lab_runner::table::Table;
use lab_runner::{Comparison, LessonContext, Outcome};
use redis::AsyncTypedCommands;

use super::assortment::Assortment;
use super::change_field::ChangeField;
use super::read_field::ReadField;
use super::shape::Shape;

pub(super) async fn compare(ctx: &LessonContext, assortment: &Assortment, json_commands: bool) -> Outcome {
    let products = assortment.products().len();
    ctx.step(format!(
        "What does it cost? First, reading the price of {products} products, one by one. For a string, the server sends the whole text for one \
         number: look at the bytes received.",
    ))
    .await?;
    let approaches = ReadField::all(json_commands);
    ctx.compare(Comparison { title: "Reading one field", approaches: &approaches, input: assortment })
        .await?;

    ctx.step(
        "Then selling one unit of each. GET and SET is here to compare; you have seen what it loses. The script saves a round trip, but the \
         server parses and writes the whole text.",
    )
    .await?;
    let approaches = ChangeField::all(json_commands);
    ctx.compare(Comparison { title: "Changing one field", approaches: &approaches, input: assortment }).await
}

pub(super) async fn measure_memory(
    ctx: &LessonContext,
    assortment: &Assortment,
    json_commands: bool,
) -> Outcome {
    ctx.step(
        "And memory: MEMORY USAGE with SAMPLES 0 counts every element, the key's name, and the server's own overhead. A Hash with only short \
         values (64 bytes by default) is packed as a listpack. The description here is longer, so each Hash is a real hash table and \
         pays for its pointers.",
    )
    .await?;
    let mut redis =
        ctx.untraced("For each product: MEMORY USAGE key SAMPLES 0. For the first: TYPE, OBJECT ENCODING");
    let mut table = Table::new("Bytes in memory per product", &["stored as", "type", "encoding", "bytes"]);
    for shape in Shape::ALL {
        if shape == Shape::Json && !json_commands {
            continue;
        }
        let (keys, mut usage) = (assortment.keys(shape), redis::pipe());
        for key in &keys {
            usage.cmd("MEMORY").arg(&["USAGE", key, "SAMPLES", "0"]);
        }
        let bytes: Vec<usize> = usage.query_async(&mut redis).await?;
        let Some(first) = keys.first() else { continue };
        let kind: String = redis::cmd("TYPE").arg(first).query_async(&mut redis).await?;
        let encoding = match shape {
            // The server knows no more of a module's type than that it is one.
            Shape::Json => "tree".to_owned(),
            _ => redis.object_encoding(first).await?.unwrap_or_default(),
        };
        let mean = bytes.iter().sum::<usize>() / keys.len();
        table = table.labeled(shape.label(), [kind, encoding, mean.to_string()]);
    }
    ctx.table(table);
    Ok(())
}
