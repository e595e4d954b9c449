//! What the command line says, with the real binary: every mistake ends with a next step, and nothing is left unsaid.

use crate::harness::{
    files,
    home::Home,
    server::{Done, binary},
};
use std::{fs, process::Command};

/// A directory with these files.
fn directory(home: &Home, name: &str, content: &[(&str, &[u8])]) -> String {
    for (path, bytes) in content {
        let file = home.path(name).join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    name.to_owned()
}

fn last(done: &Done) -> &str {
    done.stderr.lines().last().unwrap_or_default()
}

#[test]
fn a_usage_error_names_the_nearest_and_ends_with_a_command() {
    let home = Home::new();
    for (typed, nearest, next) in [
        (&["push", "x", "--tto", "acme/x"][..], "'--to'", "gradus push --help"),
        (&["push", "x", "--contarct", "c"], "'--contract'", "gradus push --help"),
        (&["list", "--data-dirr", "d"], "'--data-dir'", "gradus list --help"),
        (&["psuh"], "'push'", "gradus --help"),
        (&["alias", "st"], "'set'", "gradus alias --help"),
        (&["push", "x", "--to", "acme/x", "--bump", "mjor"], "'major'", "gradus push --help"),
        (&["log", "--kind", "bogus"], "alias_removed", "gradus log --help"),
        (&["list", "--limit", "0"], "1 to", "gradus list --help"),
        (&["log", "--limit", "99999"], "1000", "gradus log --help"),
        (&["list", "--data-dir", "d", "--server", "http://127.0.0.1:9"], "--data-dir", "gradus list --help"),
        (&["list", "--config", "c", "--server", "http://127.0.0.1:9"], "--config", "gradus list --help"),
        (&["push", "prompt", "--to", "acme/x"], "PATH is missing", "gradus push prompt PATH --to acme/x"),
        (&["alias"], "verb is missing", "gradus alias set --help"),
        (&[], "verb is missing", "gradus demo"),
    ] {
        let done = home.run(typed).expect(2);
        assert!(done.stderr.contains(nearest), "{typed:?}: {}", done.stderr);
        assert_eq!(last(&done), format!("hint: {next}"), "{typed:?}");
    }
    let done = home.run(&["list", "--json", "--nope"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(error["error"]["code"], "usage");
}

#[test]
fn what_was_typed_is_not_repeated_raw() {
    let home = Home::new();
    let long = "x".repeat(10_000);
    for typed in
        [&["push", &format!("--{long}")][..], &["list", "--limit", &long], &[&long], &["show", &long]]
    {
        let done = home.run(typed).expect(2);
        assert!(done.stderr.len() < 1000, "{}", done.stderr);
    }
    for typed in [&["\u{1b}[31mpush"][..], &["list", "--limit", "\u{1b}[31m"], &["list", "--\u{1b}[31m"]] {
        let done = home.run(typed).expect(2);
        assert!(!done.stderr.contains('\u{1b}'), "{:?}", done.stderr);
    }
}

#[test]
fn the_environment_gives_way_and_may_be_empty() {
    let home = Home::new();
    home.cli(&["list"]).environment("GRADUS_SERVER", "").run().expect(0);
    home.cli(&["--data-dir", "d", "list"]).environment("GRADUS_SERVER", "http://127.0.0.1:9").run().expect(0);
    home.run(&["--server", "http://127.0.0.1:9", "list"]).expect(9);
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let home = Home::new();
    home.push("model").expect(0);
    for arguments in
        [&["resolve", "acme/x:1", "--json"][..], &["list"], &["log"], &["token", "create"], &["--help"]]
    {
        let done = Command::new(binary())
            .args(arguments)
            .env("HOME", home.0.path())
            .env("GRADUS_DATA", home.path("data"))
            .env_remove("GRADUS_SERVER")
            .stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("output_failed"), "{arguments:?}: {stderr}");
        if arguments[0] == "token" {
            assert!(stderr.lines().last().unwrap().starts_with("hint: gradus token revoke "), "{stderr}");
        }
    }
}

#[test]
fn logout_forgets_the_login() {
    let home = Home::new();
    let done = home.run(&["logout"]).expect(0);
    assert!(done.stdout.is_empty() && done.stderr.contains("no login was stored"), "{done:?}");
    let login = home.path(".config/gradus/login.toml");
    fs::create_dir_all(login.parent().unwrap()).unwrap();
    fs::write(&login, "server = 'http://127.0.0.1:9'\ntoken = 'gradus_x'\n").unwrap();
    home.run(&["list"]).expect(9);
    let done = home.run(&["logout"]).expect(0);
    assert!(
        done.stderr.contains("http://127.0.0.1:9") && !done.stderr.contains("gradus_x"),
        "{}",
        done.stderr
    );
    assert!(!login.exists());
    home.run(&["list"]).expect(0);
    fs::write(&login, "not a login").unwrap();
    let done = home.run(&["logout", "--json"]).expect(0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&done.stdout).unwrap()["removed"], true);
}

#[test]
fn the_log_shows_its_end_and_says_what_is_before() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    for _ in 0..3 {
        home.run(&["alias", "set", "champion", "acme/x:1.0.0"]).expect(0);
        home.run(&["alias", "rm", "champion", "acme/x"]).expect(0);
    }
    for filter in [&["log"][..], &["log", "acme/x"], &["log", "--kind", "alias_set"]] {
        let run = |more: &[&str]| home.run(&[filter, more].concat()).expect(0);
        let all = run(&["--from", "0"]);
        let lines: Vec<&str> = all.stdout.lines().collect();
        assert_eq!(run(&[]).stdout, all.stdout);
        for limit in 1..=lines.len() {
            let done = run(&["--limit", &limit.to_string()]);
            let shown: Vec<&str> = done.stdout.lines().collect();
            assert_eq!(shown, lines[lines.len() - limit..], "{filter:?} --limit {limit}");
            assert_eq!(
                done.stderr.contains("there are earlier events"),
                limit < lines.len(),
                "{}",
                done.stderr
            );
        }
        let done = run(&["--from", "0", "--limit", "1"]);
        let next = last(&done).strip_prefix("there are later events: gradus ").unwrap();
        let next: Vec<&str> = next.split(' ').collect();
        assert_eq!(home.run(&next).expect(0).stdout.lines().next(), Some(lines[1]));
    }
    for unknown in
        [&["log", "acme/none"][..], &["log", "--namespace", "none"], &["alias", "list", "acme/none"]]
    {
        home.run(unknown).expect(7);
    }
    assert!(home.run(&["log", "acme/x", "--kind", "user_disabled"]).expect(0).stdout.is_empty());
}

#[test]
fn a_list_that_was_cut_says_so() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.push("prompts/triage-2.prompt.yaml").expect(0);
    let done = home.run(&["list", "acme/x", "--limit", "1"]).expect(0);
    assert_eq!(last(&done), "there are more versions: gradus list acme/x --limit 10");
    assert_eq!(done.stdout.lines().count(), 2);
    let done = home.run(&["list", "acme/x", "--limit", "2"]).expect(0);
    assert!(done.stderr.is_empty() && done.stdout.lines().count() == 3, "{done:?}");
    home.run(&["list", "--tier", "prompt"]).expect(2);
}

#[test]
fn hidden_files_and_another_base_are_named() {
    let home = Home::new();
    let model = files::safetensors(1);
    let directory =
        directory(&home, "model", &[("model.safetensors", &model), (".git/config", b"x"), (".hidden", b"y")]);
    let done = home.run(&["push", &directory, "--to", "acme/x"]).expect(0);
    assert!(done.stderr.contains("note: 2 hidden files go along: .git/config, .hidden\n"), "{}", done.stderr);
    let adapter = files::example("lora");
    let push = |base: &str| {
        home.run(&["push", adapter.to_str().unwrap(), "--to", "acme/y", "--base", base]).expect(0)
    };
    assert!(push("hf:acme/other@1").stderr.contains("names another base model: acme/tiny-llama"));
    assert!(!push("hf:acme/tiny-llama@1").stderr.contains("another base model"));
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_made() {
    let home = Home::new();
    let colliding = directory(&home, "case", &[("README", b"a"), ("readme", b"b")]);
    let broken = directory(&home, "prompts", &[("bad.prompt.yaml", b"gradus: prompt/v1\nmessages: 7\n")]);
    let broken = format!("{broken}/bad.prompt.yaml");
    fs::create_dir(home.path("empty")).unwrap();
    let model = files::example("model");
    let model = model.to_str().unwrap();
    for (what, code, ends) in [
        (&[colliding.as_str()][..], "path_collision", 1),
        (&["adapter", model], "tier_mismatch", 1),
        (&[&broken], "prompt_invalid", 1),
        (&[model, "--prompt", &broken], "prompt_invalid", 1),
        (&[model, "--contract", "nofile"], "file_not_found", 7),
        (&["empty"], "artifact_empty", 1),
        (&["nofile"], "file_not_found", 7),
    ] {
        let done = home.run(&[&["push", "--to", "acme/x"], what].concat()).expect(ends);
        assert!(done.stderr.contains(code), "{what:?}: {}", done.stderr);
        assert!(last(&done).starts_with("hint: "), "{what:?}: {}", done.stderr);
    }
    assert_eq!(home.run(&["namespace", "list", "--json"]).expect(0).stdout.trim(), "[]");
}

#[test]
fn next_steps_are_the_real_commands() {
    let home = Home::new();
    home.push("model").expect(0);
    home.run(&["pull", "acme/x:1", "--out", "o"]).expect(0);
    assert!(home.run(&["pull", "acme/x:1", "--out", "o"]).expect(0).stderr.contains("0 of them fetched"));
    let run_hint = |done: &Done| {
        let next: Vec<&str> = last(done).strip_prefix("hint: gradus ").unwrap().split(' ').collect();
        home.run(&next).expect(0)
    };
    run_hint(&home.run(&["verify", "acme/x:1", "nodir"]).expect(7));
    home.run(&["verify", "acme/x:1", "nodir"]).expect(0);
    fs::write(home.path("o/config.json"), "mine").unwrap();
    run_hint(&home.run(&["verify", "acme/x:1", "o"]).expect(6));
    home.run(&["verify", "acme/x:1", "o"]).expect(0);
    fs::write(home.path("o/more"), "more").unwrap();
    let done = home.run(&["verify", "acme/x:1", "o"]).expect(6);
    assert!(last(&done).contains("gradus push o --to acme/x"), "{}", done.stderr);
    let done = home.run(&["gc", "--grace", "3", "--data-dir", "data"]).expect(0);
    assert_eq!(last(&done), "next: gradus --data-dir data gc --delete --grace 3");
    let done = home.run(&["--server", "models.example.org", "list"]).expect(1);
    assert_eq!(last(&done), "hint: gradus login http://127.0.0.1:8300");
}

#[test]
fn changes_print_sentences_to_people_and_json_to_programs() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.push("prompts/triage-2.prompt.yaml").expect(0);
    for (number, is_json) in [("0", false), ("1", true)] {
        let (user, version) = (format!("user-{number}"), format!("acme/x:1.0.{number}"));
        home.run(&["user", "add", &user]).expect(0);
        let made = home.run(&["token", "create", "--json"]).expect(0).stdout;
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        for change in [
            &["alias", "set", "champion", &version][..],
            &["alias", "rm", "champion", "acme/x"],
            &["yank", &version, "-m", "why"],
            &["member", "add", "acme", &user, "reader"],
            &["member", "rm", "acme", &user, "reader"],
            &["token", "revoke", made["info"]["id"].as_str().unwrap()],
            &["user", "disable", &user],
        ] {
            if is_json {
                let done = home.run(&[change, &["--json"]].concat()).expect(0);
                let value: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
                assert!(value.is_object(), "{change:?}: {done:?}");
            } else {
                let done = home.run(change).expect(0);
                assert!(done.stdout.is_empty() && done.stderr.lines().count() == 1, "{change:?}: {done:?}");
            }
        }
    }
}

#[test]
fn the_log_is_checked_with_and_without_the_registry() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let file = |name: &str, content: &str| {
        let path = home.path(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let checkpoint = file("checkpoint", &home.run(&["audit", "checkpoint"]).expect(0).stdout);
    let key = home.run(&["audit", "key"]).expect(0).stdout.trim().to_owned();
    home.push("prompts/triage-2.prompt.yaml").expect(0);
    home.run(&["audit", "verify", "--checkpoint", &checkpoint]).expect(0);

    let entries = home.path("entries");
    let export = entries.to_str().unwrap();
    home.run(&["audit", "export", "--out", export]).expect(0);
    let offline = ["audit", "verify", "--from", export, "--checkpoint", &checkpoint, "--key", &key];
    home.run(&offline).expect(0);
    let proof = file("proof", &home.run(&["audit", "proof", "1"]).expect(0).stdout);
    let whole = fs::read_to_string(&entries).unwrap();
    let right = file("right", whole.lines().nth(1).unwrap());
    let wrong = file("wrong", whole.lines().nth(2).unwrap());
    home.run(&["audit", "check", &proof, "--entry", &right, "--key", &key]).expect(0);
    home.run(&["audit", "check", &proof, "--entry", &wrong, "--key", &key]).expect(6);

    let own = home.path("own");
    let own = own.to_str().unwrap();
    let promote = ["promote", "acme/x:1.0.0", "--to", "production", "--proof", own];
    home.run(&[&promote[..], &["--override", "-m", "why"]].concat()).expect(0);
    home.run(&["audit", "check", own, "--entry", &format!("{own}.entry"), "--key", &key]).expect(0);
    home.run(&["audit", "check", own, "--entry", &wrong, "--key", &key]).expect(6);
    let again = home.run(&promote).expect(0);
    assert_eq!(last(&again), "nothing was recorded, so there is no proof");
    home.run(&["audit", "proof", "4", "--of", "acme/x"]).expect(0);
    home.run(&["audit", "proof", "0", "--of", "acme/x"]).expect(7);
    let recover = ["audit", "recover", "--checkpoint", &checkpoint, "-m", "why"];
    assert!(home.run(&recover).expect(5).stderr.contains("nothing_to_recover"));

    fs::write(&entries, whole.replacen("admin", "nobody", 1)).unwrap();
    assert!(home.run(&offline).expect(6).stderr.contains("log_tampered"));
}

#[test]
fn what_waits_in_a_namespace_that_is_not_there_is_no_empty_list() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["purge", "--list", "acme"]).expect(0);
    let refused = home.run(&["purge", "--list", "nowhere"]).expect(7);
    assert!(refused.stderr.contains("[namespace_unknown]"), "{}", refused.stderr);
}
