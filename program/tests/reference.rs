//! Generated queries over generated tables: the program's answer equals that of an evaluator that
//! shares nothing with the crate. It holds its own tree of the query, prints it as SQL for the
//! compiler, and walks it row by row: decimals as integers with their own scale, moments as sums
//! over pairs of rows.

use std::{cmp::Ordering, collections::BTreeMap};

use encrytrust_program::{
    Program,
    catalog::{Catalog, Column, Table},
    clear::{Field, Number},
    explain::explain,
    interpret::{Inputs, Records, answer, trace},
    sql::{Options, SqlError, compile},
};
use proptest::{prelude::*, sample::select};

const JOBS: [&str; 3] = ["clerk", "smith", "baker's"];
const PLANS: [&str; 2] = ["flat", "metered"];
const LEVELS: [i128; 3] = [1, 2, 5];

/// One joined row, as its owners wrote it.
#[derive(Clone, Debug)]
struct Row {
    age: i128,
    cents: i128,
    job: usize,
    vip: bool,
    calls: i128,
    plan: usize,
    level: i128,
}

/// A decimal of the naive evaluator.
#[derive(Clone, Copy, Debug)]
struct Dec(i128, u32);

impl Dec {
    fn at(self, scale: u32) -> Option<i128> {
        self.0.checked_mul(10_i128.checked_pow(scale - self.1)?)
    }

    fn add(self, other: Self) -> Option<Self> {
        let scale = self.1.max(other.1);
        Some(Self(self.at(scale)?.checked_add(other.at(scale)?)?, scale))
    }

    fn mul(self, other: Self) -> Option<Self> {
        Some(Self(self.0.checked_mul(other.0)?, self.1 + other.1))
    }

    fn order(self, other: Self) -> Option<Ordering> {
        let scale = self.1.max(other.1);
        Some(self.at(scale)?.cmp(&other.at(scale)?))
    }

    fn real(self) -> f64 {
        self.0 as f64 / 10_f64.powi(self.1 as i32)
    }
}

#[derive(Clone, Debug)]
enum Num {
    Age,
    Cents,
    Calls,
    Level,
    Literal(i128, u32),
    Binary(char, Box<Num>, Box<Num>),
    Negate(Box<Num>),
    Part(Box<Num>, i128),
    Case(Box<Cond>, Box<Num>, Box<Num>),
    CaseJob(usize, Box<Num>, Box<Num>),
}

#[derive(Clone, Debug)]
enum Cond {
    Compare(&'static str, Num, Num),
    Job(usize, bool),
    Plans(Vec<usize>, bool),
    Vip,
    Fixed(bool),
    Between(Num, Num, Num, bool),
    In(Num, Vec<i128>, bool),
    And(Box<Cond>, Box<Cond>),
    Or(Box<Cond>, Box<Cond>),
    Not(Box<Cond>),
    Same(Box<Cond>, Box<Cond>),
}

#[derive(Clone, Debug)]
enum Item {
    Count(Option<Cond>),
    One(&'static str, Num, Option<Cond>),
    Two(&'static str, Num, Num),
    Sums(char, Num, Num),
}

#[derive(Clone, Debug)]
struct Query {
    items: Vec<Item>,
    filter: Option<Cond>,
    groups: Vec<&'static str>,
}

fn num(depth: u32) -> BoxedStrategy<Num> {
    let leaf = prop_oneof![
        Just(Num::Age),
        Just(Num::Cents),
        Just(Num::Calls),
        Just(Num::Level),
        (0_i128..300, 0_u32..3).prop_map(|(v, s)| Num::Literal(v, s)),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || num(depth - 1).prop_map(Box::new);
    prop_oneof![
        3 => leaf,
        3 => (select(vec!['+', '-', '*']), inner(), inner()).prop_map(|(o, a, b)| Num::Binary(o, a, b)),
        1 => inner().prop_map(Num::Negate),
        1 => (inner(), select(vec![2, 4, 5, 8, -10])).prop_map(|(a, d)| Num::Part(a, d)),
        1 => (cond(depth - 1), inner(), inner()).prop_map(|(c, a, b)| Num::Case(Box::new(c), a, b)),
        1 => (0_usize..3, inner(), inner()).prop_map(|(j, a, b)| Num::CaseJob(j, a, b)),
    ]
    .boxed()
}

fn cond(depth: u32) -> BoxedStrategy<Cond> {
    let signs = vec!["<", "<=", ">", ">=", "=", "<>"];
    let leaf = prop_oneof![
        4 => (select(signs), num(depth.min(1)), num(depth.min(1))).prop_map(|(o, a, b)| Cond::Compare(o, a, b)),
        1 => (0_usize..3, any::<bool>()).prop_map(|(j, n)| Cond::Job(j, n)),
        1 => (prop::collection::vec(0_usize..2, 1..3), any::<bool>()).prop_map(|(p, n)| Cond::Plans(p, n)),
        1 => Just(Cond::Vip),
        1 => any::<bool>().prop_map(Cond::Fixed),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || cond(depth - 1).prop_map(Box::new);
    prop_oneof![
        3 => leaf,
        1 => (num(1), num(0), num(0), any::<bool>()).prop_map(|(a, b, c, n)| Cond::Between(a, b, c, n)),
        1 => (num(1), prop::collection::vec(0_i128..60, 1..4), any::<bool>()).prop_map(|(a, l, n)| Cond::In(a, l, n)),
        2 => (inner(), inner()).prop_map(|(a, b)| Cond::And(a, b)),
        2 => (inner(), inner()).prop_map(|(a, b)| Cond::Or(a, b)),
        1 => inner().prop_map(Cond::Not),
        1 => (inner(), inner()).prop_map(|(a, b)| Cond::Same(a, b)),
    ]
    .boxed()
}

fn item() -> BoxedStrategy<Item> {
    let ones =
        vec!["SUM", "AVG", "MIN", "MAX", "VARIANCE", "VAR_SAMP", "VAR_POP", "STDDEV", "STDDEV_POP"];
    let twos =
        vec!["COVAR", "COVAR_POP", "CORR", "REGR_SLOPE", "REGR_INTERCEPT", "REGR_R2", "REGR_COUNT"];
    prop_oneof![
        1 => prop::option::of(cond(1)).prop_map(Item::Count),
        5 => (select(ones), num(2), prop::option::of(cond(1))).prop_map(|(f, a, c)| Item::One(f, a, c)),
        4 => (select(twos), num(1), num(1)).prop_map(|(f, a, b)| Item::Two(f, a, b)),
        1 => (select(vec!['+', '-', '*', '/']), num(1), num(1)).prop_map(|(o, a, b)| Item::Sums(o, a, b)),
    ]
    .boxed()
}

fn query() -> impl Strategy<Value = Query> {
    let groups = prop::sample::subsequence(vec!["job", "plan", "level", "vip"], 0..=2);
    (prop::collection::vec(item(), 1..4), prop::option::of(cond(2)), groups)
        .prop_map(|(items, filter, groups)| Query { items, filter, groups })
}

fn row() -> impl Strategy<Value = Row> {
    let left = (0_i128..=99, -50_000_i128..=50_000, 0_usize..3, any::<bool>());
    let right = (0_i128..=50, 0_usize..2, select(LEVELS.to_vec()));
    (left, right).prop_map(|((age, cents, job, vip), (calls, plan, level))| Row {
        age,
        cents,
        job,
        vip,
        calls,
        plan,
        level,
    })
}

fn print_num(n: &Num) -> String {
    match n {
        Num::Age => "age".into(),
        Num::Cents => "bank.amount".into(),
        Num::Calls => "t.calls".into(),
        Num::Level => "level".into(),
        Num::Literal(v, 0) => v.to_string(),
        Num::Literal(v, s) => {
            let unit = 10_i128.pow(*s);
            format!("{}.{:0width$}", v / unit, v % unit, width = *s as usize)
        }
        Num::Binary(op, a, b) => format!("({} {op} {})", print_num(a), print_num(b)),
        Num::Negate(a) => format!("(- {})", print_num(a)),
        Num::Part(a, d) => format!("({} / ({d}))", print_num(a)),
        Num::Case(c, a, b) => {
            format!("CASE WHEN {} THEN {} ELSE {} END", print_cond(c), print_num(a), print_num(b))
        }
        Num::CaseJob(j, a, b) => {
            let job = JOBS[*j].replace('\'', "''");
            format!("CASE job WHEN '{job}' THEN {} ELSE {} END", print_num(a), print_num(b))
        }
    }
}

fn print_cond(c: &Cond) -> String {
    let not = |negated: &bool| if *negated { " NOT" } else { "" };
    match c {
        Cond::Compare(op, a, b) => format!("{} {op} {}", print_num(a), print_num(b)),
        Cond::Job(j, true) => format!("'{}' <> job", JOBS[*j].replace('\'', "''")),
        Cond::Job(j, false) => format!("job = '{}'", JOBS[*j].replace('\'', "''")),
        Cond::Plans(plans, negated) => {
            let names: Vec<String> = plans.iter().map(|p| format!("'{}'", PLANS[*p])).collect();
            format!("plan{} IN ({})", not(negated), names.join(", "))
        }
        Cond::Vip => "vip".into(),
        Cond::Fixed(value) => value.to_string(),
        Cond::Between(a, b, c, negated) => {
            format!(
                "({}{} BETWEEN {} AND {})",
                print_num(a),
                not(negated),
                print_num(b),
                print_num(c)
            )
        }
        Cond::In(a, list, negated) => {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            format!("{}{} IN ({})", print_num(a), not(negated), list.join(", "))
        }
        Cond::And(a, b) => format!("({} AND {})", print_cond(a), print_cond(b)),
        Cond::Or(a, b) => format!("({} OR {})", print_cond(a), print_cond(b)),
        Cond::Not(a) => format!("(NOT ({}))", print_cond(a)),
        Cond::Same(a, b) => format!("(({}) = ({}))", print_cond(a), print_cond(b)),
    }
}

const JOINED: &str = "bank JOIN telecom AS t USING (subject)";
const STACKED: &str =
    "(SELECT * FROM alder UNION ALL SELECT * FROM birch UNION ALL SELECT * FROM cedar) AS t";

fn print(query: &Query, from: &str) -> String {
    let filtered = |c: &Option<Cond>| {
        c.as_ref().map_or(String::new(), |c| format!(" FILTER (WHERE {})", print_cond(c)))
    };
    let mut items: Vec<String> = query.groups.iter().map(|group| (*group).to_owned()).collect();
    items.extend(query.items.iter().map(|item| match item {
        Item::Count(c) => format!("COUNT(*){}", filtered(c)),
        Item::One(f, a, c) => format!("{f}({}){}", print_num(a), filtered(c)),
        Item::Two(f, a, b) => format!("{f}({}, {})", print_num(a), print_num(b)),
        Item::Sums(op, a, b) => format!("SUM({}) {op} SUM({})", print_num(a), print_num(b)),
    }));
    let mut sql = format!("SELECT {} FROM {from}", items.join(", "));
    if let Some(filter) = &query.filter {
        sql += &format!(" WHERE {}", print_cond(filter));
    }
    if !query.groups.is_empty() {
        sql += &format!(" GROUP BY {}", query.groups.join(", "));
    }
    sql
}

fn eval(n: &Num, row: &Row) -> Option<Dec> {
    Some(match n {
        Num::Age => Dec(row.age, 0),
        Num::Cents => Dec(row.cents, 2),
        Num::Calls => Dec(row.calls, 0),
        Num::Level => Dec(row.level, 0),
        Num::Literal(v, s) => Dec(*v, *s),
        Num::Binary('+', a, b) => eval(a, row)?.add(eval(b, row)?)?,
        Num::Binary('-', a, b) => {
            let Dec(v, s) = eval(b, row)?;
            eval(a, row)?.add(Dec(-v, s))?
        }
        Num::Binary(_, a, b) => eval(a, row)?.mul(eval(b, row)?)?,
        Num::Negate(a) => eval(a, row)?.mul(Dec(-1, 0))?,
        Num::Part(a, d) => eval(a, row)?.mul(Dec(1000 / d, 3))?,
        Num::Case(c, a, b) => {
            if holds(c, row)? {
                eval(a, row)?
            } else {
                eval(b, row)?
            }
        }
        Num::CaseJob(j, a, b) => {
            if row.job == *j {
                eval(a, row)?
            } else {
                eval(b, row)?
            }
        }
    })
}

fn holds(c: &Cond, row: &Row) -> Option<bool> {
    Some(match c {
        Cond::Compare(op, a, b) => {
            let order = eval(a, row)?.order(eval(b, row)?)?;
            match *op {
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                ">=" => order.is_ge(),
                "=" => order.is_eq(),
                _ => order.is_ne(),
            }
        }
        Cond::Job(j, negated) => (row.job == *j) != *negated,
        Cond::Plans(plans, negated) => plans.contains(&row.plan) != *negated,
        Cond::Vip => row.vip,
        Cond::Fixed(value) => *value,
        Cond::Between(a, b, c, negated) => {
            let a = eval(a, row)?;
            let inside = a.order(eval(b, row)?)?.is_ge() && a.order(eval(c, row)?)?.is_le();
            inside != *negated
        }
        Cond::In(a, list, negated) => {
            let a = eval(a, row)?;
            let orders: Option<Vec<Ordering>> = list.iter().map(|v| a.order(Dec(*v, 0))).collect();
            orders?.iter().any(|order| order.is_eq()) != *negated
        }
        // Both sides always, as the program does.
        Cond::And(a, b) => holds(a, row)? & holds(b, row)?,
        Cond::Or(a, b) => holds(a, row)? | holds(b, row)?,
        Cond::Not(a) => !holds(a, row)?,
        Cond::Same(a, b) => holds(a, row)? == holds(b, row)?,
    })
}

/// A naive answer: exact, real with the size of what cancelled in it, or null.
#[derive(Debug)]
enum Naive {
    Exact(Dec),
    Real(f64, f64),
    Null,
}

fn ratio(a: f64, b: f64) -> Naive {
    if b == 0.0 { Naive::Null } else { Naive::Real(a / b, a / b) }
}

/// The sum over pairs of rows of the products of differences, which is n·Σxy − Σx·Σy.
fn pairs(xs: &[Dec], ys: &[Dec]) -> Option<f64> {
    let mut sum = Dec(0, 0);
    for i in 0..xs.len() {
        for j in 0..i {
            let less = |Dec(v, s): Dec| Dec(-v, s);
            let (dx, dy) = (xs[i].add(less(xs[j]))?, ys[i].add(less(ys[j]))?);
            sum = sum.add(dx.mul(dy)?)?;
        }
    }
    Some(sum.real())
}

fn total(values: &[Dec]) -> Option<Dec> {
    values.iter().try_fold(Dec(0, 0), |sum, value| sum.add(*value))
}

fn aggregate(item: &Item, rows: &[&Row]) -> Option<Naive> {
    let kept = |c: &Option<Cond>| -> Option<Vec<&Row>> {
        let mut kept = Vec::new();
        for row in rows {
            if c.as_ref().is_none_or(|c| holds(c, row) == Some(true)) {
                kept.push(*row);
            }
        }
        Some(kept)
    };
    let all =
        |n: &Num, rows: &[&Row]| rows.iter().map(|row| eval(n, row)).collect::<Option<Vec<Dec>>>();
    Some(match item {
        Item::Count(c) => Naive::Exact(Dec(kept(c)?.len() as i128, 0)),
        Item::One(f, a, c) => {
            let xs = all(a, &kept(c)?)?;
            let n = xs.len() as f64;
            let least = |want: Ordering| {
                let mut best: Option<Dec> = None;
                for x in &xs {
                    if best.is_none_or(|b| x.order(b) == Some(want)) {
                        best = Some(*x);
                    }
                }
                best.map_or(Naive::Null, Naive::Exact)
            };
            match *f {
                "SUM" => Naive::Exact(total(&xs)?),
                "AVG" => ratio(total(&xs)?.real(), n),
                "MIN" => least(Ordering::Less),
                "MAX" => least(Ordering::Greater),
                "VAR_POP" => ratio(pairs(&xs, &xs)?, n * n),
                "STDDEV_POP" => ratio(pairs(&xs, &xs)?.sqrt(), n),
                "STDDEV" => ratio(pairs(&xs, &xs)?.sqrt(), (n * (n - 1.0)).sqrt()),
                _ => ratio(pairs(&xs, &xs)?, n * (n - 1.0)),
            }
        }
        Item::Two(f, a, b) => {
            let (xs, ys) = (all(b, rows)?, all(a, rows)?);
            let n = rows.len() as f64;
            let (xx, yy, xy) = (pairs(&xs, &xs)?, pairs(&ys, &ys)?, pairs(&xs, &ys)?);
            match *f {
                "COVAR" => ratio(xy, n * (n - 1.0)),
                "COVAR_POP" => ratio(xy, n * n),
                "CORR" => ratio(xy, xx.sqrt() * yy.sqrt()),
                "REGR_SLOPE" => ratio(xy, xx),
                "REGR_COUNT" => Naive::Exact(Dec(rows.len() as i128, 0)),
                "REGR_R2" if xx == 0.0 => Naive::Null,
                "REGR_R2" if yy == 0.0 => Naive::Real(1.0, 1.0),
                "REGR_R2" => ratio(xy * xy, xx * yy),
                _ if xx == 0.0 => Naive::Null,
                _ => {
                    let (mx, my) = (total(&xs)?.real() / n, total(&ys)?.real() / n);
                    Naive::Real(my - xy / xx * mx, my.abs() + (xy / xx * mx).abs())
                }
            }
        }
        Item::Sums(op, a, b) => {
            let (a, b) = (total(&all(a, rows)?)?, total(&all(b, rows)?)?);
            match op {
                '+' => Naive::Exact(a.add(b)?),
                '-' => Naive::Exact(a.add(Dec(-b.0, b.1))?),
                '*' => Naive::Exact(a.mul(b)?),
                _ => ratio(a.real(), b.real()),
            }
        }
    })
}

fn label(row: &Row, group: &str) -> String {
    match group {
        "job" => JOBS[row.job].to_owned(),
        "plan" => PLANS[row.plan].to_owned(),
        "level" => row.level.to_string(),
        _ => row.vip.to_string(),
    }
}

fn agrees(found: &Field, naive: &Naive) -> bool {
    let Field::Number(found) = found else { return false };
    match (found, naive) {
        (Number::Null, Naive::Null) => true,
        (Number::Exact { value, scale }, Naive::Exact(dec)) => {
            Dec(*value, u32::from(*scale)).order(*dec) == Some(Ordering::Equal)
        }
        (found, Naive::Real(value, size)) => found
            .real()
            .is_some_and(|found| (found - value).abs() <= 1e-9 * (size.abs() + value.abs())),
        _ => false,
    }
}

/// Both tables of the joined rows, each in its own order and with a subject the other lacks.
fn world(rows: &[Row]) -> (Catalog, BTreeMap<String, Records>) {
    let subjects = |prefix: &str, turned: bool| {
        let mut subjects: Vec<String> =
            (0..rows.len()).map(|i| format!("s{:02}", i * 7 % 31)).collect();
        subjects.push(format!("{prefix}-only"));
        if turned {
            subjects.reverse();
        }
        subjects
    };
    let column = |f: &dyn Fn(&Row) -> i128, other: i128, turned: bool| {
        let mut values: Vec<i128> = rows.iter().map(f).collect();
        values.push(other);
        if turned {
            values.reverse();
        }
        values
    };
    let bank: [(&str, Vec<i128>); 4] = [
        ("age", column(&|r| r.age, 99, false)),
        ("amount", column(&|r| r.cents, 777, false)),
        ("job", column(&|r| r.job as i128, 0, false)),
        ("vip", column(&|r| i128::from(r.vip), 1, false)),
    ];
    let telecom: [(&str, Vec<i128>); 3] = [
        ("calls", column(&|r| r.calls, 50, true)),
        ("plan", column(&|r| r.plan as i128, 1, true)),
        ("level", column(&|r| r.level, 5, true)),
    ];
    let records = |subjects, columns: Vec<(&str, Vec<i128>)>| Records {
        subjects,
        columns: columns.into_iter().map(|(name, values)| (name.to_owned(), values)).collect(),
    };
    let tables = BTreeMap::from([
        ("bank".to_owned(), records(subjects("bank", false), bank.to_vec())),
        ("telecom".to_owned(), records(subjects("telecom", true), telecom.to_vec())),
    ]);

    let table = |name: &str, owner: &str, columns| Table {
        name: name.into(),
        owner: owner.into(),
        subject: Some("subject".into()),
        columns,
        rows: rows.len() as u64 + 1,
    };
    let mut catalog = Catalog::default();
    let bank = vec![
        Column::number("age", 0, "0", "99").expect("a declaration without contradictions"),
        Column::number("amount", 2, "-500", "500").expect("a declaration without contradictions"),
        Column::category("job", &JOBS),
        Column::truth("vip"),
    ];
    let telecom = vec![
        Column::number("calls", 0, "0", "50").expect("a declaration without contradictions"),
        Column::category("plan", &PLANS),
        Column::domain("level", &LEVELS).expect("a declaration without contradictions"),
    ];
    catalog.add(table("bank", "alder", bank)).expect("a declaration without contradictions");
    catalog.add(table("telecom", "birch", telecom)).expect("a declaration without contradictions");
    catalog
        .state_match(&["bank", "telecom"], rows.len() as u64)
        .expect("a declaration without contradictions");
    (catalog, tables)
}

/// The rows shared out among three owners of like tables, with bounds of their own.
fn stack(rows: &[Row]) -> (Catalog, BTreeMap<String, Records>) {
    let (mut catalog, mut tables) = (Catalog::default(), BTreeMap::new());
    for (at, name) in ["alder", "birch", "cedar"].into_iter().enumerate() {
        let own: Vec<&Row> = rows.iter().skip(at).step_by(3).collect();
        let column = |f: &dyn Fn(&Row) -> i128| own.iter().map(|row| f(row)).collect::<Vec<_>>();
        let values: [(Column, Vec<i128>); 7] = [
            (Column::number("age", 0, "0", ["99", "120", "130"][at]), column(&|r| r.age)),
            (Column::number("amount", 2, "-500", ["500", "501", "800"][at]), column(&|r| r.cents)),
            (Ok(Column::category("job", &JOBS)), column(&|r| r.job as i128)),
            (Ok(Column::truth("vip")), column(&|r| i128::from(r.vip))),
            (Column::number("calls", 0, "0", "50"), column(&|r| r.calls)),
            (Ok(Column::category("plan", &PLANS)), column(&|r| r.plan as i128)),
            (Column::domain("level", &LEVELS), column(&|r| r.level)),
        ]
        .map(|(column, values)| (column.expect("a declaration without contradictions"), values));
        let columns = values.iter().map(|(column, _)| column.clone()).collect();
        let rows = own.len() as u64;
        let table = Table { name: name.into(), owner: name.into(), subject: None, columns, rows };
        catalog.add(table).expect("a declaration without contradictions");
        let columns = values.into_iter().map(|(column, values)| (column.name, values)).collect();
        tables.insert(name.to_owned(), Records { subjects: Vec::new(), columns });
    }
    (catalog, tables)
}

fn compare(
    query: &Query,
    rows: &[Row],
    sql: &str,
    (catalog, tables): &(Catalog, BTreeMap<String, Records>),
) -> Result<(), TestCaseError> {
    let program = match compile(sql, catalog, &Options::to("ana")) {
        Ok(program) => program,
        // Products of products can need more than 126 bits: refusing them is right.
        Err(SqlError::Type { .. }) => return Err(TestCaseError::reject("too wide")),
        Err(refusal) => return Err(TestCaseError::fail(format!("{sql}\n{refusal}"))),
    };
    let json = serde_json::to_string(&program).expect("plain data");
    let again: Option<Program> = serde_json::from_str(&json).ok();
    prop_assert!(again.as_ref() == Some(&program), "{}", sql);
    let inputs = Inputs::gather(&program, tables, &BTreeMap::new()).expect("data fits");
    for (at, values) in trace(&program, &inputs).expect("data fits").iter().enumerate() {
        let kind = program.steps()[at].kind;
        prop_assert!(values.iter().all(|value| kind.admits(*value)), "step {} of {}", at, sql);
    }
    let found = answer(&program, &inputs).expect("data fits");
    let mut rest: Vec<&Row> = Vec::new();
    for row in rows {
        let Some(kept) = query.filter.as_ref().map_or(Some(true), |filter| holds(filter, row))
        else {
            return Err(TestCaseError::reject("too wide for the naive evaluator"));
        };
        if kept {
            rest.push(row);
        }
    }
    let keys = query.groups.len();
    let mut seen = 0;
    for line in &found.rows {
        let labels: Vec<String> = line[..keys].iter().map(ToString::to_string).collect();
        let of_group =
            |row: &&&Row| query.groups.iter().zip(&labels).all(|(g, l)| label(row, g) == *l);
        let group: Vec<&Row> = rest.iter().filter(of_group).copied().collect();
        seen += group.len();
        for (item, field) in query.items.iter().zip(&line[keys..]) {
            let Some(naive) = aggregate(item, &group) else {
                return Err(TestCaseError::reject("too wide for the naive evaluator"));
            };
            prop_assert!(
                agrees(field, &naive),
                "{}\n{:?}: {} but naively {:?}",
                sql,
                item,
                field,
                naive
            );
        }
    }
    prop_assert_eq!(seen, rest.len(), "every row is in exactly one group: {}", sql);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn programs_answer_as_the_naive_evaluator(query in query(), rows in prop::collection::vec(row(), 1..12)) {
        compare(&query, &rows, &print(&query, JOINED), &world(&rows))?;
    }

    #[test]
    fn tables_below_each_other_answer_as_one(query in query(), rows in prop::collection::vec(row(), 3..12)) {
        let sql = print(&query, STACKED).replace("bank.amount", "t.amount");
        compare(&query, &rows, &sql, &stack(&rows))?;
    }

    #[test]
    fn a_damaged_query_is_refused_or_compiled(
        query in query(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4), 1..4),
    ) {
        let spaced = print(&query, if damage.len() == 1 { STACKED } else { JOINED }).replace('(', " ( ").replace(')', " ) ");
        let mut words: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
        for (at, from, how) in damage {
            let (at, from) = (at.index(words.len()), from.index(words.len()));
            match how {
                0 => drop(words.remove(at)),
                1 => words.insert(at, words[from].clone()),
                2 => words.swap(at, from),
                _ => words[at] = words[from].clone(),
            }
        }
        let row = Row { age: 1, cents: 1, job: 1, vip: true, calls: 1, plan: 1, level: 1 };
        let (catalog, _) = world(&[row.clone(), row]);
        let _ = compile(&words.join(" "), &catalog, &Options::to("ana"));
    }

    /// A program read from outside with its numbers changed is refused, or still keeps its ranges.
    #[test]
    fn a_damaged_program_is_refused_or_sound(
        query in query(),
        rows in prop::collection::vec(row(), 2..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..3),
    ) {
        let (catalog, tables) = world(&rows);
        let Ok(program) = compile(&print(&query, JOINED), &catalog, &Options::to("ana")) else {
            return Err(TestCaseError::reject("too wide"));
        };
        let json = serde_json::to_string(&program).expect("plain data");
        let mut pieces: Vec<String> = Vec::new();
        for c in json.chars() {
            match pieces.last_mut() {
                Some(last) if last.ends_with(|l: char| l.is_ascii_digit()) == c.is_ascii_digit() => last.push(c),
                _ => pieces.push(c.to_string()),
            }
        }
        let numbers: Vec<usize> =
            (0..pieces.len()).filter(|at| pieces[*at].bytes().all(|b| b.is_ascii_digit())).collect();
        for (at, from) in damage {
            let (at, from) = (numbers[at.index(numbers.len())], numbers[from.index(numbers.len())]);
            pieces[at] = pieces[from].clone();
        }
        if let Ok(program) = serde_json::from_str::<Program>(&pieces.concat()) {
            let _ = explain(&program).to_string();
            if let Ok(inputs) = Inputs::gather(&program, &tables, &BTreeMap::new())
                && let Ok(values) = trace(&program, &inputs)
            {
                for (step, values) in program.steps().iter().zip(values) {
                    prop_assert!(values.iter().all(|value| step.kind.admits(*value)));
                }
                prop_assert!(answer(&program, &inputs).is_ok());
            }
        }
    }

    #[test]
    fn no_text_makes_the_compiler_panic(words in prop::collection::vec(select(vec![
        "SELECT", "FROM", "bank", "JOIN", "telecom", "USING", "(subject)", "WHERE", "age", "AND", "NOT",
        "(", ")", "*", ",", "+", "-", "/", "SUM(", "COUNT(*)", "MIN(", "LINREG(", "CASE", "WHEN", "THEN",
        "ELSE", "END", "'clerk'", "job", "=", "<", ":x", "0", "9999999999999999999999999999999999999999",
        "1e9", "GROUP BY", "FILTER", "AS", ";", "\u{e9}", "BETWEEN", "IN", "NULL", "vip",
    ]), 0..25)) {
        let (catalog, _) = world(&[]);
        let _ = compile(&words.join(" "), &catalog, &Options::to("ana"));
    }
}
