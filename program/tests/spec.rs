//! `docs/spec/program.md` opens with a whole example. This compiles its catalog and query, and
//! compares explanation and answer with what the page shows; the answer also with a few lines that
//! read the sample file themselves.

use std::{collections::BTreeMap, fs, path::Path};

use encrytrust_program::{
    catalog::Catalog,
    explain::explain,
    interpret::{Inputs, Records, answer},
    sql::{Options, compile},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn file(name: &str) -> std::io::Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name))
}

/// The first block of the page that is fenced under this name.
fn block<'a>(page: &'a str, fence: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("```{fence}\n"))?;
    rest.split_once("```").map(|(block, _)| block)
}

/// The fields of a line of the sample, commas inside quotes included.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("begins with one").push(c),
        }
    }
    fields
}

/// The sample's rows, each by the names of the columns.
fn sample() -> std::io::Result<Vec<BTreeMap<String, String>>> {
    let text = file("samples/german_credit.csv")?;
    let mut lines = text.lines();
    let names = fields(lines.next().unwrap_or_default());
    Ok(lines.map(|line| names.iter().cloned().zip(fields(line)).collect()).collect())
}

#[test]
fn the_page_shows_what_the_crate_does() -> Outcome {
    let page = file("docs/spec/program.md")?;
    let catalog: Catalog = serde_json::from_str(block(&page, "json").ok_or("no catalog")?)?;
    let sql = block(&page, "sql").ok_or("no query")?;
    let program = compile(sql, &catalog, &Options::to("ana"))?;
    let explained = explain(&program).to_string();
    assert_eq!(block(&page, "text").ok_or("no explanation")?, explained, "\n{explained}");

    let rows = sample()?;
    let mut tables = BTreeMap::new();
    for table in catalog.tables() {
        let mut records = Records {
            subjects: (0..rows.len()).map(|row| format!("{row:04}")).collect(),
            columns: BTreeMap::new(),
        };
        for column in &table.columns {
            let values = rows.iter().map(|row| column.encode(&row[&column.name]));
            records.columns.insert(column.name.clone(), values.collect::<Result<_, _>>()?);
        }
        tables.insert(table.name.clone(), records);
    }
    let found = answer(&program, &Inputs::gather(&program, &tables, &BTreeMap::new())?)?;
    let mut shown = found.columns.join(" | ") + "\n";
    for row in &found.rows {
        shown += &(row.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ") + "\n");
    }
    assert_eq!(block(&page, "answer").ok_or("no answer")?, shown, "\n{shown}");

    let number = |row: &BTreeMap<String, String>, name: &str| row[name].parse::<f64>();
    let mut amounts = Vec::new();
    for row in rows.iter().filter(|row| row["housing"] == "own") {
        if number(row, "age_in_years")? < 30.0 && number(row, "duration_in_month")? > 12.0 {
            amounts.push(number(row, "credit_amount")?);
        }
    }
    let n = amounts.len() as f64;
    let mean = amounts.iter().sum::<f64>() / n;
    let spread = amounts.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / (n - 1.0);
    for (found, naive) in found.rows[0].iter().zip([n, mean, spread.sqrt()]) {
        assert!(
            (found.to_string().parse::<f64>()? / naive - 1.0).abs() < 1e-12,
            "{found}, {naive}"
        );
    }
    Ok(())
}
