//! `gradus export`, `import` and `copy` as people type them, and layouts as other tools write them.

use crate::harness::{
    Backend, Env,
    carry::{
        add, add_blob, blob, change, copy_folder, first_manifest, index_of, nest, push_entry, served,
        some_blob, strip,
    },
    home::Home,
    oci,
    server::free_port,
};
use gradus::model::digest::Digest;
use serde_json::{Value, json};
use std::fs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_for_one_server_only() {
    let other = Env::new(Backend::SqliteLocal).await;
    other.namespace("acme").await;
    let url = served(other.router.clone()).await;
    let token = other.admin.clone();
    tokio::task::spawn_blocking(move || {
        let home = Home::new();
        home.push("prompts/triage-1.prompt.yaml").expect(0);
        let to = format!("{url}/acme/x");
        let copy = ["copy", "acme/x:1.0.0", "--to", &to];
        // The token of the registry that is copied from is not tried on the other.
        let refused = home.cli(&copy).environment("GRADUS_TOKEN", &token).run().expect(8);
        for said in
            [format!("error: at the other registry, {url}: ").as_str(), "GRADUS_TO_TOKEN, or --to-token"]
        {
            assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
        }
        let done = home.cli(&copy).environment("GRADUS_TO_TOKEN", &token).run().expect(0);
        assert!(done.stdout.starts_with("acme/x:1.0.0 sha256:"), "{done:?}");
        assert!(done.stderr.contains("acme/x:1.0.0 made; 0 blobs there already"), "{}", done.stderr);
        assert!(!format!("{done:?}").contains(&token));
        let again = home.cli(&copy).environment("GRADUS_TO_TOKEN", &token).run().expect(0);
        assert!(again.stderr.contains("acme/x:1.0.0 is there already; nothing to send"), "{}", again.stderr);
        for bad in ["acme/x", "https://models.example.org", "https://ann:pw@models.example.org/acme/x"] {
            home.run(&["copy", "acme/x:1.0.0", "--to", bad]).expect(2);
        }
        home.run(&["copy", "acme/x:9.0.0", "--to", &to]).expect(7);
        let silent = format!("http://127.0.0.1:{}", free_port());
        for (server, namespace, code, hint) in [
            (&url, "none", 7, format!("gradus --server {url} namespace create none")),
            (&silent, "acme", 9, "is the address after --to right?".to_owned()),
        ] {
            let to = format!("{server}/{namespace}/x");
            let copy = ["copy", "acme/x:1.0.0", "--to", &to];
            let refused = home.cli(&copy).environment("GRADUS_TO_TOKEN", &token).run().expect(code);
            let said = format!("error: at the other registry, {server}: ");
            assert!(refused.stderr.contains(&said) && refused.stderr.contains(&hint), "{}", refused.stderr);
        }
    })
    .await
    .unwrap();
    other.get("/v1/workloads/acme/x/resolve/1.0.0").expect(200).await;
}

#[test]
fn from_folder_to_folder_by_the_command_line() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let done = home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    assert!(done.stdout.starts_with("acme/x:1.0.0 sha256:"), "{done:?}");
    assert_eq!(
        fs::read_to_string(home.path("layout/oci-layout")).unwrap(),
        r#"{"imageLayoutVersion":"1.0.0"}"#
    );
    let index = index_of(&home.path("layout"));
    let first = &index["manifests"][0];
    assert_eq!(first["annotations"]["org.opencontainers.image.ref.name"], "1.0.0");
    assert_eq!(first["annotations"]["dev.gradus.reference"], "acme/x:1.0.0");
    assert_eq!(first["artifactType"], oci::PROMPT);
    let again = home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    assert!(again.stderr.contains(", 0 fetched"), "{}", again.stderr);
    // A copy that rotted is fetched again.
    let blob = some_blob(&home.path("layout"));
    let right = fs::read(&blob).unwrap();
    fs::write(&blob, vec![b'x'; right.len()]).unwrap();
    let healed = home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    assert!(healed.stderr.contains(", 1 fetched"), "{}", healed.stderr);
    assert_eq!(fs::read(&blob).unwrap(), right);

    let import = |more: &[&str]| home.run(&[&["--data-dir", "other", "import", "layout"], more].concat());
    let dry = import(&["--dry-run"]).expect(0);
    assert!(dry.stdout.contains("would be made"), "{dry:?}");
    home.run(&["--data-dir", "other", "resolve", "acme/x:1.0.0"]).expect(7);
    let done = import(&[]).expect(0);
    assert_eq!(done.stdout.split_whitespace().next(), Some("acme/x:1.0.0"));
    assert!(done.stderr.contains("stages and aliases are not brought along"), "{}", done.stderr);
    let shown =
        |data: &str| home.run(&["--data-dir", data, "resolve", "acme/x:1.0.0", "--json"]).expect(0).stdout;
    let digest = |text: String| serde_json::from_str::<Value>(&text).unwrap()["digest"].clone();
    assert_eq!(digest(shown("other")), digest(shown("data")));
    assert!(import(&[]).expect(0).stderr.contains("is there already"));
    import(&["1.0.0", "--to", "acme/y:2.0.0"]).expect(0);
    import(&["1.0.0", "--to", "acme/y:production"]).expect(2);
    import(&["3.0.0"]).expect(7);

    home.run(&["export", "acme/x:9.0.0", "--out", "never"]).expect(7);
    assert!(!home.path("never").exists(), "nothing is begun for what is not there");
    home.run(&["export", "acme/x:1.0.0"]).expect(2);
    home.run(&["export", "--out", "never"]).expect(2);
    fs::create_dir(home.path("full")).unwrap();
    fs::write(home.path("full/notes.txt"), "mine").unwrap();
    let refused = home.run(&["export", "acme/x:1.0.0", "--out", "full"]).expect(5);
    assert!(refused.stderr.contains("[out_not_empty]"), "{}", refused.stderr);
    assert_eq!(fs::read_dir(home.path("full")).unwrap().count(), 1);
}

#[test]
fn layouts_as_other_tools_write_them_are_read() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "good"]).expect(0);
    let import =
        |name: &str, more: &[&str]| home.run(&[&["--data-dir", "other", "import", name], more].concat());
    // As skopeo: a name, and nothing else.
    copy_folder(&home.path("good"), &home.path("named"));
    change(&home.path("named"), |entry| {
        *entry = strip(entry);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "1.0.0" });
    });
    let refused = import("named", &[]).expect(1);
    assert!(
        refused.stderr.contains("[workload_missing]") && refused.stderr.contains("--to"),
        "{}",
        refused.stderr
    );
    import("named", &["--to", "acme/named"]).expect(0);
    // Without a name, and with one that is no number.
    copy_folder(&home.path("good"), &home.path("bare"));
    change(&home.path("bare"), |entry| *entry = strip(entry));
    let refused = import("bare", &["--to", "acme/bare"]).expect(7);
    assert!(refused.stderr.contains("[layout_empty]"), "{}", refused.stderr);
    import("bare", &["--to", "acme/bare:1.0.0"]).expect(0);
    change(&home.path("bare"), |entry| {
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "production" });
    });
    // What is there is told, where nothing of it is a version.
    let refused = import("bare", &["--to", "acme/bare"]).expect(7);
    assert!(refused.stderr.contains("production is no version number"), "{}", refused.stderr);
    let refused = import("bare", &["production", "--to", "acme/staged"]).expect(1);
    assert!(refused.stderr.contains("[not_a_version]"), "{}", refused.stderr);
    import("bare", &["production", "--to", "acme/staged:1.0.0"]).expect(0);
    // An index in between, whose name is that of what it lists.
    copy_folder(&home.path("good"), &home.path("nested"));
    nest(&home.path("nested"), 2);
    import("nested", &["--to", "acme/nested"]).expect(0);
    let digest = |workload: &str, data: &str| {
        let reference = format!("{workload}:1.0.0");
        let shown = home.run(&["--data-dir", data, "resolve", &reference, "--json"]).expect(0).stdout;
        serde_json::from_str::<Value>(&shown).unwrap()["digest"].clone()
    };
    for workload in ["acme/named", "acme/bare", "acme/staged", "acme/nested"] {
        assert_eq!(digest(workload, "other"), digest("acme/x", "data"), "{workload}");
    }
}

#[test]
fn what_is_left_out_is_told_by_import() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    let layout = home.path("layout");
    let subject = strip(&index_of(&layout)["manifests"][0]);
    let index = json!({
        "schemaVersion": 2, "mediaType": oci::INDEX, "artifactType": "list\u{1b}[1m", "manifests": [], "subject": subject,
    });
    push_entry(&layout, add(&layout, &index, oci::INDEX));
    for more in [&["--dry-run"][..], &[]] {
        let done = home.run(&[&["--data-dir", "other", "import", "layout"], more].concat()).expect(0);
        assert!(done.stderr.contains("left out of what is said about acme/x:1.0.0: "), "{}", done.stderr);
        assert!(!done.stderr.contains('\u{1b}'), "{:?}", done.stderr);
    }
    let done = home.run(&["--data-dir", "other", "import", "layout", "--json"]).expect(0);
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(told[0]["left_out"].as_array().unwrap().len(), 1, "{told}");
}

#[test]
fn of_two_contents_under_one_number_one_is_named_by_its_digest() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    let layout = home.path("layout");
    let digest = index_of(&layout)["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let mut manifest = first_manifest(&layout);
    manifest["annotations"]["note"] = json!("another");
    let mut entry = add(&layout, &manifest, oci::IMAGE);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "acme/x:1.0.0" });
    push_entry(&layout, entry);
    let import = |more: &[&str]| home.run(&[&["--data-dir", "other", "import", "layout"], more].concat());
    for more in [&["--to", "acme/y:1.0.0"][..], &[]] {
        let refused = import(more).expect(1);
        assert!(refused.stderr.contains("[version_ambiguous]"), "{more:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("by its digest"), "{more:?}: {}", refused.stderr);
    }
    let digest = digest.as_str();
    assert!(import(&[digest]).expect(0).stdout.starts_with(&format!("acme/x:1.0.0 {digest}")));
    assert!(import(&[digest, "--to", "acme/y:2.0.0"]).expect(0).stdout.starts_with("acme/y:2.0.0 "));
}

/// An index over the version, with something said about that index: as skopeo and oras write images with attestations.
fn attested(layout: &std::path::Path) {
    nest(layout, 1);
    let whole = index_of(layout)["manifests"][0].clone();
    let note = json!({
        "schemaVersion": 2, "mediaType": oci::IMAGE, "artifactType": "application/vnd.example.attestation",
        "config": add_blob(layout, b"{}"), "layers": [], "subject": strip(&whole),
    });
    push_entry(layout, add(layout, &note, oci::IMAGE));
}

#[test]
fn what_is_said_about_an_index_keeps_no_version_out() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    attested(&home.path("layout"));
    let import = |more: &[&str]| home.run(&[&["--data-dir", "other", "import", "layout"], more].concat());
    for more in [&["--dry-run"][..], &[], &["1.0.0", "--to", "acme/named"]] {
        let done = import(more).expect(0);
        assert!(done.stderr.contains("about an index that lists it"), "{more:?}: {}", done.stderr);
    }
    // The manifest is listed beside the index as well, without a name.
    let layout = home.path("layout");
    let index = index_of(&layout)["manifests"][0].clone();
    let bytes = fs::read(blob(&layout, index["digest"].as_str().unwrap())).unwrap();
    let inner: Value = serde_json::from_slice(&bytes).unwrap();
    push_entry(&layout, inner["manifests"][0].clone());
    let done = import(&["--to", "acme/twice"]).expect(0);
    assert!(done.stderr.contains("about an index that lists it"), "{}", done.stderr);
    assert!(!done.stderr.contains("is no version number"), "{}", done.stderr);
    home.run(&["--data-dir", "other", "resolve", "acme/twice:1.0.0"]).expect(0);
}

#[test]
fn what_is_about_nothing_keeps_out_only_what_it_comes_with() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    let layout = home.path("layout");
    let about = |subject: &Value| {
        json!({
            "schemaVersion": 2, "mediaType": oci::IMAGE, "artifactType": "application/vnd.example.note",
            "config": add_blob(&layout, b"{}"), "layers": [], "subject": subject,
        })
    };
    // What an index about the version lists may be there, though it is not read.
    let version = strip(&index_of(&layout)["manifests"][0]);
    let child = json!({ "mediaType": oci::IMAGE, "digest": Digest::sha256(b"child"), "size": 2 });
    let list =
        json!({ "schemaVersion": 2, "mediaType": oci::INDEX, "manifests": [child], "subject": version });
    push_entry(&layout, add(&layout, &list, oci::INDEX));
    push_entry(&layout, add(&layout, &about(&child), oci::IMAGE));
    let import = |more: &[&str]| home.run(&[&["--data-dir", "other", "import", "layout"], more].concat());
    import(&["--dry-run"]).expect(0);
    let nobody = json!({ "mediaType": oci::IMAGE, "digest": Digest::sha256(b"nobody"), "size": 2 });
    push_entry(&layout, add(&layout, &about(&nobody), oci::IMAGE));
    let refused = import(&[]).expect(6);
    assert!(refused.stderr.contains("[subject_missing]"), "{}", refused.stderr);
    import(&["1.0.0"]).expect(0);
}
