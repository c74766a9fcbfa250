//! The same three enterprises and the same lender in every story.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use encrytrust_participant_node::{FoundOffer, Node};
use encrytrust_tests::{MarketUnderTest, Table};
use serde_json::Value;

/// People that all three enterprises know.
pub(crate) const PEOPLE: usize = 300;

/// A market with three enterprises, their tables, and a lender.
pub(crate) struct Stage {
    pub(crate) market: MarketUnderTest,
    pub(crate) bank: Node,
    pub(crate) employers: Node,
    pub(crate) telecom: Node,
    pub(crate) lender: Node,
    pub(crate) tables: [Table; 3],
}

/// Who row `n` (from 1) is about, as the market agreed to write it.
pub(crate) fn person(n: usize) -> Vec<String> {
    vec![format!("ZZ-{n:06}"), format!("Muster {n}")]
}

impl Stage {
    /// Everybody has joined and been let in; nothing is published.
    pub(crate) async fn set() -> Result<Self> {
        let market = MarketUnderTest::start().await?;
        let tables = Table::german_credit(&market.path(""), PEOPLE)?;
        Ok(Self {
            bank: market.member("bank").await?,
            employers: market.member("employers").await?,
            telecom: market.member("telecom").await?,
            lender: market.member("lender").await?,
            market,
            tables,
        })
    }

    /// All three publish, the bank under an endpoint of its own, the others through the relay.
    pub(crate) async fn publish(&self, bank_at: Option<&str>) -> Result<u64> {
        let [bank, employers, telecom] = &self.tables;
        let mut size = 0;
        for (node, table, endpoint) in [
            (&self.bank, bank, bank_at),
            (&self.employers, employers, None),
            (&self.telecom, telecom, None),
        ] {
            let published = self.market.publish(node, table, endpoint).await?;
            ensure!(published.refused.is_empty(), "{:?}", published.refused);
            assert_eq!((published.rows, published.new), (PEOPLE as u64, PEOPLE as u64));
            size = published.index_size;
        }
        Ok(size)
    }

    /// What is on offer about a person, by seller; each seller has one offer.
    pub(crate) async fn offers_about(&self, n: usize, local: bool) -> Result<[FoundOffer; 3]> {
        let found = self.lender.find(&person(n), local, &|_| ()).await?;
        let by = |title: &str| {
            let offer = found.offers.iter().find(|offer| offer.title == title);
            offer.cloned().with_context(|| format!("{title} has no offer about {n}"))
        };
        assert_eq!(found.offers.len(), 3);
        Ok([by("bank")?, by("employers")?, by("telecom")?])
    }
}

/// The record in a file that `get` wrote.
pub(crate) fn record(out: &Path) -> Result<Value> {
    let bought: Value = serde_json::from_slice(&std::fs::read(out)?)?;
    Ok(bought["record"].clone())
}

/// What a table says of row `n` (from 1), column by column, as text.
pub(crate) fn row(table: &Table, n: usize) -> Result<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_path(&table.file)?;
    let header = reader.headers()?.clone();
    let row = reader.records().nth(n - 1).context("so many rows")??;
    let named = header.iter().zip(&row).map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(named.filter(|(name, _)| table.columns.contains(name)).collect())
}

/// A bought record says what the table says.
pub(crate) fn assert_is_row(out: &Path, table: &Table, n: usize) -> Result<()> {
    let record = record(out)?;
    let row = row(table, n)?;
    assert_eq!(record.as_object().map(serde_json::Map::len), Some(row.len()));
    for (name, value) in row {
        let said = &record[&name];
        let text = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
        let boolean = [("yes", "true"), ("no", "false")].contains(&(&*value, &*text));
        assert!(text == value || boolean, "{name}: {text:?}, and in the table {value:?}");
    }
    Ok(())
}
