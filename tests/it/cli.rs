//! The real binary: how commands end, what goes where, and what bad input gets.

use crate::harness::{
    Backend, files,
    home::Home,
    server::{Cli, Done, Setup},
};
use gradus::model::digest::Digest;
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

#[test]
fn usage_errors_name_the_nearest_and_end_with_2() {
    let home = Home::new();
    let done = home.run(&["psh"]).expect(2);
    assert!(done.stderr.contains("push"), "{}", done.stderr);
    let done = home.run(&["pull", "acme/x", "--ouut", "d"]).expect(2);
    assert!(done.stderr.contains("--out"), "{}", done.stderr);
    let done = home.run(&["resolve", "Acme/x:1"]).expect(2);
    assert!(done.stderr.contains("acme/ticket-triage"), "{}", done.stderr);
    home.run(&["push", "sideways", "x", "--to", "acme/x"]).expect(2);
    home.run(&["yank", "acme/x:^1", "-m", "x"]).expect(2);
    assert!(home.run(&["--help"]).expect(0).stdout.contains("resolve"));
    assert!(home.run(&["--version"]).expect(0).stdout.starts_with("gradus "));
}

#[test]
fn data_goes_to_stdout_and_words_to_stderr() {
    let home = Home::new();
    let done = home.push("prompts/triage-1.prompt.yaml").expect(0);
    assert!(
        done.stdout.starts_with("acme/x:1.0.0 sha256:") && done.stdout.lines().count() == 1,
        "{}",
        done.stdout
    );
    assert!(done.stderr.contains("made the namespace acme"), "{}", done.stderr);
    for verb in [
        &["list"][..],
        &["list", "acme/x"],
        &["show", "acme/x:1"],
        &["resolve", "acme/x:1"],
        &["whoami"],
        &["log"],
        &["gc"],
        &["scrub"],
        &["namespace", "list"],
        &["namespace", "show", "acme"],
        &["user", "list"],
        &["token", "list"],
        &["alias", "list", "acme/x"],
        &["member", "list", "acme"],
        &["verify", "acme/x:1"],
        &["diff", "acme/x:1", "acme/x:1.0.0"],
        &["push", files::example("prompts/triage-2.prompt.yaml").to_str().unwrap(), "--to", "acme/x"],
    ] {
        let arguments: Vec<&str> = verb.iter().copied().chain(["--json"]).collect();
        let done = home.run(&arguments).expect(0);
        serde_json::from_str::<serde_json::Value>(&done.stdout)
            .unwrap_or_else(|error| panic!("{verb:?}: {error}: {}", done.stdout));
    }
    let done = home.run(&["--json", "resolve", "acme/nothing:1"]).expect(7);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&done.stderr).unwrap()["error"]["code"],
        "workload_unknown"
    );
}

#[test]
fn failures_end_with_their_code_and_a_hint() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let last = |done: &Done| done.stderr.lines().last().unwrap_or_default().to_owned();
    let not_found = home.run(&["resolve", "acme/x:9.9.9"]).expect(7);
    assert!(last(&not_found).starts_with("hint: "), "{}", not_found.stderr);
    home.run(&["push", "nowhere", "--to", "acme/x"]).expect(7);
    let example = files::example("prompts/triage-2.prompt.yaml");
    let conflict =
        home.run(&["push", example.to_str().unwrap(), "--to", "acme/x", "--version", "1.0.0"]).expect(5);
    assert!(last(&conflict).starts_with("hint: "), "{}", conflict.stderr);
    home.run(&["push", "weights", example.to_str().unwrap(), "--to", "acme/x"]).expect(1);
    let unreachable = home.run(&["--server", "http://127.0.0.1:9", "whoami"]).expect(9);
    assert!(last(&unreachable).starts_with("hint: "), "{}", unreachable.stderr);
    let plain =
        home.run(&["--server", "http://models.example.org", "--token", "gradus_x", "whoami"]).expect(1);
    assert!(plain.stderr.contains("plain_http") && !plain.stderr.contains("gradus_x"), "{}", plain.stderr);
}

#[test]
fn links_and_collisions_in_a_pushed_directory_are_refused() {
    let home = Home::new();
    let with_link = home.path("link");
    fs::create_dir(&with_link).unwrap();
    fs::write(with_link.join("a"), "a").unwrap();
    symlink("/etc/hostname", with_link.join("b")).unwrap();
    let done = home.run(&["push", with_link.to_str().unwrap(), "--to", "acme/x"]).expect(1);
    assert!(done.stderr.contains("symlink_refused"), "{}", done.stderr);
    let colliding = home.path("case");
    fs::create_dir(&colliding).unwrap();
    fs::write(colliding.join("README"), "a").unwrap();
    fs::write(colliding.join("readme"), "b").unwrap();
    let done = home.run(&["push", colliding.to_str().unwrap(), "--to", "acme/x"]).expect(1);
    assert!(done.stderr.contains("path_collision"), "{}", done.stderr);
    home.run(&["list", "acme/x"]).expect(7);
}

#[test]
fn pulls_resume_verify_and_stay_in_their_directory() {
    let home = Home::new();
    home.push("model").expect(0);
    let out = home.path("out");
    let pull = |more: &[&str]| {
        let arguments: Vec<&str> = ["pull", "acme/x:1", "--out", out.to_str().unwrap()]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        home.run(&arguments)
    };
    // A part of the right bytes is gone on with; with wrong ones the file is fetched anew.
    let model = files::read("model/model.safetensors");
    fs::create_dir(&out).unwrap();
    let own = Digest::sha256(format!("{} model.safetensors", Digest::sha256(&model)).as_bytes());
    let part = out.join(format!(".gradus-{}.part", &own.hex()[..16]));
    fs::write(&part, &model[..100_000]).unwrap();
    pull(&[]).expect(0);
    assert_eq!(fs::read(out.join("model.safetensors")).unwrap(), model);
    assert!(!part.exists());
    home.run(&["verify", "acme/x:1", out.to_str().unwrap()]).expect(0);

    fs::remove_file(out.join("model.safetensors")).unwrap();
    fs::write(&part, vec![7; 100_000]).unwrap();
    pull(&[]).expect(0);
    assert_eq!(fs::read(out.join("model.safetensors")).unwrap(), model);
    assert!(!part.exists());

    fs::write(out.join("config.json"), "mine").unwrap();
    pull(&[]).expect(5);
    home.run(&["verify", "acme/x:1", out.to_str().unwrap()]).expect(6);
    pull(&["--force"]).expect(0);
    home.run(&["verify", "acme/x:1", out.to_str().unwrap()]).expect(0);

    fs::remove_file(out.join("config.json")).unwrap();
    let outside = home.path("outside");
    fs::write(&outside, "precious").unwrap();
    symlink(&outside, out.join("config.json")).unwrap();
    assert!(pull(&["--force"]).expect(1).stderr.contains("symlink_refused"));
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
}

#[test]
fn rot_is_found_named_and_healed() {
    let home = Home::new();
    home.push("model").expect(0);
    let blob = find(&home.path("data/blobs"), |path| {
        fs::read(path).unwrap() == files::read("model/model.safetensors")
    });
    let mut bytes = fs::read(&blob).unwrap();
    bytes[90_000] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let out = home.path("out");
    let done = home.run(&["pull", "acme/x:1", "--out", out.to_str().unwrap()]).expect(6);
    assert!(done.stderr.contains("model.safetensors"), "{}", done.stderr);
    assert!(!out.join("model.safetensors").exists());
    let scrubbed = home.run(&["scrub"]).expect(6);
    assert!(scrubbed.stdout.contains("rotten  local  sha256:"), "{}", scrubbed.stdout);
    home.run(&["pull", "acme/x:1", "--out", out.to_str().unwrap()]).expect(6);
    home.push("model").expect(0);
    home.run(&["pull", "acme/x:1", "--out", out.to_str().unwrap()]).expect(0);
    home.run(&["scrub"]).expect(0);
}

#[test]
fn bytes_that_are_gone_are_set_aside_and_a_push_heals_them() {
    let home = Home::new();
    home.push("model").expect(0);
    let blob = find(&home.path("data/blobs"), |path| {
        fs::read(path).unwrap() == files::read("model/model.safetensors")
    });
    let out = home.path("out");
    let pull = || home.run(&["pull", "acme/x:1", "--out", out.to_str().unwrap()]);
    let mark = home.path("data/blobs/registry");
    let ours = fs::read(&mark).unwrap();
    fs::remove_file(&blob).unwrap();
    pull().expect(6);
    assert!(home.run(&["log"]).expect(0).stdout.contains("set rotten blob"));
    home.push("model").expect(0);
    pull().expect(0);

    fs::write(&mark, "another\n").unwrap();
    let refused = home.run(&["list"]).expect(1);
    assert!(refused.stderr.contains("store_of_another"), "{}", refused.stderr);
    fs::write(&mark, "").unwrap();
    home.run(&["scrub"]).expect(0);
    assert_eq!(fs::read(&mark).unwrap(), ours);
}

#[test]
fn of_two_pulls_into_one_directory_each_file_is_written_by_one() {
    let home = Home::new();
    home.push("model").expect(0);
    let model = files::read("model/model.safetensors");
    let out = home.path("out");
    fs::create_dir(&out).unwrap();
    let own = Digest::sha256(format!("{} model.safetensors", Digest::sha256(&model)).as_bytes());
    let part = fs::File::create(out.join(format!(".gradus-{}.part", &own.hex()[..16]))).unwrap();
    part.lock().unwrap();
    let busy = home.run(&["pull", "acme/x:1", "--out", out.to_str().unwrap()]).expect(5);
    assert!(busy.stderr.contains("pull_busy"), "{}", busy.stderr);
    drop(part);
    home.run(&["pull", "acme/x:1", "--out", out.to_str().unwrap()]).expect(0);
    assert_eq!(fs::read(out.join("model.safetensors")).unwrap(), model);
}

#[test]
fn names_that_look_like_parts_and_the_longest_names_are_pulled() {
    let home = Home::new();
    let folder = home.path("odd");
    fs::create_dir(&folder).unwrap();
    for (name, content) in [("x", "one"), ("x.part", "two"), (&*"n".repeat(255), "three")] {
        fs::write(folder.join(name), content).unwrap();
    }
    home.run(&["push", folder.to_str().unwrap(), "--to", "acme/x"]).expect(0);
    let out = home.path("out");
    home.run(&["pull", "acme/x:1", "--out", out.to_str().unwrap()]).expect(0);
    home.run(&["verify", "acme/x:1", out.to_str().unwrap()]).expect(0);
}

#[test]
fn a_lost_secret_is_not_made_up() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let (secret, aside) = (home.path("data/secret"), home.path("aside"));
    fs::rename(&secret, &aside).unwrap();
    assert!(home.run(&["list"]).expect(1).stderr.contains("secret_missing"));
    assert!(!secret.exists());
    fs::rename(&aside, &secret).unwrap();
    home.run(&["list"]).expect(0);
}

fn find(directory: &Path, wanted: impl Fn(&Path) -> bool + Copy) -> std::path::PathBuf {
    let fans = fs::read_dir(directory).unwrap().map(|fan| fan.unwrap().path()).filter(|path| path.is_dir());
    let entries = fans.flat_map(|fan| fs::read_dir(fan).unwrap());
    entries.map(|entry| entry.unwrap().path()).find(|path| wanted(path)).expect("the blob is there")
}

#[test]
fn everything_in_the_data_directory_is_private() {
    let home = Home::new();
    home.push("model").expect(0);
    let mut folders = vec![home.path("data")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 5);
}

#[test]
fn a_foreign_secret_and_a_bad_configuration_are_refused() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let other = "0123456789abcdef".repeat(4);
    let data = home.path("data");
    let foreign = || Cli::new(home.0.path(), &["list"]).environment("GRADUS_DATA", data.to_str().unwrap());
    let done = foreign().environment("GRADUS_SECRET", &other).run().expect(1);
    assert!(done.stderr.contains("secret_mismatch") && !done.stderr.contains(&other), "{}", done.stderr);
    foreign().run().expect(0);
    let config = home.path("config.toml");
    fs::write(&config, "lissten = 1").unwrap();
    let done = home.run(&["serve", "--config", config.to_str().unwrap()]).expect(1);
    assert!(done.stderr.contains("config_invalid") && done.stderr.contains("lissten"), "{}", done.stderr);
    let done = home.run(&["serve", "--listen", "0.0.0.0:0"]).expect(1);
    assert!(done.stderr.contains("public_url_missing"), "{}", done.stderr);
}

#[tokio::test]
async fn a_server_makes_no_namespace_by_a_push_and_login_is_private() {
    let home = Home::new();
    let setup = Setup::new(Backend::SqliteLocal, home.0.path()).await;
    let server = setup.start();
    let token = server.bootstrap_token().unwrap();
    let remote = |arguments: &[&str], token: &str| {
        Cli::new(home.0.path(), arguments)
            .environment("GRADUS_SERVER", &setup.url)
            .environment("GRADUS_TOKEN", token)
            .run()
    };
    let example = files::example("prompts/triage-1.prompt.yaml");
    let push = ["push", example.to_str().unwrap(), "--to", "acme/x"];
    let done = remote(&push, &token).expect(7);
    assert!(done.stderr.contains("gradus namespace create acme"), "{}", done.stderr);
    remote(&["namespace", "create", "acme"], &token).expect(0);
    remote(&["namespace", "create", "acme"], &token).expect(0);
    remote(&push, &token).expect(0);
    let wrong = remote(&["whoami"], "gradus_wrong").expect(8);
    assert!(!wrong.stderr.contains("gradus_wrong"), "{}", wrong.stderr);

    remote(&["user", "add", "rita"], &token).expect(0);
    remote(&["member", "add", "acme", "rita", "reader"], &token).expect(0);
    let made = remote(&["token", "create", "--user", "rita", "--days", "1"], &token).expect(0);
    let reader = made.stdout.trim();
    assert!(reader.starts_with("gradus_"));
    remote(&["resolve", "acme/x:1"], reader).expect(0);
    remote(&push, reader).expect(8);

    Cli::new(home.0.path(), &["login", &setup.url]).environment("GRADUS_TOKEN", reader).run().expect(0);
    let stored = home.path(".config/gradus/login.toml");
    assert_eq!(fs::metadata(&stored).unwrap().permissions().mode() & 0o777, 0o600);
    let me = Cli::new(home.0.path(), &["whoami"]).run().expect(0);
    assert!(me.stdout.starts_with("rita (person)"), "{}", me.stdout);
}

#[test]
fn the_demo_can_be_run_again_and_its_next_command_works() {
    let home = Home::new();
    for directory in ["gradus-demo", "gradus-demo-2"] {
        let done = Cli::new(home.0.path(), &["demo"]).directory(home.0.path()).run().expect(0);
        for expected in [
            directory,
            "rhea asked for 1.0.0 in production: promoted",
            "rhea asked for 1.0.2 in staging: refused",
            "FAIL  dataset_lineage",
            "rhea asked for 1.0.3 in production: pending",
            "eli approved 1.0.3 for production, which completed it",
            "consumer: acme/ticket-triage:^1 is 1.0.3 (adapter)",
            "the admin described acme/ticket-triage: owner support tools, risk limited",
            "wait  soak",
            "rolled production back from 1.0.3 to 1.0.1",
            "is what it was",
            "three hours later answers of 2018 come in: DRIFT",
            "and by itself",
            "drift.html",
        ] {
            assert!(done.stdout.contains(expected), "{expected}: {}", done.stdout);
        }
        let (_, after) = done.stdout.split_once("refusals doubled").unwrap();
        assert!(after.contains("consumer: acme/ticket-triage:^1 is 1.0.1 (prompt)"), "{}", done.stdout);
        let page = fs::read_to_string(home.path(directory).join("drift.html")).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.contains("DRIFT"));
        let next = done.stdout.lines().last().unwrap().trim();
        let arguments: Vec<&str> = next.split(' ').skip(1).collect();
        let status = Cli::new(home.0.path(), &arguments).directory(home.0.path()).run().expect(0);
        assert!(status.stdout.contains("rolled back from 1.0.3: refusals doubled"), "{}", status.stdout);
        assert!(status.stdout.contains("acme/ticket-triage:1.0.4 waits for production"), "{}", status.stdout);
        let employment = arguments.iter().map(|word| word.replace("acme/ticket-triage", "acme/employment"));
        let employment: Vec<String> = employment.collect();
        let employment: Vec<&str> = employment.iter().map(String::as_str).collect();
        let moved = Cli::new(home.0.path(), &employment).directory(home.0.path()).run().expect(0);
        assert!(moved.stdout.contains("rolled back from 1.0.1"), "{}", moved.stdout);
    }
    let used = Cli::new(home.0.path(), &["demo", "--data-dir", "gradus-demo"]).directory(home.0.path()).run();
    assert!(used.expect(5).stderr.contains("demo_has_run"));
}
