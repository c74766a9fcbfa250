//! A table of a real PostgreSQL server, started for the test in a directory of its own.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use encrytrust_participant_node::{
    PublishSpec, ServeOptions,
    source::{Row, Source, SourceError, SourceSpec},
};
use encrytrust_protocol::{
    ColumnKind::{Boolean, Decimal, Integer, Text},
    Value,
};
use futures::TryStreamExt;
use tokio_postgres::{Client, NoTls};

use crate::market::{Market, counts, id, people, publish, start};

/// `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// A server with nothing in it, gone with this value.
struct Database {
    process: Child,
    port: u16,
    home: tempfile::TempDir,
}

impl Database {
    /// `None`, with the reason printed, where PostgreSQL is not installed.
    async fn start() -> Option<Self> {
        let Some(bin) = find() else {
            eprintln!("skipped: neither initdb nor postgres found; install postgresql to run this");
            return None;
        };
        let home = tempfile::Builder::new().prefix("ets-pg").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let data = home.path().join("data");
        let made = as_user(&bin.join("initdb"))
            .args(["-A", "trust", "-U", "tester", "-E", "UTF8", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        write_certificate(&data);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = as_user(&bin.join("postgres"))
            .args(["-h", "localhost", "-F", "-c", "ssl=on", "-p", &port.to_string(), "-k"])
            .arg(home.path())
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let database = Self { process, port, home };
        database.client().await;
        Some(database)
    }

    fn url(&self, parameters: &str) -> String {
        format!("postgres://tester@localhost:{}/postgres?{parameters}", self.port)
    }

    /// A connection of the test's own.
    async fn client(&self) -> Client {
        let (url, began) = (self.url("sslmode=disable"), Instant::now());
        loop {
            match tokio_postgres::connect(&url, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(e) => assert!(began.elapsed() < Duration::from_secs(30), "{e}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn table(&self, table: &str, parameters: &str) -> SourceSpec {
        SourceSpec::parse(&self.url(parameters), Some(table)).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The one process this value started.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn find() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&path).chain(debian).collect::<Vec<_>>();
    all.into_iter().find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    command.args(user).arg("--clear-groups").arg(program);
    command
}

/// A self-signed certificate for `localhost`, where PostgreSQL looks for it.
fn write_certificate(data: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())];
    for (name, pem) in files {
        let path = data.join(name);
        std::fs::write(&path, pem).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        if is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

async fn open(spec: &SourceSpec, columns: &str) -> Result<Box<dyn Source>, SourceError> {
    let names: Vec<String> = columns.split(',').map(str::to_owned).collect();
    spec.open(&["Id No".to_owned()], &names, None).await
}

#[tokio::test]
async fn rows_come_from_a_table_with_their_types() {
    let Some(database) = Database::start().await else { return };
    let client = database.client().await;
    let sql = r#"
        CREATE SCHEMA "Kredit";
        CREATE TABLE "Kredit"."People ""2""" (
            "Id No" integer PRIMARY KEY, name text, amount numeric(12, 2), big bigint,
            owns boolean, rate double precision, born date, tag char(4));
        INSERT INTO "Kredit"."People ""2""" VALUES
            (7, 'A''; DROP TABLE x', 1.50, 9223372036854775807, true, 0.1, '1990-03-07', 'x'),
            (8, NULL, NULL, NULL, false, NULL, NULL, NULL);
    "#;
    client.batch_execute(sql).await.unwrap();
    let table = database.table("Kredit.People \"2\"", "sslmode=disable");
    let source = open(&table, "name,amount,big,owns,rate,born,tag").await.unwrap();
    let kinds: Vec<_> = source.columns().iter().map(|column| column.kind).collect();
    assert_eq!(kinds, [Text, Decimal, Integer, Boolean, Text, Text, Text]);

    let rows: Vec<Row> = source.scan().await.unwrap().try_collect().await.unwrap();
    let text = |s: &str| Value::Text(s.to_owned());
    let first = rows[0].values.clone().unwrap();
    assert_eq!(first[..3], [text("A'; DROP TABLE x"), text("1.50"), Value::Integer(i64::MAX)]);
    assert_eq!(first[3..6], [Value::Boolean(true), text("0.1"), text("1990-03-07")]);
    assert_eq!(rows[1].values.as_ref().unwrap()[0], Value::Null);
    assert_eq!((rows[0].key[0].as_str(), rows.len()), ("7", 2));
    assert_eq!(source.fetch(&rows[0].key).await.unwrap()[0].values.clone().unwrap(), first);

    let delete = r#"DELETE FROM "Kredit"."People ""2""" WHERE "Id No" = 7"#;
    client.batch_execute(delete).await.unwrap();
    assert!(source.fetch(&rows[0].key).await.unwrap().is_empty());

    match open(&table, "name,weight").await {
        Err(SourceError::NoColumn { column, existing, .. }) => {
            assert_eq!((column.as_str(), existing.len()), ("weight", 8));
        }
        other => panic!("{other:?}"),
    }
    let nothing = database.table("nothing", "");
    assert!(matches!(open(&nothing, "a").await, Err(SourceError::Database { .. })));

    // A connection that broke is replaced.
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE pid <> pg_backend_pid() AND datname = 'postgres'";
    client.batch_execute(kill).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(source.fetch(&rows[1].key).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_connection_is_as_safe_as_its_url_says() {
    let Some(database) = Database::start().await else { return };
    let client = database.client().await;
    client.batch_execute(r#"CREATE TABLE t ("Id No" text, a text)"#).await.unwrap();
    let certificate = database.home.path().join("root.crt");
    std::fs::copy(database.home.path().join("data/server.crt"), &certificate).unwrap();
    let root = format!("sslmode=verify-full&sslrootcert={}", certificate.display());
    for parameters in ["", "sslmode=prefer", "sslmode=require", &root] {
        let _open = open(&database.table("t", parameters), "a").await.unwrap();
        let encrypted =
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl";
        let row = client.query_one(encrypted, &[]).await.unwrap();
        assert!(row.get::<_, i64>(0) > 0, "{parameters}");
    }
    let unknown = open(&database.table("t", "sslmode=verify-full"), "a").await.unwrap_err();
    assert!(unknown.to_string().contains("certificate"), "{unknown}");

    let away = SourceSpec::parse("postgres://user:s3cret@127.0.0.1:1/db", Some("t")).unwrap();
    let error = open(&away, "a").await.unwrap_err().to_string();
    assert!(error.contains("db") && !error.contains("s3cret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_published_and_its_rows_are_sold() {
    let Some(database) = Database::start().await else { return };
    let client = database.client().await;
    let sql = "CREATE TABLE people (national_id text PRIMARY KEY, name text, amount integer);
               INSERT INTO people SELECT 'ZZ-' || i, 'Anna ' || i, i FROM generate_series(1, 300) i";
    client.batch_execute(sql).await.unwrap();
    let market = Market::open().await;
    let (bank, buyer) = (market.participant("bank").await, market.participant("buyer").await);
    let spec = PublishSpec {
        source: database.table("people", ""),
        ..people(&market.path("unused.csv"), &[])
    };
    assert_eq!(counts(&publish(&bank, &spec).await), (300, 0, 0, 0));
    client.batch_execute("UPDATE people SET amount = 0 WHERE amount <= 10").await.unwrap();
    client.batch_execute("DELETE FROM people WHERE amount > 295").await.unwrap();
    assert_eq!(counts(&publish(&bank, &spec).await), (0, 10, 5, 285));

    let serving = start(&bank, ServeOptions { listen: None, endpoint: None }).await;
    let offer = buyer.find(&id("ZZ-7"), false, &|_| {}).await.unwrap().offers.remove(0);
    let out = market.path("record.json");
    buyer.get(offer.id, &out).await.unwrap();
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(
        (&record["record"]["amount"], &record["record"]["name"]),
        (&0.into(), &"Anna 7".into())
    );
    serving.stop().await;
}
