//! A node is killed while it publishes, and goes on where it was.

use std::time::Duration;

use anyhow::{Result, ensure};
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_tests::{Deadline, MarketUnderTest, Table, chance::Chance};
use serde_json::Value;

use crate::ets::Ets;

/// Rows that are new in each run.
const STEP: usize = 500;

/// `ets publish` of a table by a node.
fn publish(market: &MarketUnderTest, table: &Table) -> Result<Ets> {
    let (dir, source) = (market.path("bank"), format!("csv:{}", table.file.display()));
    Ets::start(&[
        "publish",
        "--dir",
        &dir.display().to_string(),
        "--source",
        &source,
        "--id-columns",
        &table.id_columns.join(","),
        "--columns",
        &table.columns.join(","),
        "--price",
        "5",
        "--title",
        "Incomes",
    ])
}

/// Publishes, and kills it on the way; whether it was caught at work.
///
/// Half of them may go on until so many of their calls were answered by the platform, so that they
/// die with an answer on its way to them; the others until some instant.
async fn interrupted(market: &MarketUnderTest, table: &Table, chance: &mut Chance) -> Result<bool> {
    let before = market.proxy.seen().len();
    let mut node = publish(market, table)?;
    let calls = chance.within(0..2) * chance.within(1..4);
    let deadline = Deadline::in_seconds(20);
    while calls > 0 && node.is_running()? && (market.proxy.seen().len() - before) < calls as usize {
        deadline.again("the node talks to the platform").await?;
    }
    let patience = if calls == 0 { 0..600_000 } else { 0..15_000 };
    tokio::time::sleep(Duration::from_micros(chance.within(patience))).await;
    let caught = node.is_running()?;
    node.kill()?;
    Ok(caught)
}

/// Publishes, undisturbed.
fn finished(market: &MarketUnderTest, table: &Table) -> Result<Value> {
    tokio::task::block_in_place(|| publish(market, table)?.finish())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_it_publishes_each_row_once() -> Result<()> {
    let mut chance = Chance::new("publisher");
    let market = MarketUnderTest::start().await?;
    drop(market.member("bank").await?);

    // A table that grows, and is never published to its end.
    let (mut rows, mut caught) = (0, 0);
    let mut table = Table::incomes(market.path("rows.csv"), rows)?;
    for _ in 0..10 {
        rows += STEP;
        table = Table::incomes(market.path("rows.csv"), rows)?;
        caught += usize::from(interrupted(&market, &table, &mut chance).await?);
    }
    let last = finished(&market, &table)?;
    println!("caught at work {caught} times of 10; the last run: {last}");
    ensure!(caught > 1, "it was nearly always done before it was killed");
    assert_eq!(market.size(LogName::Index).await?, rows as u64, "no duplicates, nothing missing");
    let report = market.audit()?;
    assert_eq!((report.current_offers, report.withdrawals), (rows as u64, 0));

    // Rows that change, go and come back.
    for _ in 0..10 {
        let (kept, change) = (chance.within(STEP as u64..rows as u64), chance.next_u64());
        table = Table::incomes(market.path("rows.csv"), kept as usize)?;
        table.edit(|rows| {
            let from = (change % kept) as usize;
            rows[from..].iter_mut().take(STEP).for_each(|row| row[1] = (change >> 8).to_string());
        })?;
        rows = kept as usize + STEP;
        interrupted(&market, &table, &mut chance).await?;
    }
    let last = finished(&market, &table)?;
    println!("the last run: {last}");
    let there = table_rows(&table)?;
    let report = market.audit()?;
    assert_eq!(report.current_offers, there, "one offer for each row, none for any other");

    // Nothing is left to do.
    let again = finished(&market, &table)?;
    let counts = ["unchanged", "new", "updated", "withdrawn", "resumed"].map(|name| &again[name]);
    assert_eq!(counts.map(Value::as_u64), [Some(there), Some(0), Some(0), Some(0), Some(0)]);
    Ok(())
}

fn table_rows(table: &Table) -> Result<u64> {
    let mut count = 0;
    table.edit(|rows| count = rows.len() as u64)?;
    Ok(count)
}
