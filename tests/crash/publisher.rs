//! A node is killed while it publishes, and goes on where it was.

use std::time::Duration;

use anyhow::{Result, ensure};
use encrytrust_index_chain::checkpoint::LogName;
use encrytrust_tests::{MarketUnderTest, Table, chance::Chance};
use serde_json::Value;

use crate::ets::Ets;

const ROWS: usize = 2500;

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

/// Kills it a few times, later and later, then lets it finish; how often it was caught at work.
fn interrupted(
    market: &MarketUnderTest,
    table: &Table,
    chance: &mut Chance,
    kills: u64,
) -> Result<(usize, Value)> {
    let mut caught = 0;
    for kill in 1..=kills {
        let instant = Duration::from_millis(chance.within(20..kill * 250));
        caught += usize::from(publish(market, table)?.kill_after(instant)?);
    }
    Ok((caught, publish(market, table)?.finish()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_it_publishes_each_row_once() -> Result<()> {
    let mut chance = Chance::new("publisher");
    let market = MarketUnderTest::start().await?;
    drop(market.member("bank").await?);
    let table = Table::incomes(market.path("rows.csv"), ROWS)?;

    let (caught, last) =
        tokio::task::block_in_place(|| interrupted(&market, &table, &mut chance, 7))?;
    println!("caught at work {caught} times; the last run: {last}");
    ensure!(caught > 0, "it was always done before it was killed");
    assert_eq!(market.size(LogName::Index).await?, ROWS as u64, "no duplicates, nothing missing");
    let report = market.audit()?;
    assert_eq!((report.current_offers, report.withdrawals), (ROWS as u64, 0));

    // Changed rows and vanished rows, interrupted too.
    table.edit(|rows| {
        rows.iter_mut().step_by(2).for_each(|row| row[1] = "1".into());
        rows.truncate(ROWS - 300);
    })?;
    let (caught, last) =
        tokio::task::block_in_place(|| interrupted(&market, &table, &mut chance, 5))?;
    println!("caught at work {caught} times; the last run: {last}");
    let changed = (ROWS as u64 - 300) / 2;
    assert_eq!(market.size(LogName::Index).await?, ROWS as u64 + changed + 300);
    let report = market.audit()?;
    assert_eq!((report.current_offers, report.withdrawals), (ROWS as u64 - 300, 300));

    // Nothing is left to do.
    let again = tokio::task::block_in_place(|| publish(&market, &table)?.finish())?;
    let counts = ["unchanged", "new", "updated", "withdrawn", "resumed"].map(|name| &again[name]);
    assert_eq!(
        counts.map(Value::as_u64),
        [Some(ROWS as u64 - 300), Some(0), Some(0), Some(0), Some(0)]
    );
    Ok(())
}
