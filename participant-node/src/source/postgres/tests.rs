//! Against a real server, started for the test in a directory of its own.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::TryStreamExt;

use super::*;

/// A PostgreSQL server with nothing in it, gone with this value.
struct Server {
    process: Child,
    url: String,
    _home: tempfile::TempDir,
}

impl Server {
    /// `None`, with the reason printed, where PostgreSQL is not installed.
    fn start() -> Option<Self> {
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
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = as_user(&bin.join("postgres"))
            .args(["-h", "127.0.0.1", "-F", "-p", &port.to_string(), "-k"])
            .arg(home.path())
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("postgres://tester@127.0.0.1:{port}/postgres");
        Some(Self { process, url, _home: home })
    }

    async fn client(&self) -> Client {
        let (mode, url) = tls::Mode::from_url(&self.url).unwrap();
        let (config, began) = (url.parse().unwrap(), Instant::now());
        loop {
            match tls::connect(&config, &mode).await {
                Ok(client) => return client,
                Err(e) => assert!(began.elapsed() < Duration::from_secs(30), "{e}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn source(&self, table: &str, columns: &str) -> Result<PostgresSource, SourceError> {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        PostgresSource::connect(&self.url, table, &names("Id No"), &names(columns), None).await
    }
}

impl Drop for Server {
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

/// PostgreSQL refuses to run as root: then it runs as nobody.
fn as_user(program: &Path) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| {
        use std::os::unix::fs::MetadataExt;
        m.uid() == 0
    });
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

#[tokio::test]
async fn rows_come_from_a_table_with_their_types() {
    let Some(server) = Server::start() else { return };
    let client = server.client().await;
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
    let table = "Kredit.People \"2\"";
    let source = server.source(table, "name,amount,big,owns,rate,born,tag").await.unwrap();
    let kinds: Vec<_> = source.columns().iter().map(|column| column.kind).collect();
    use ColumnKind::{Boolean, Decimal, Integer, Text};
    assert_eq!(kinds, [Text, Decimal, Integer, Boolean, Text, Text, Text]);

    let rows: Vec<Row> = source.scan().await.unwrap().try_collect().await.unwrap();
    let text = |s: &str| Value::Text(s.to_owned());
    let first = rows[0].values.clone().unwrap();
    assert_eq!(first[..3], [text("A'; DROP TABLE x"), text("1.50"), Value::Integer(i64::MAX)]);
    assert_eq!(first[3..6], [Value::Boolean(true), text("0.1"), text("1990-03-07")]);
    assert_eq!(rows[1].values.as_ref().unwrap()[0], Value::Null);
    assert_eq!((rows[0].key[0].as_str(), rows.len()), ("7", 2));

    let fetched = source.fetch(&rows[0].key).await.unwrap();
    assert_eq!(fetched[0].values.clone().unwrap(), first);
    client.batch_execute(r#"DELETE FROM "Kredit"."People ""2""" WHERE "Id No" = 7"#).await.unwrap();
    assert!(source.fetch(&rows[0].key).await.unwrap().is_empty());

    match server.source(table, "name,weight").await {
        Err(SourceError::NoColumn { column, existing, .. }) => {
            assert_eq!((column.as_str(), existing.len()), ("weight", 8));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(server.source("nothing", "a").await, Err(SourceError::Database { .. })));
    server.broken_connection_is_replaced(&source, &rows[1].key, &client).await;
}

impl Server {
    async fn broken_connection_is_replaced(
        &self,
        source: &PostgresSource,
        key: &RowKey,
        client: &Client,
    ) {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE pid <> pg_backend_pid() AND datname = 'postgres'";
        client.batch_execute(kill).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(source.fetch(key).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_missing_server_is_named() {
    let names = vec!["id".to_owned()];
    let url = "postgres://user:s3cret@127.0.0.1:1/db?sslmode=disable";
    let error = PostgresSource::connect(url, "t", &names, &names, None).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("db") && !error.contains("s3cret"), "{error}");
}
