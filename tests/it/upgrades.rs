//! Registries of earlier versions: each opens as it is, goes on, and is refused to those who do not know its schema.
//! `tests/fixtures/make.py` says how a fixture is made.

use crate::harness::{
    Backend, backends, files, fresh_database,
    home::Home,
    server::{Cli, Setup},
};
use gradus::db::{Db, SCHEMA};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn fixtures() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schemas");
    let mut all: Vec<(String, PathBuf)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    all.sort_by_key(|(schema, _)| schema.parse::<i64>().unwrap());
    assert!(all.len() >= 10, "{all:?}");
    all
}

/// The one of a schema.
pub fn fixture(schema: &str) -> PathBuf {
    fixtures().into_iter().find(|(number, _)| number == schema).unwrap().1
}

fn unpack(archive: &Path, into: &Path) -> Value {
    fs::create_dir_all(into).unwrap();
    let done = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(into).status().unwrap();
    assert!(done.success());
    serde_json::from_slice(&fs::read(into.join("expected.json")).unwrap()).unwrap()
}

/// A fixture as it was, in a database of its own; answers what it said of itself, and where the database is.
pub async fn place(folder: &Path, is_postgres: bool, into: &Path) -> (Value, String) {
    let name = if is_postgres { "postgresql.tar.gz" } else { "sqlite.tar.gz" };
    let expected = unpack(&folder.join(name), into);
    if !is_postgres {
        return (expected, format!("sqlite://{}", into.join("data/gradus.db").display()));
    }
    let url = fresh_database().await;
    load(&url, &fs::read_to_string(into.join("database.sql")).unwrap()).await;
    fs::write(into.join("config.toml"), format!("[database]\nurl = \"{url}\"\n")).unwrap();
    (expected, url)
}

/// Runs SQL on the database of a fixture.
pub async fn load(url: &str, sql: &str) {
    use sqlx::{Connection as _, Executor as _};
    let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
    if url.starts_with("sqlite:") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        connection.execute(sql).await.unwrap();
        return connection.close().await.unwrap();
    }
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

pub fn run(home: &Home, place: &Path, arguments: &[&str]) -> crate::harness::server::Done {
    let data = place.join("data");
    let config = place.join("config.toml");
    let mut all = vec!["--data-dir", data.to_str().unwrap()];
    if config.exists() {
        all.extend(["--config", config.to_str().unwrap()]);
    }
    all.extend(arguments);
    Cli::new(home.0.path(), &all).run()
}

/// Versions that are there, and those whose content was taken away.
fn by_purged(listed: &Value) -> (Vec<&Value>, Vec<&Value>) {
    listed.as_array().unwrap().iter().partition(|version| version["purged"].is_null())
}

/// What was there is there, the log is what it was, and everything goes on.
async fn opens(is_postgres: bool) {
    for (schema, folder) in fixtures() {
        let home = Home::new();
        let at = home.path("fixture");
        let (expected, _) = place(&folder, is_postgres, &at).await;
        let before = run(&home, &at, &["doctor"]).expect(0);
        assert!(before.stdout.contains("the next start brings it to"), "{schema}: {before:#?}");
        fs::write(home.path("checkpoint"), expected["checkpoint"].as_str().unwrap()).unwrap();
        let checkpoint = home.path("checkpoint");
        run(&home, &at, &["audit", "verify", "--checkpoint", checkpoint.to_str().unwrap()]).expect(0);
        assert_eq!(
            run(&home, &at, &["audit", "key"]).expect(0).stdout,
            expected["key"].as_str().unwrap(),
            "{schema}"
        );
        for (workload, versions) in expected["versions"].as_object().unwrap() {
            let listed = run(&home, &at, &["list", workload, "--json"]).expect(0).stdout;
            let listed: Value = serde_json::from_str(&listed).unwrap();
            let (listed, purged) = by_purged(&listed);
            for version in purged {
                let number = version["version"].as_str().unwrap();
                run(&home, &at, &["resolve", &format!("{workload}:{number}")]).expect(7);
            }
            assert_eq!(listed.len(), versions.as_object().unwrap().len(), "{schema} {workload}");
            for version in listed {
                let number = version["version"].as_str().unwrap();
                assert_eq!(version["digest"], versions[number], "{schema} {workload}:{number}");
                run(&home, &at, &["verify", &format!("{workload}:{number}")]).expect(0);
                run(&home, &at, &["resolve", &format!("{workload}:{number}")]).expect(0);
            }
            run(&home, &at, &["status", workload]).expect(0);
        }
        run(&home, &at, &["hook", "list"]).expect(0);
        run(&home, &at, &["gc"]).expect(0);
        run(&home, &at, &["scrub"]).expect(0);
        // It goes on: another version, another promotion, another backup.
        let prompt = home.path("new.prompt.yaml");
        fs::write(&prompt, files::prompt("after the upgrade")).unwrap();
        run(&home, &at, &["push", prompt.to_str().unwrap(), "--to", "acme/x"]).expect(0);
        run(&home, &at, &["promote", "acme/x:1.0.0", "--to", "dev", "--override", "-m", "after the upgrade"])
            .expect(0);
        let copies = home.path("copies");
        run(&home, &at, &["backup", "--out", copies.to_str().unwrap()]).expect(0);
        run(&home, &at, &["audit", "verify", "--checkpoint", checkpoint.to_str().unwrap()]).expect(0);
        let after = run(&home, &at, &["doctor", "--deep"]).expect(0);
        assert!(!after.stdout.contains("brings it to"), "{schema}: {after:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_earlier_schema_opens_on_sqlite() {
    opens(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_earlier_schema_opens_on_postgresql() {
    if Backend::PostgresS3.is_there() {
        opens(true).await;
    }
}

/// What an upgrade adds: the next migration, as a later version would bring it.
const NEXT: &str = "CREATE TABLE of_later (id TEXT PRIMARY KEY NOT NULL);
                    ALTER TABLE versions ADD COLUMN of_later TEXT;
                    ALTER TABLE log_head ADD COLUMN of_later BIGINT NOT NULL DEFAULT 0;
                    INSERT INTO _sqlx_migrations SELECT 9999, 'later', installed_on, success, checksum, execution_time
                    FROM _sqlx_migrations WHERE version = 1";

/// Replicas are replaced one after the other: two of the new version start at the same moment on the old database, and do the
/// migration once; later a newer one comes, and those that are there serve and write on until they are replaced too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_upgraded_one_after_the_other() {
    if Backend::PostgresS3.is_there() {
        for (_, folder) in [fixtures().remove(0), fixtures().pop().unwrap()] {
            upgrade_replicas(&folder).await;
        }
    }
}

async fn upgrade_replicas(folder: &Path) {
    let home = Home::new();
    let at = home.path("fixture");
    let (expected, url) = place(folder, true, &at).await;
    let secret = fs::read_to_string(at.join("data/secret")).unwrap();
    let mut setup = Setup::with(Backend::PostgresS3, home.0.path(), |config| {
        config.database.url = Some(url.clone());
        config.stores.clear();
        config.keys.file = Some(home.path("secret"));
    })
    .await;
    fs::write(home.path("secret"), secret).unwrap();
    setup.data = at.join("data");
    let beside = setup.beside();
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| beside.start());
        (setup.start(), other.join().unwrap())
    });
    // Who has access to the database is the admin of the fixture.
    let token = run(&home, &at, &["token", "create", "--label", "rolling"]).expect(0).stdout;
    let token =
        token.split_whitespace().find(|word| word.starts_with("gradus_")).expect("a token").to_owned();
    let ask = |server: &str, arguments: &[&str]| {
        let mut all = vec!["--server", server, "--token", &token];
        all.extend(arguments);
        home.run(&all)
    };
    let push = |server: &str, text: &str| {
        let prompt = home.path("new.prompt.yaml");
        fs::write(&prompt, files::prompt(text)).unwrap();
        ask(server, &["push", prompt.to_str().unwrap(), "--to", "acme/x"]).expect(0)
    };
    push(&one.url, "by one");
    push(&two.url, "by two");
    load(&url, NEXT).await;
    push(&one.url, "after the next migration");
    ask(&two.url, &["promote", "acme/x:latest", "--to", "dev", "--override", "-m", "rolling"]).expect(0);
    for server in [&one.url, &two.url] {
        let listed: Value =
            serde_json::from_str(&ask(server, &["list", "acme/x", "--json"]).expect(0).stdout).unwrap();
        let before = expected["versions"]["acme/x"].as_object().unwrap().len();
        assert_eq!(by_purged(&listed).0.len(), before + 3);
        ask(server, &["audit", "verify"]).expect(0);
        ask(server, &["backup", "--out", "copies"]).expect(0);
    }
    drop((one, two));
    // Once stopped, the old version does not come back.
    let refused = run(&home, &at, &["list"]).expect(1);
    assert!(refused.stderr.contains("schema_unknown") && refused.stderr.contains("9999"), "{refused:#?}");
}

/// Migrations commit one by one: where a first start or an upgrade broke off between two, the next start goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_broke_off_goes_on_from_each_migration() {
    for is_postgres in [false, true] {
        if is_postgres && !Backend::PostgresS3.is_there() {
            continue;
        }
        let home = Home::new();
        let url = match is_postgres {
            true => fresh_database().await,
            false => home.path("new.db").display().to_string(),
        };
        step_by_step(is_postgres, &url).await;
        let at = home.path("fixture");
        let (_, url) = place(&fixture("2"), is_postgres, &at).await;
        step_by_step(is_postgres, url.trim_start_matches("sqlite://")).await;
        run(&home, &at, &["audit", "verify"]).expect(0);
        run(&home, &at, &["user", "add", "later"]).expect(0);
        run(&home, &at, &["audit", "verify"]).expect(0);
    }
}

/// Opens a database as if each time the program died after one more migration.
async fn step_by_step(is_postgres: bool, place: &str) {
    for schema in 1..=SCHEMA {
        let opened = match is_postgres {
            true => Db::postgres_at(place, 1, schema).await,
            false => Db::sqlite_at(Path::new(place), schema).await,
        };
        match opened {
            Ok(db) => db.close().await,
            // It has the second one already.
            Err(error) => assert_eq!((schema, error.code), (1, "schema_unknown"), "{error:?}"),
        }
    }
}

backends! {
    async fn a_newer_schema_is_refused_and_left_as_it_is(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", serde_json::json!({})).await;
        let later = "INSERT INTO _sqlx_migrations SELECT 9999, 'later', installed_on, success, checksum, execution_time
                     FROM _sqlx_migrations WHERE version = 1";
        crate::harness::session::sql(&env, later).await;
        let refused = match &env.cx.config.database.url {
            Some(url) => Db::postgres(url, 2).await,
            None => Db::sqlite(&env.home().join("gradus.db")).await,
        };
        let refused = refused.err().expect("it is refused");
        assert_eq!((refused.code, refused.message.contains("9999")), ("schema_unknown", true), "{refused:?}");
        env.get("/v1/workloads/acme/x/versions").expect(200).await;
    }
}
