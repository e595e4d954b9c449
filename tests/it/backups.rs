//! Backups of a running registry, and what is restored from them, on any database and stores.

use crate::harness::{
    Backend, Env, all_backends, backends,
    files::{self, noise, push, push_prompt, upload},
    home::Home,
    server::Setup,
};
use gradus::{
    client::{Backup, Taking},
    error::Error,
    model::{
        backup::{Line, blob_path},
        digest::Digest,
    },
    ops::restore::Choices,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const W: &str = "acme/x";

async fn take(env: &Env, folder: &Path, verify: bool) -> Result<Backup, Error> {
    take_as(env, folder, Taking { verify, prune: false }).await
}

async fn take_as(env: &Env, folder: &Path, taking: Taking) -> Result<Backup, Error> {
    let client = env.client().await;
    client.take_backup(folder, taking, std::future::pending(), |_| Arc::new(|_| {})).await
}

/// Prompts, a blob of some size, evidence, an alias, a yank, people and a policy.
async fn fill(env: &Env) {
    env.namespace("acme").await;
    push_prompt(env, W, "one", json!({})).await;
    push_prompt(env, W, "two", json!({})).await;
    let weights = upload(env, W, "model.safetensors", &files::safetensors(1)).await;
    let notes = upload(env, W, "notes.bin", &noise(7, 3_000_000)).await;
    push(env, W, vec![weights, notes], json!({})).await;
    env.call("PUT", &format!("/v1/workloads/{W}/aliases/champion"))
        .json(json!({ "to": "1.0.0" }))
        .expect(200)
        .await;
    env.call("POST", &format!("/v1/workloads/{W}/versions/1.0.1/yank"))
        .json(json!({ "reason": "bad" }))
        .expect(204)
        .await;
    let card = b"---\nlicense: apache-2.0\n---\n# Model\nIt sorts.\n".to_vec();
    env.call("POST", &format!("/v1/workloads/{W}/versions/1.0.2/evidence?kind=model_card"))
        .body(card)
        .send()
        .await;
    env.person("ada", "acme", gradus::model::access::Role::Approver).await;
}

/// What two registries must have in common.
async fn state(env: &Env) -> Vec<Value> {
    let mut state = Vec::new();
    for path in [
        "/v1/workloads".to_owned(),
        format!("/v1/workloads/{W}/versions"),
        format!("/v1/workloads/{W}/aliases"),
        format!("/v1/workloads/{W}/status"),
        format!("/v1/workloads/{W}/versions/1.0.2"),
        format!("/v1/workloads/{W}/versions/1.0.2/evidence"),
        "/v1/members/acme".to_owned(),
        "/v1/events?limit=1000".to_owned(),
    ] {
        state.push(env.get(&path).expect(200).await.value());
    }
    state
}

/// Every file of the newest version is what its digest says.
async fn assert_whole(env: &Env) {
    let shown = env.get(&format!("/v1/workloads/{W}/versions/latest")).expect(200).await.value();
    for file in shown["files"].as_array().unwrap() {
        let digest: Digest = file["digest"].as_str().unwrap().parse().unwrap();
        let got = env.get(&format!("/v2/{W}/blobs/{digest}")).expect(200).await;
        assert_eq!(Digest::sha256(&got.bytes), digest);
    }
    let log = env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
    assert_eq!(log["first_bad"], Value::Null, "{log}");
}

fn facts_of(folder: &Path) -> PathBuf {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).max().unwrap()
}

fn lines_of(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

all_backends! {
    async fn a_copy_is_what_the_original_was(env: Env) {
        fill(&env).await;
        let folder = tempfile::tempdir().unwrap();
        let first = take(&env, folder.path(), false).await.unwrap();
        assert!(first.fetched == first.blobs && first.blobs >= 5 && first.fetched_bytes >= 3_000_000, "{first:?}");
        let checkpoint = env.get("/v1/log/checkpoint").expect(200).await.text();
        let copy = env.restored(env.backend, folder.path(), &Choices::default()).await.unwrap();
        assert_eq!(state(&copy).await, state(&env).await);
        assert_whole(&copy).await;
        let log = copy.call("POST", "/v1/log/verify").json(json!({ "checkpoint": checkpoint })).expect(200).await.value();
        assert_eq!(log["first_bad"], Value::Null, "{log}");
        // The copy goes on by itself.
        push_prompt(&copy, W, "three", json!({})).await;
        assert_whole(&copy).await;

        // Only what is new is fetched; every line is as the schema says.
        env.clock.advance(Duration::from_secs(1));
        push_prompt(&env, W, "four", json!({})).await;
        let second = take(&env, folder.path(), true).await.unwrap();
        assert!((1..=3).contains(&second.fetched) && second.fetched_bytes < 10_000, "{second:?}");
        assert_ne!(first.facts_file, second.facts_file);
        for line in lines_of(&second.facts_file) {
            crate::schemas::assert_published("backup-line.schema.json", &serde_json::from_str(&line).unwrap());
        }
    }
}

backends! {
    async fn what_is_pushed_meanwhile_is_in_it_or_not(env: Env) {
        fill(&env).await;
        let folder = tempfile::tempdir().unwrap();
        let pushing = async {
            for number in 0..12 {
                push_prompt(&env, W, &format!("beside {number}"), json!({})).await;
            }
        };
        let (taken, ()) = tokio::join!(take(&env, folder.path(), false), pushing);
        let taken = taken.unwrap();
        let copy = env.restored(env.backend, folder.path(), &Choices::default()).await.unwrap();
        assert_whole(&copy).await;
        let events = lines_of(&taken.facts_file).iter().filter(|line| line.starts_with("{\"fact\":{\"table\":\"events\"")).count();
        let log = copy.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
        assert_eq!(log["size"].as_u64(), Some(events as u64));
    }

    async fn nothing_is_deleted_while_a_backup_is_held(env: Env) {
        fill(&env).await;
        upload(&env, W, "unused", &noise(3, 1000)).await;
        let held = env.call("POST", "/v1/backups").expect(200).await.value();
        let path = format!("/v1/backups/{}", held["id"].as_str().unwrap());
        let gc = |delete| json!({ "grace_hours": 0, "delete": delete });
        env.clock.advance(Duration::from_secs(60));
        assert_eq!(env.call("POST", "/v1/gc").json(gc(true)).send().await.code(), "backup_running");
        assert_eq!(env.call("POST", "/v1/gc").json(gc(false)).expect(200).await.value()["links"], 1);
        // It is held for as long as somebody says so, and a quarter of an hour beyond.
        env.clock.advance(Duration::from_secs(14 * 60 - 1));
        env.call("POST", &format!("{path}/renew")).expect(200).await;
        env.clock.advance(Duration::from_secs(15 * 60 - 1));
        assert_eq!(env.call("POST", "/v1/gc").json(gc(true)).send().await.code(), "backup_running");
        env.clock.advance(Duration::from_secs(1));
        assert_eq!(env.call("POST", &format!("{path}/renew")).send().await.code(), "backup_lapsed");
        assert_eq!(env.get(&format!("{path}/facts")).send().await.code(), "backup_lapsed");
        assert_eq!(env.call("POST", "/v1/gc").json(gc(true)).expect(200).await.value()["links"], 1);

        let held = env.call("POST", "/v1/backups").expect(200).await.value();
        env.call("DELETE", &format!("/v1/backups/{}", held["id"].as_str().unwrap())).expect(204).await;
        env.call("POST", "/v1/gc").json(gc(true)).expect(200).await;
    }

    async fn what_is_cut_changed_or_made_up_is_refused(env: Env) {
        fill(&env).await;
        let folder = tempfile::tempdir().unwrap();
        take(&env, folder.path(), false).await.unwrap();
        let facts = facts_of(folder.path());
        let good = lines_of(&facts);
        let attempt = async |lines: &[String], end: &str| {
            fs::write(&facts, format!("{}{end}", lines.join("\n"))).unwrap();
            env.restored(env.backend, folder.path(), &Choices::default()).await.err().map(|error| error.code)
        };
        let last = good.len() - 1;
        let invalid = Some("backup_invalid");
        assert_eq!(attempt(&good[..last], "\n").await, invalid, "no end");
        assert_eq!(attempt(&good[..last / 2], "").await, invalid, "cut in the middle");
        assert_eq!(attempt(&good, "\nmore\n").await, invalid, "more behind the end");
        assert_eq!(attempt(&[], "").await, invalid, "empty");
        let mut less = good.clone();
        less.remove(last / 2);
        assert_eq!(attempt(&less, "\n").await, invalid, "a fact less");
        // Somebody makes themselves an admin, and reckons the digest anew; the signature they cannot make.
        let mut forged = good.clone();
        let member = forged.iter_mut().find(|line| line.contains("\"table\":\"members\"") && line.contains("approver")).unwrap();
        *member = member.replace("approver", "admin").replace("\"acme\"", "\"*\"");
        assert_eq!(attempt(&forged, "\n").await, invalid, "a changed fact");
        let before: String = forged[..last].iter().map(|line| format!("{line}\n")).collect();
        let Line::End(mut end) = serde_json::from_str(&good[last]).unwrap() else { panic!("no end") };
        end.digest = Digest::sha256(before.as_bytes());
        forged[last] = serde_json::to_string(&Line::End(end)).unwrap();
        assert_eq!(attempt(&forged, "\n").await, invalid, "a forged fact");
        let mut newer = good.clone();
        newer[0] = newer[0].replace(&format!("\"schema\":{}", gradus::db::SCHEMA), "\"schema\":9999");
        assert_eq!(attempt(&newer, "\n").await, Some("backup_newer"));
        let mut other = good.clone();
        other[0] = other[0].replace("\"key_id\":\"", "\"key_id\":\"0");
        assert_eq!(attempt(&other, "\n").await, Some("secret_mismatch"));
        // As it was, it is fine.
        assert_eq!(attempt(&good, "\n").await, None);
    }

    async fn a_blob_that_is_missing_or_rotten_is_named(env: Env) {
        fill(&env).await;
        let folder = tempfile::tempdir().unwrap();
        take(&env, folder.path(), false).await.unwrap();
        let digest = Digest::sha256(&noise(7, 3_000_000));
        let path = folder.path().join(blob_path(&digest));
        let bytes = fs::read(&path).unwrap();
        let mut rotten = bytes.clone();
        rotten[2_000_000] ^= 1;
        for bad in [None, Some(&bytes[..2_999_999]), Some(&rotten[..])] {
            match bad {
                None => fs::remove_file(&path).unwrap(),
                Some(bad) => fs::write(&path, bad).unwrap(),
            }
            let refused = env.restored(env.backend, folder.path(), &Choices::default()).await.err().unwrap();
            assert_eq!((refused.code, refused.message.contains(digest.as_str())), ("backup_incomplete", true), "{refused:?}");
        }
        // Whoever goes on without it gets everything else, and pushing it again heals it.
        let choices = Choices { accept_missing: true, ..Choices::default() };
        let copy = env.restored(env.backend, folder.path(), &choices).await.unwrap();
        assert_eq!(state(&copy).await, state(&env).await);
        let got = copy.get(&format!("/v2/{W}/blobs/{digest}")).send().await;
        assert!(got.status.as_u16() != 200, "{}", got.text());
        upload(&copy, W, "notes.bin", &bytes).await;
        assert_whole(&copy).await;
        // A backup heals its folder, when it looks.
        assert_eq!(take(&env, folder.path(), false).await.unwrap().fetched, 0);
        assert_eq!(take(&env, folder.path(), true).await.unwrap().fetched, 1);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    async fn rot_in_the_store_is_told_and_what_is_set_aside_is_no_reason_to_have_no_backup(env: Env) {
        fill(&env).await;
        let digest = Digest::sha256(&noise(7, 3_000_000));
        let store = env.cx.stores.default_store().clone();
        let mut tx = env.cx.db.read().await.unwrap();
        let row = gradus::db::blobs::find(&mut tx, &store.name, &digest).await.unwrap().unwrap();
        drop(tx);
        let key = row.key.parse().unwrap();
        store.delete(key).await.unwrap();
        let mut writer = store.writer(key, gradus::blobs::Resume::new(digest.algorithm())).await.unwrap();
        writer.write(noise(8, 3_000_000).into()).await.unwrap();
        writer.finish().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let failed = take(&env, folder.path(), false).await.unwrap_err();
        assert_eq!(failed.code, "digest_mismatch", "{failed:?}");
        let scrubbed = env.call("POST", "/v1/scrub").json(json!({ "reindex": false })).expect(200).await.value();
        assert_eq!(scrubbed["rotten"].as_array().unwrap().len(), 1);
        let taken = take(&env, folder.path(), false).await.unwrap();
        assert_eq!(taken.left_out, std::slice::from_ref(&digest));
        let copy = env.restored(env.backend, folder.path(), &Choices::default()).await.unwrap();
        upload(&copy, W, "notes.bin", &noise(7, 3_000_000)).await;
        assert_whole(&copy).await;
        // What a folder has from before is good for the copy.
        let whole = folder.path().join(blob_path(&digest));
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        fs::write(&whole, noise(7, 3_000_000)).unwrap();
        env.clock.advance(Duration::from_secs(1));
        assert!(take(&env, folder.path(), false).await.unwrap().left_out.is_empty());
        let copy = env.restored(env.backend, folder.path(), &Choices::default()).await.unwrap();
        assert_whole(&copy).await;
        fs::write(&whole, noise(9, 3_000_000)).unwrap();
        env.restored(env.backend, folder.path(), &Choices::default()).await.unwrap();
    }

    async fn a_folder_forgets_what_no_facts_name(env: Env) {
        fill(&env).await;
        let folder = tempfile::tempdir().unwrap();
        let first = take(&env, folder.path(), false).await.unwrap();
        let stray = folder.path().join(blob_path(&Digest::sha256(b"stray")));
        fs::create_dir_all(stray.parent().unwrap()).unwrap();
        fs::write(&stray, b"stray").unwrap();
        // What leads elsewhere is left alone, and so is what is no blob.
        let outside = tempfile::tempdir().unwrap();
        let kept = outside.path().join("0".repeat(64));
        fs::write(&kept, b"mine").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("blobs/sha256/zz")).unwrap();
        fs::write(folder.path().join("blobs/sha256/notes"), b"mine").unwrap();
        env.clock.advance(Duration::from_secs(1));
        push_prompt(&env, W, "more", json!({})).await;
        let pruning = Taking { verify: false, prune: true };
        let second = take_as(&env, folder.path(), pruning).await.unwrap();
        assert_eq!((second.pruned, second.pruned_bytes), (1, 5));
        assert!(kept.exists() && folder.path().join("blobs/sha256/notes").exists() && !stray.exists());
        for facts in [&first.facts_file, &second.facts_file] {
            assert!(facts.exists());
        }
        env.restored(env.backend, folder.path(), &Choices::default()).await.unwrap();
    }

    async fn a_store_or_a_registry_that_is_somebodys_is_not_written_to(env: Env) {
        fill(&env).await;
        let folder = tempfile::tempdir().unwrap();
        take(&env, folder.path(), false).await.unwrap();
        let secret = gradus::ops::start::Secret::load(&env.cx.config, env.home(), false).unwrap();
        let source = || gradus::ops::restore::Source::read(folder.path(), None, &secret.id(), &secret.signer().unwrap()).unwrap();
        let onto = |db: Arc<gradus::db::Db>, choices: Choices| {
            let (stores, id, source) = (&env.cx.stores, secret.id(), source());
            async move { gradus::ops::restore::restore(&db, stores, &id, source, &choices, |_| {}).await.err().map(|error| error.code) }
        };
        let used = Arc::new(env.database().await);
        assert_eq!(onto(used, Choices::default()).await, Some("registry_not_empty"));
        let scratch = tempfile::tempdir().unwrap();
        let fresh = Arc::new(gradus::db::Db::sqlite(&scratch.path().join("gradus.db")).await.unwrap());
        assert_eq!(onto(fresh.clone(), Choices::default()).await, Some("store_in_use"));
        let name = env.cx.stores.default_store().name.clone();
        let elsewhere = |from: &str, to: &str| Choices { stores: [(from.to_owned(), to.to_owned())].into(), ..Choices::default() };
        assert_eq!(onto(fresh.clone(), elsewhere(&name, "nowhere")).await, Some("store_unknown"));
        assert_eq!(onto(fresh.clone(), elsewhere("nowhere", &name)).await, Some("store_unknown"));
        // The original's database is lost and its bucket is there.
        assert_eq!(onto(fresh, Choices { reuse_stores: true, ..Choices::default() }).await, None);
    }
}

/// Two at once into one place: one becomes the registry, the other leaves it alone.
#[test]
fn a_restore_never_takes_away_what_another_process_made() {
    let home = Home::new();
    home.push("model").expect(0);
    home.run(&["backup", "--out", "copies"]).expect(0);
    let secret = fs::read_to_string(home.path("data/secret")).unwrap();
    let command = |place: &str, arguments: &[&str]| {
        let mut all = vec!["--data-dir", place];
        all.extend(arguments);
        home.cli(&all).environment("GRADUS_SECRET", secret.trim()).run()
    };
    for round in 0..4 {
        let place = format!("place-{round}");
        let (one, two) = std::thread::scope(|scope| {
            let other = scope.spawn(|| command(&place, &["restore", "copies"]));
            (command(&place, &["restore", "copies"]), other.join().unwrap())
        });
        let mut codes = [one.code, two.code];
        codes.sort_unstable();
        assert_eq!(codes, [0, 5], "{one:#?} {two:#?}");
        command(&place, &["verify", "acme/x:1.0.0"]).expect(0);
    }
}

/// The drill: from a laptop to PostgreSQL and a bucket, and back, by the commands that README names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sqlite_and_files_to_postgresql_and_a_bucket_and_back() {
    if !Backend::PostgresS3.is_there() {
        return;
    }
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.push("prompts/triage-2.prompt.yaml").expect(0);
    home.push("model").expect(0);
    home.run(&["alias", "set", "champion", "acme/x:1.0.0"]).expect(0);
    home.run(&["promote", "acme/x:1.0.0", "--to", "staging", "--override", "-m", "for the drill"]);
    home.run(&["yank", "acme/x:1.0.1", "-m", "worse"]).expect(0);
    let said = home.run(&["backup", "--out", "copies"]).expect(0);
    assert!(said.stdout.contains("backed up") && said.stderr.contains("secret"), "{said:?}");
    let checkpoint = home.run(&["audit", "checkpoint"]).expect(0).stdout;
    fs::write(home.path("checkpoint"), &checkpoint).unwrap();

    let there = Setup::new(Backend::PostgresS3, home.0.path()).await;
    let secret = fs::read_to_string(home.path("data/secret")).unwrap();
    let on = |data: &str, config: Option<&Path>, arguments: &[&str]| {
        let mut all = vec!["--data-dir", data];
        all.extend(config.iter().flat_map(|config| ["--config", config.to_str().unwrap()]));
        all.extend(arguments);
        home.cli(&all).environment("GRADUS_SECRET", secret.trim()).run()
    };
    let config = Some(there.config.as_path());
    // What a user gets wrong first, each with what to do.
    let refused = home.run(&["--data-dir", "there", "restore", "copies"]).expect(1);
    assert!(refused.stderr.contains("secret_missing"), "{refused:?}");
    let refused = on("there", config, &["restore", "copies"]).expect(1);
    assert!(
        refused.stderr.contains("store_unknown") && refused.stderr.contains("--store local=NAME"),
        "{refused:?}"
    );
    let refused = on("there", config, &["restore", "nowhere"]).expect(7);
    assert!(refused.stderr.contains("backup_unknown"), "{refused:?}");
    on("there", config, &["restore", "copies", "--store", "local=s3"]).expect(0);
    on("there", config, &["restore", "copies", "--store", "local=s3"]).expect(5);

    let look: [&[&str]; 6] = [
        &["list", "--json"],
        &["list", "acme/x", "--json"],
        &["log", "--json"],
        &["status", "acme/x", "--json"],
        &["audit", "verify", "--checkpoint", "checkpoint", "--json"],
        &["verify", "acme/x:1.0.2"],
    ];
    for arguments in look {
        let (here, there) = (home.run(arguments).expect(0), on("there", config, arguments).expect(0));
        assert_eq!(here.stdout, there.stdout, "{arguments:?}");
    }

    // And back: the copy is backed up into the same folder, which has all its bytes.
    let said = on("there", config, &["backup", "--out", "copies", "--verify"]).expect(0);
    assert!(said.stdout.contains("of which 0 (0 B) were new"), "{said:?}");
    on("back", None, &["restore", "copies", "--store", "s3=local"]).expect(0);
    for arguments in look {
        let (there, back) = (on("there", config, arguments).expect(0), on("back", None, arguments).expect(0));
        assert_eq!(there.stdout, back.stdout, "{arguments:?}");
    }
}
