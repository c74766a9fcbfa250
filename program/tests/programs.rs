//! Programs that arrive from elsewhere, what is opened for a query, and data that breaks a promise.

use std::collections::BTreeMap;

use encrytrust_program::{
    Program,
    catalog::{Catalog, Column, Parameter, Table},
    clear::AnswerError,
    explain::explain,
    interpret::{DataError, Inputs, Records, answer, interpret, trace},
    ir::{Op, Source, Value},
    sql::{Options, compile},
    types::{Range, Type},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn catalog() -> Result<Catalog, Box<dyn std::error::Error>> {
    let table = |name: &str, owner: &str, columns| Table {
        name: name.into(),
        owner: owner.into(),
        subject: Some("subject".into()),
        columns,
        rows: 4,
    };
    let mut catalog = Catalog::default();
    let bank =
        vec![Column::number("amount", 2, "0", "1000")?, Column::number("age", 0, "0", "99")?];
    let shop = vec![Column::number("spent", 0, "0", "50")?, Column::category("kind", &["a", "b"])];
    catalog.add(table("bank", "alder", bank))?;
    catalog.add(table("shop", "birch", shop))?;
    catalog.state_match(&["shop", "bank"], 3)?;
    let kind = Column::number("limit", 0, "0", "120")?.kind;
    catalog.add_parameter(Parameter { name: "limit".into(), owner: "ana".into(), kind })?;
    Ok(catalog)
}

fn data() -> BTreeMap<String, Records> {
    let records = |subjects: [&str; 4], columns: Vec<(&str, [i128; 4])>| Records {
        subjects: subjects.map(str::to_owned).to_vec(),
        columns: columns.into_iter().map(|(n, v)| (n.to_owned(), v.to_vec())).collect(),
    };
    let amounts = [10_000, 20_050, 5, 0];
    let bank = records(["p", "q", "r", "s"], vec![("amount", amounts), ("age", [20, 30, 40, 50])]);
    let shop = records(["s", "r", "x", "q"], vec![("spent", [1, 2, 3, 4]), ("kind", [0, 1, 0, 1])]);
    BTreeMap::from([("bank".into(), bank), ("shop".into(), shop)])
}

const JOIN: &str = "FROM bank JOIN shop USING (subject)";

fn ask(sql: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let program = compile(sql, &catalog()?, &Options::to("ana"))?;
    let parameters = BTreeMap::from([("limit".to_owned(), 35)]);
    let answer = answer(&program, &Inputs::gather(&program, &data(), &parameters)?)?;
    Ok(answer.rows.concat().iter().map(ToString::to_string).collect())
}

#[test]
fn answers_by_hand() -> Outcome {
    // Matching: q (200.50, 30, 4, b), r (0.05, 40, 2, b), s (0.00, 50, 1, a).
    for (items, answers) in [
        ("COUNT(*), SUM(amount), SUM(amount * spent)", vec!["3", "200.55", "802.10"]),
        ("AVG(age), MIN(amount), MAX(age - spent)", vec!["40", "0.00", "49"]),
        ("VARIANCE(age), VAR_POP(spent) * 9, STDDEV(age)", vec!["100", "14", "10"]),
        (
            "REGR_SLOPE(age, age), REGR_INTERCEPT(age + 5, age), REGR_R2(age, age)",
            vec!["1", "5", "1"],
        ),
        ("LINREG(2 * age + 5, age)", vec!["5", "2"]),
        ("CORR(age, -age), COVAR(age, age)", vec!["-1", "100"]),
        ("SUM(age) / COUNT(*) - 1, -SUM(age), SUM(age / 4)", vec!["39", "-120", "30.00"]),
        ("SUM(CASE kind WHEN 'b' THEN spent ELSE 0 END)", vec!["6"]),
        (
            "COUNT(*) FILTER (WHERE age > :limit), SUM(age) FILTER (WHERE kind <> 'b')",
            vec!["2", "50"],
        ),
        (
            "REGR_R2(1, age), REGR_R2(age, 1), REGR_SLOPE(age, 1), AVG(age) / 0",
            vec!["1", "NULL", "NULL", "NULL"],
        ),
    ] {
        assert_eq!(ask(&format!("SELECT {items} {JOIN}"))?, answers, "{items}");
    }
    let nobody = "WHERE age > 90";
    let items =
        "COUNT(*), SUM(age), AVG(age), MIN(age), MAX(age), STDDEV(age), REGR_SLOPE(age, spent)";
    assert_eq!(
        ask(&format!("SELECT {items} {JOIN} {nobody}"))?,
        ["0", "0", "NULL", "NULL", "NULL", "NULL", "NULL"]
    );
    let grouped =
        format!("SELECT kind, COUNT(*), AVG(age) {JOIN} WHERE spent BETWEEN 2 AND 9 GROUP BY kind");
    assert_eq!(ask(&grouped)?, ["a", "0", "NULL", "b", "2", "35"]);
    assert_eq!(
        ask("SELECT SUM(b.amount) AS total FROM bank AS b WHERE b.age IN (20, 30)")?,
        ["300.50"]
    );
    Ok(())
}

#[test]
fn a_planted_plane_is_found_again() -> Outcome {
    let rows: u64 = 40;
    let mut catalog = Catalog::default();
    let columns = ["y", "a", "b"]
        .map(|name| Column::number(name, 1, "-10000", "10000"))
        .into_iter()
        .collect::<Result<_, _>>()?;
    catalog.add(Table { name: "t".into(), owner: "alder".into(), subject: None, columns, rows })?;
    let a: Vec<i128> = (0..40).map(|i| i * i * 7 % 131).collect();
    let b: Vec<i128> = (0..40).map(|i| i * 37 % 53 - 20).collect();
    let y = a.iter().zip(&b).map(|(a, b)| 31 + 4 * a - 3 * b).collect();
    let columns = [("y", y), ("a", a), ("b", b)].map(|(name, column)| (name.to_owned(), column));
    let records = Records { subjects: Vec::new(), columns: columns.into() };
    let tables = BTreeMap::from([("t".to_owned(), records)]);
    let program = compile(
        "SELECT LINREG(y, a, b), LINREG(y, a, 2 * a) AS twice FROM t WHERE a > 3",
        &catalog,
        &Options::to("ana"),
    )?;
    assert_eq!(
        program.parts().columns[..4],
        ["linreg_intercept", "linreg_a", "linreg_b", "twice_intercept"]
    );
    let found = answer(&program, &Inputs::gather(&program, &tables, &BTreeMap::new())?)?;
    let found: Vec<String> = found.rows[0].iter().map(ToString::to_string).collect();
    for (found, planted) in found.iter().zip([3.1, 4.0, -3.0]) {
        assert!((found.parse::<f64>()? - planted).abs() < 1e-9, "{found} for {planted}");
    }
    assert_eq!(found[3..], ["NULL", "NULL", "NULL"], "a column and its double determine nothing");
    Ok(())
}

#[test]
fn only_what_the_answer_needs_is_opened() -> Outcome {
    for (items, opened) in [
        ("SUM(age) - SUM(spent) * 2", vec!["SUM(age) - SUM(spent) * 2"]),
        ("AVG(age)", vec!["the sum of age"]),
        ("VARIANCE(age), STDDEV(age)", vec!["n·Σx² − (Σx)² of x = age"]),
        (
            "AVG(age) FILTER (WHERE spent > 2)",
            vec!["the sum of age where spent > 2", "the number of rows where spent > 2"],
        ),
        ("COUNT(*)", vec![]),
        ("COUNT(*) FILTER (WHERE age > spent)", vec!["COUNT(*) FILTER (WHERE age > spent)"]),
    ] {
        let program = compile(&format!("SELECT {items} {JOIN}"), &catalog()?, &Options::to("ana"))?;
        let meanings: Vec<&str> =
            program.opens().iter().map(|open| open.meaning.as_str()).collect();
        assert_eq!(meanings, opened, "{items}");
        assert!(program.opens().iter().all(|open| open.to == ["ana"]));
    }
    Ok(())
}

#[test]
fn what_one_party_can_do_alone_is_not_counted_as_joint() -> Outcome {
    let sql = format!("SELECT SUM(amount * spent) {JOIN} WHERE age > 30 AND amount < 7");
    let explained = explain(&compile(&sql, &catalog()?, &Options::to("ana"))?);
    assert_eq!(explained.local.less.values().sum::<u64>(), 6);
    assert_eq!(explained.local.multiplications, 6, "the AND, and the mask on amounts");
    assert_eq!((explained.joint.multiplications, explained.joint.inner_products), (0, 1));
    assert_eq!((explained.depth.layers, explained.depth.comparisons), (1, 0));

    // The bank squares alone what the shop's mask then picks.
    let sql = format!("SELECT VAR_POP(amount) {JOIN} WHERE kind = 'a'");
    let explained = explain(&compile(&sql, &catalog()?, &Options::to("ana"))?);
    assert_eq!(explained.local.multiplications, 3);
    let single = "the sum times itself, and the count times the sum of squares";
    assert_eq!(
        (explained.joint.multiplications, explained.joint.inner_products),
        (2, 2),
        "{single}"
    );

    // Conditions are gathered by who knows them, and the shared ones combined in pairs.
    let sql =
        format!("SELECT COUNT(*) {JOIN} WHERE age > 1 AND spent > 1 AND (age < 90 AND spent < 40)");
    let explained = explain(&compile(&sql, &catalog()?, &Options::to("ana"))?);
    assert_eq!((explained.joint.multiplications, explained.local.multiplications), (3, 6));
    let sql = format!("SELECT COUNT(*) {JOIN} WHERE age - spent IN (1, 2, 3, 4, 5, 6, 7, 8)");
    let explained = explain(&compile(&sql, &catalog()?, &Options::to("ana"))?);
    assert_eq!((explained.depth.layers, explained.depth.comparisons), (1 + 3, 1));

    let sql = format!("SELECT MAX(age - spent) {JOIN} WHERE age > spent");
    let explained = explain(&compile(&sql, &catalog()?, &Options::to("ana"))?);
    assert_eq!(explained.joint.less.values().sum::<u64>(), 3 + 2);
    assert_eq!((explained.depth.layers, explained.depth.comparisons), (1 + 1 + 4, 1 + 2));
    let json = serde_json::to_value(&explained)?;
    assert_eq!(json["depth"]["layers"], 6);
    Ok(())
}

#[test]
fn like_tables_of_several_owners_cost_an_average_nothing() -> Outcome {
    let mut catalog = Catalog::default();
    for (owner, rows) in [("alder", 3), ("birch", 2), ("cedar", 4)] {
        let columns = vec![Column::number("pay", 2, "0", "9000")?, Column::truth("senior")];
        catalog.add(Table {
            name: format!("staff_{owner}"),
            owner: owner.into(),
            subject: None,
            columns,
            rows,
        })?;
    }
    let from = "(SELECT * FROM staff_alder UNION ALL SELECT * FROM staff_birch UNION ALL SELECT * FROM staff_cedar) AS staff";
    let sql =
        format!("SELECT AVG(staff.pay), VARIANCE(pay) FROM {from} WHERE senior AND pay > 1000");
    let program = compile(&sql, &catalog, &Options::to("alder"))?;
    let explained = explain(&program);
    assert_eq!((explained.joint.multiplications, explained.joint.inner_products), (2, 0));
    assert!(explained.joint.less.is_empty() && explained.joint.equal.is_empty());
    assert_eq!(explained.local.less.values().sum::<u64>(), 9);
    assert_eq!(program.frame().rows, 9);
    for (from, fault) in [
        (from.replace(" ALL", ""), "UNION without ALL"),
        (from.replace("staff_birch", "staff_alder"), "a table twice"),
        (from.replacen('*', "pay", 1), "less than all columns"),
        (from.replace("staff_birch", "staff_birch WHERE senior"), "a condition inside"),
        (from.replace(" AS staff", ""), "no name"),
        (from.replace("staff_birch", "staff_birch LIMIT 1"), "a limit inside"),
    ] {
        let sql = format!("SELECT AVG(pay) FROM {from}");
        assert!(compile(&sql, &catalog, &Options::to("alder")).is_err(), "{fault}");
    }
    let columns = vec![Column::number("pay", 0, "0", "9000")?];
    catalog.add(Table {
        name: "other".into(),
        owner: "dogwood".into(),
        subject: None,
        columns,
        rows: 3,
    })?;
    let from = from.replace("staff_birch", "other");
    let refused = compile(&format!("SELECT AVG(pay) FROM {from}"), &catalog, &Options::to("alder"));
    let text = refused.map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        text,
        "line 1, column 12: \"pay\" is absent from table \"other\", or declared otherwise"
    );
    Ok(())
}

#[test]
fn a_program_survives_the_wire_and_a_forged_one_does_not() -> Outcome {
    let sql = format!(
        "SELECT kind, AVG(amount), MIN(age), LINREG(age, spent) {JOIN} WHERE spent < :limit GROUP BY kind"
    );
    let program = compile(&sql, &catalog()?, &Options::to("ana"))?;
    let json = serde_json::to_string(&program)?;
    assert_eq!(serde_json::from_str::<Program>(&json)?, program);

    let parts = program.parts();
    let forged = |change: &dyn Fn(&mut encrytrust_program::ir::Parts)| {
        let mut parts = parts.clone();
        change(&mut parts);
        assert_ne!(&parts, program.parts(), "the forgery changed nothing");
        Program::new(parts.clone()).is_err()
            && serde_json::from_str::<Program>(&serde_json::to_string(&parts).unwrap()).is_err()
    };
    let last = Value(u32::try_from(parts.steps.len())?);
    assert!(forged(&|p| p.bits = 127));
    assert!(forged(&|p| p.bits = 8));
    assert!(forged(&|p| p.frame.rows = 5));
    assert!(forged(&|p| p.frame.subject = None));
    assert!(forged(&|p| p.frame.tables.clear()));
    assert!(forged(
        &|p| p.steps[0].kind = Type::Number { scale: 0, range: Range { min: 5, max: 4 } }
    ));
    assert!(forged(&|p| p.opens[0].value = last));
    assert!(forged(&|p| p.opens[0].value = Value(0)));
    assert!(forged(&|p| p.opens[0].to.clear()));
    assert!(forged(&|p| p.clear.truncate(2)));
    assert!(forged(&|p| p.clear.reverse()));
    assert!(forged(&|p| drop(p.columns.pop())));
    assert!(forged(&|p| p.steps.reverse()));
    for at in 0..parts.steps.len() {
        let kind = match parts.steps[at].kind {
            Type::Truth => Type::Number { scale: 0, range: Range { min: 0, max: 1 } },
            Type::Number { .. } => Type::Truth,
        };
        let is_input = matches!(parts.steps[at].op, Op::Input { .. });
        assert!(is_input || forged(&|p| p.steps[at].kind = kind), "step {at}");
        assert!(
            is_input || forged(&|p| p.steps[at].op = Op::Not(Value(u32::try_from(at).unwrap())))
        );
    }
    Ok(())
}

#[test]
fn data_that_breaks_a_promise_is_refused() -> Outcome {
    let program =
        compile(&format!("SELECT SUM(age), SUM(spent) {JOIN}"), &catalog()?, &Options::to("ana"))?;
    let gather = |change: &dyn Fn(&mut BTreeMap<String, Records>)| {
        let mut tables = data();
        change(&mut tables);
        let inputs = Inputs::gather(&program, &tables, &BTreeMap::new())?;
        interpret(&program, &inputs).map(|_| ())
    };
    let column = |t: &mut BTreeMap<String, Records>, value| {
        t.get_mut("bank").unwrap().columns.insert("age".into(), vec![1, 2, 3, value]);
    };
    assert_eq!(gather(&|_| ()), Ok(()));
    assert!(matches!(gather(&|t| column(t, 100)), Err(DataError::Range { row: 2, .. })));
    assert!(matches!(gather(&|t| column(t, -1)), Err(DataError::Range { row: 2, .. })));
    let bank = |t: &mut BTreeMap<String, Records>| t.remove("bank").map(drop).unwrap();
    assert!(matches!(gather(&bank), Err(DataError::NoTable(_))));
    let subject = |at: usize, to: &'static str| {
        move |t: &mut BTreeMap<String, Records>| t.get_mut("shop").unwrap().subjects[at] = to.into()
    };
    assert!(matches!(gather(&subject(0, "r")), Err(DataError::Twice { .. })));
    assert!(matches!(gather(&subject(0, "z")), Err(DataError::Rows { have: 2, need: 3, .. })));
    assert!(matches!(gather(&subject(2, "p")), Err(DataError::Rows { have: 4, need: 3, .. })));
    let shorter = |t: &mut BTreeMap<String, Records>| {
        t.get_mut("bank").unwrap().columns.insert("age".into(), vec![1, 2, 3]);
    };
    assert!(matches!(gather(&shorter), Err(DataError::Rows { have: 3, need: 4, .. })));
    let fewer = |t: &mut BTreeMap<String, Records>| drop(t.get_mut("bank").unwrap().subjects.pop());
    assert!(matches!(gather(&fewer), Err(DataError::Rows { have: 3, need: 4, .. })));

    let inputs = Inputs::gather(&program, &data(), &BTreeMap::new())?;
    assert_eq!(trace(&program, &inputs)?.len(), program.steps().len());
    let mut other = inputs.clone();
    other.set(Source::Column { table: "bank".into(), column: "age".into() }, vec![1]);
    assert!(matches!(interpret(&program, &other), Err(DataError::Rows { .. })));
    assert_eq!(program.answer(&[1]), Err(AnswerError::Count { have: 1, need: 2 }));
    assert_eq!(program.answer(&[1, 151]), Err(AnswerError::Range { open: 1, value: 151 }));
    Ok(())
}
