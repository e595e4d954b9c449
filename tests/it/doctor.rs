//! `gradus doctor`: what it finds, and that it changes nothing.

use crate::harness::{
    Backend,
    home::Home,
    server::{Done, Setup, free_port},
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

fn names(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        all.insert(entry.path(), metadata.len());
        if metadata.is_dir() {
            all.extend(names(&entry.path()));
        }
    }
    all
}

/// The line about something, with what to do.
fn line(done: &Done, of: &str) -> String {
    let lines: Vec<&str> = done.stdout.lines().collect();
    let at = lines.iter().position(|line| line.contains(of)).unwrap_or_else(|| panic!("{of}: {done:#?}"));
    lines[at..].iter().take(2).copied().collect::<Vec<_>>().join("\n")
}

#[test]
fn a_data_directory_is_looked_at_and_left_as_it_is() {
    let home = Home::new();
    let before = home.run(&["doctor"]).expect(0);
    assert!(line(&before, "database").contains("none yet") && !home.path("data").exists(), "{before:#?}");
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let there = names(&home.path("data"));
    let well = home.run(&["doctor", "--deep"]).expect(0);
    assert_eq!(names(&home.path("data")), there);
    for of in ["configuration", "data directory", "database", "secret", "store local"] {
        assert!(line(&well, of).starts_with("ok"), "{of}: {well:#?}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&home.run(&["doctor", "--json"]).expect(0).stdout).unwrap();
    assert!(json.as_array().unwrap().iter().all(|finding| finding["health"] == "ok"), "{json:#}");

    fs::set_permissions(home.path("data/secret"), fs::Permissions::from_mode(0o644)).unwrap();
    let seen = home.run(&["doctor"]).expect(0);
    assert!(
        seen.stdout.contains("others on this machine may read it") && seen.stdout.contains("chmod 600"),
        "{seen:#?}"
    );
    let other = home.cli(&["doctor"]).environment("GRADUS_SECRET", &"ab".repeat(32)).run().expect(9);
    assert!(line(&other, "secret").contains("another secret"), "{other:#?}");
    assert!(line(&other, "store local").contains("cannot be told without the secret"), "{other:#?}");
    fs::remove_file(home.path("data/secret")).unwrap();
    let lost = home.run(&["doctor"]).expect(9);
    assert!(line(&lost, "secret").starts_with("BAD") && lost.stderr.contains("unwell"), "{lost:#?}");
}

#[test]
fn what_is_lost_is_not_taken_for_what_is_new() {
    let home = Home::new();
    home.push("model").expect(0);
    fs::rename(home.path("data/blobs"), home.path("elsewhere")).unwrap();
    let lost = home.run(&["doctor"]).expect(9);
    assert!(line(&lost, "store local").contains("nothing is there"), "{lost:#?}");
    fs::create_dir(home.path("data/blobs")).unwrap();
    let other = home.run(&["doctor"]).expect(9);
    assert!(line(&other, "store local").contains("has nothing of this registry"), "{other:#?}");
    fs::remove_dir(home.path("data/blobs")).unwrap();
    fs::rename(home.path("elsewhere"), home.path("data/blobs")).unwrap();
    let config = format!(
        "[[stores]]\nname = 'other'\nurl = 'file://{}'\nregion = 'r'\n",
        home.path("other").display()
    );
    fs::write(home.path("config.toml"), config).unwrap();
    let gone = home.run(&["--config", "config.toml", "doctor"]).expect(9);
    assert!(line(&gone, "store local").contains("not configured"), "{gone:#?}");
    fs::remove_file(home.path("data/gradus.db")).unwrap();
    let empty = home.run(&["doctor"]).expect(9);
    assert!(line(&empty, "store local").contains("the database has none"), "{empty:#?}");
}

#[test]
fn damage_and_a_newer_schema_are_found() {
    let home = Home::new();
    home.push("model").expect(0);
    let file = home.path("data/gradus.db");
    let good = fs::read(&file).unwrap();
    let mut bad = good.clone();
    let length = bad.len();
    bad[length / 2..length / 2 + 4096].fill(0x5a);
    fs::write(&file, &bad).unwrap();
    let found = home.run(&["doctor", "--deep"]).expect(9);
    assert!(found.stdout.contains("damaged"), "{found:#?}");
    fs::write(
        &file,
        b"no database at all, but as long as the head of one must be, and some more words behind it",
    )
    .unwrap();
    let found = home.run(&["doctor"]).expect(9);
    assert!(line(&found, "database").starts_with("BAD"), "{found:#?}");
    fs::write(&file, &good).unwrap();
    home.run(&["doctor", "--deep"]).expect(0);

    // As a later version would leave it: neither opened nor looked over as if it were known.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
        let mut connection =
            sqlx::sqlite::SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
        let later = "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, execution_time
                     FROM _sqlx_migrations WHERE version = 1";
        connection.execute(later).await.unwrap();
        connection.close().await.unwrap();
    });
    let found = home.run(&["doctor"]).expect(9);
    assert!(line(&found, "database").contains("newer than this gradus knows"), "{found:#?}");
    let refused = home.run(&["list"]).expect(1);
    assert!(
        refused.stderr.contains("schema_unknown") && refused.stderr.contains("run that one"),
        "{refused:#?}"
    );
}

#[test]
fn what_does_not_answer_is_named() {
    let home = Home::new();
    let port = free_port();
    let config = format!(
        "listen = '0.0.0.0:8300'\n[database]\nurl = 'postgres://u:verysecret@127.0.0.1:{port}/x'\n[limits]\nstore_seconds = 2\n\
         [[stores]]\nname = 's'\nurl = 's3://bucket'\nregion = 'r'\n\
         options = {{ endpoint = 'http://127.0.0.1:{port}', access_key_id = 'k', secret_access_key = 'verysecret' }}\n"
    );
    fs::write(home.path("config.toml"), config).unwrap();
    let found = home.run(&["--config", "config.toml", "doctor"]).expect(9);
    assert!(found.stdout.contains("needs public_url"), "{found:#?}");
    assert!(
        line(&found, "database ").starts_with("BAD") && line(&found, "store s").starts_with("BAD"),
        "{found:#?}"
    );
    assert!(!format!("{found:?}").contains("verysecret"), "{found:#?}");
    fs::write(home.path("config.toml"), "lissten = 1").unwrap();
    let found = home.run(&["--config", "config.toml", "doctor"]).expect(9);
    let told = line(&found, "configuration");
    assert!(told.starts_with("BAD") && found.stdout.contains("-> mend the file"), "{found:#?}");
    let server = format!("http://127.0.0.1:{port}");
    let found = home.run(&["--server", &server, "doctor"]).expect(9);
    assert!(line(&found, "server").contains("does not answer"), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_looked_at_from_outside_and_where_it_is() {
    if !Backend::PostgresS3.is_there() {
        return;
    }
    let home = Home::new();
    let setup = Setup::new(Backend::PostgresS3, home.0.path()).await;
    let server = setup.start();
    let token = server.bootstrap_token().unwrap();
    let asked = home.run(&["--server", &server.url, "doctor"]).expect(0);
    assert!(line(&asked, "token").starts_with("warn"), "{asked:#?}");
    let asked = home.run(&["--server", &server.url, "--token", &token, "doctor"]).expect(0);
    assert!(
        line(&asked, "server").contains("is ready") && line(&asked, "clock").starts_with("ok"),
        "{asked:#?}"
    );
    let (data, config) = (setup.data.to_str().unwrap(), setup.config.to_str().unwrap());
    let asked = home.run(&["--data-dir", data, "--config", config, "doctor"]).expect(0);
    assert!(
        line(&asked, "database").contains("PostgreSQL")
            && line(&asked, "store s3").contains("this registry's"),
        "{asked:#?}"
    );
}
