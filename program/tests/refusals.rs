//! What the compiler refuses, with the construct and its place.

use encrytrust_program::{
    catalog::{Catalog, CatalogError, Column, Parameter, Table},
    sql::{At, Options, SqlError, compile},
};

fn catalog() -> Result<Catalog, CatalogError> {
    let table = |name: &str, owner: &str, columns| Table {
        name: name.into(),
        owner: owner.into(),
        subject: Some("subject".into()),
        columns,
        rows: 1_000_000,
    };
    let mut catalog = Catalog::default();
    let bank = vec![
        Column::number("age", 0, "0", "120")?,
        Column::number("amount", 2, "-1000000", "1000000")?,
        Column::number("wide", 0, "0", "1000000000000000000000")?,
        Column::category("job", &["clerk", "smith"]),
        Column::truth("vip"),
    ];
    catalog.add(table("bank", "alder", bank))?;
    catalog.add(table("shop", "birch", vec![Column::number("age", 0, "0", "120")?]))?;
    catalog.add(table("clinic", "cedar", vec![Column::number("visits", 0, "0", "99")?]))?;
    catalog.state_match(&["bank", "shop"], 1000)?;
    let kind = Column::number("limit", 0, "0", "120")?.kind;
    catalog.add_parameter(Parameter { name: "limit".into(), owner: "ana".into(), kind })?;
    Ok(catalog)
}

fn refusal(sql: &str) -> Result<SqlError, CatalogError> {
    match compile(sql, &catalog()?, &Options::to("ana")) {
        Ok(_) => panic!("accepted: {sql}"),
        Err(refusal) => Ok(refusal),
    }
}

#[test]
fn unsupported_constructs_are_named_with_their_place() -> Result<(), CatalogError> {
    for (sql, line, column, named) in [
        ("SELECT AVG(age) FROM bank\nORDER BY 1", 2, 1, "ORDER"),
        ("SELECT AVG(age) FROM bank LIMIT 3", 1, 27, "LIMIT"),
        ("SELECT DISTINCT age FROM bank", 1, 8, "DISTINCT"),
        ("SELECT AVG(age) FROM bank HAVING COUNT(*) > 3", 1, 27, "HAVING"),
        ("WITH x AS (SELECT 1) SELECT AVG(age) FROM bank", 1, 1, "WITH"),
        ("SELECT * FROM bank", 1, 8, "SELECT *"),
        ("SELECT age FROM bank", 1, 8, "a column on its own"),
        ("SELECT SUM(age) + age FROM bank", 1, 19, "a column outside an aggregate"),
        ("SELECT SUM(AVG(age)) FROM bank", 1, 12, "AVG()"),
        ("SELECT MEDIAN(age) FROM bank", 1, 8, "MEDIAN"),
        ("SELECT COUNT(DISTINCT age) FROM bank", 1, 8, "DISTINCT"),
        ("SELECT SUM(age) OVER () FROM bank", 1, 8, "OVER"),
        ("SELECT SUM(1 / age) FROM bank", 1, 12, "dividing"),
        ("SELECT SUM(age / 3) FROM bank", 1, 12, "dividing"),
        ("SELECT SUM(age / 0) FROM bank", 1, 12, "dividing"),
        ("SELECT SUM(age % 3) FROM bank", 1, 12, "operator %"),
        ("SELECT SUM(job) FROM bank", 1, 12, "names"),
        ("SELECT COUNT(*) FROM bank WHERE job < 'smith'", 1, 33, "order between names"),
        ("SELECT COUNT(*) FROM bank WHERE job LIKE 's%'", 1, 33, "LIKE"),
        ("SELECT COUNT(*) FROM bank WHERE age IS NULL", 1, 33, "NULL"),
        ("SELECT COUNT(*) FROM bank WHERE age IN (SELECT 1)", 1, 33, "subquery"),
        ("SELECT SUM(CASE WHEN vip THEN 1 END) FROM bank", 1, 12, "CASE without ELSE"),
        ("SELECT COUNT(*) FROM bank LEFT JOIN shop USING (subject)", 1, 32, "join"),
        ("SELECT COUNT(*) FROM bank JOIN shop ON bank.age = shop.age", 1, 27, "join condition"),
        ("SELECT COUNT(*) FROM bank, shop", 1, 17, "list of tables"),
        ("SELECT COUNT(*) FROM (SELECT age FROM bank) b", 1, 17, "subquery"),
        ("SELECT COUNT(*) FROM bank UNION SELECT COUNT(*) FROM shop", 1, 27, "UNION"),
        ("SELECT COUNT(*) FROM bank; SELECT 1", 1, 26, "second statement"),
        ("DELETE FROM bank", 1, 1, "other than SELECT"),
        ("SELECT COUNT(*) FROM bank GROUP BY age > 3", 1, 36, "grouping by an expression"),
        ("SELECT 1 + LINREG(age, amount) FROM bank", 1, 12, "LINREG"),
    ] {
        match refusal(sql)? {
            SqlError::Unsupported { at, construct, .. } => {
                assert_eq!(
                    (at, construct.contains(named)),
                    (At { line, column }, true),
                    "{sql}: {construct}"
                );
            }
            other => panic!("{sql}: {other}"),
        }
    }
    Ok(())
}

#[test]
fn names_that_mean_nothing_or_too_much_are_refused() -> Result<(), CatalogError> {
    for (sql, line, column) in [
        ("SELECT SUM(nothing) FROM bank", 1, 12),
        ("SELECT COUNT(nothing) FROM bank", 1, 14),
        ("SELECT COUNT(*)\n FROM nowhere", 2, 7),
        ("SELECT SUM(age) FROM bank JOIN shop USING (subject)", 1, 12),
        ("SELECT SUM(subject) FROM bank", 1, 12),
        ("SELECT COUNT(*) FROM bank JOIN shop USING (age)", 1, 44),
        ("SELECT COUNT(*) FROM bank JOIN bank USING (subject)", 1, 32),
        ("SELECT COUNT(*) FROM bank WHERE job = 'baker'", 1, 39),
        ("SELECT COUNT(*) FROM bank WHERE age > :secret", 1, 39),
        ("SELECT COUNT(*) FROM bank GROUP BY age", 1, 36),
    ] {
        match refusal(sql)? {
            SqlError::Name { at, .. } => assert_eq!(at, At { line, column }, "{sql}"),
            other => panic!("{sql}: {other}"),
        }
    }
    Ok(())
}

#[test]
fn what_could_overflow_is_refused_with_its_expression() -> Result<(), CatalogError> {
    for (sql, expression, column) in [
        ("SELECT SUM(wide * wide) FROM bank", "wide * wide", 12),
        ("SELECT 1, SUM(age + wide * 2 * wide) FROM bank", "wide * 2 * wide", 21),
        ("SELECT VARIANCE(wide) FROM bank", "VARIANCE(wide)", 8),
        (
            "SELECT COUNT(*) FROM bank WHERE wide * 99999999999999999999 < 1",
            "wide * 99999999999999999999",
            33,
        ),
    ] {
        match refusal(sql)? {
            SqlError::Type { at, expression: named, .. } => {
                assert_eq!((named.as_str(), at), (expression, At { line: 1, column }), "{sql}");
            }
            other => panic!("{sql}: {other}"),
        }
    }
    let narrow = Options { bits: 26, receivers: vec!["ana".into()] };
    let fits =
        compile("SELECT SUM(age) FROM bank", &catalog()?, &Options { bits: 27, ..narrow.clone() });
    assert!(fits.is_ok());
    let refused = compile("SELECT SUM(age) FROM bank", &catalog()?, &narrow);
    let text = refused.map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        text,
        "line 1, column 8: in `SUM(age)` the result can need 27 bits and 26 are allowed"
    );
    Ok(())
}

#[test]
fn truths_and_numbers_are_not_mixed() -> Result<(), CatalogError> {
    for sql in [
        "SELECT COUNT(*) FROM bank WHERE age",
        "SELECT SUM(vip) FROM bank",
        "SELECT SUM(age + vip) FROM bank",
        "SELECT COUNT(*) FROM bank WHERE age AND vip",
        "SELECT COUNT(*) FROM bank WHERE NOT age",
        "SELECT COUNT(*) FROM bank WHERE age = vip",
        "SELECT SUM(CASE WHEN age THEN 1 ELSE 0 END) FROM bank",
        "SELECT SUM(CASE WHEN vip THEN vip ELSE 0 END) FROM bank",
        "SELECT MIN(vip) FROM bank",
        "SELECT MIN(vip) FROM bank WHERE vip",
    ] {
        assert!(matches!(refusal(sql)?, SqlError::Type { .. }), "{sql}: {}", refusal(sql)?);
    }
    Ok(())
}

#[test]
fn a_join_needs_its_match_stated() -> Result<(), CatalogError> {
    let refused = refusal("SELECT COUNT(*) FROM bank JOIN clinic USING (subject)")?;
    assert!(matches!(refused, SqlError::Unmatched { .. }), "{refused}");
    Ok(())
}

#[test]
fn queries_past_the_limits_end_in_errors() -> Result<(), CatalogError> {
    let long = format!("SELECT SUM(age{}) FROM bank", " + age".repeat(5_000));
    assert!(matches!(refusal(&long)?, SqlError::TooLarge { .. }));
    let deep = format!("SELECT SUM(age{}) FROM bank", " + age".repeat(900));
    assert!(matches!(refusal(&deep)?, SqlError::TooLarge { .. }));
    let nested = format!("SELECT SUM({}age{}) FROM bank", "(".repeat(900), ")".repeat(900));
    assert!(matches!(refusal(&nested)?, SqlError::TooLarge { .. }));
    let negative = format!("SELECT SUM({}age) FROM bank", "- ".repeat(1_800));
    assert!(matches!(refusal(&negative)?, SqlError::TooLarge { .. }));
    for sql in [
        "",
        ";",
        "SELECT",
        "SELECT FROM",
        "SELECT ' FROM bank",
        "\u{0}",
        "SELECT SUM(age FROM bank",
    ] {
        assert!(matches!(refusal(sql)?, SqlError::Syntax(_)), "{sql:?}: {}", refusal(sql)?);
    }
    Ok(())
}
