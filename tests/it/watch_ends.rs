//! The command line waits for what is not there yet, shares its state with no other, and says why it ends.

use crate::harness::{
    Backend, files,
    issuer::{Issuer, Key},
    server::{Cli, Done, Server, Setup, binary},
};
use gradus::clock::Clock as _;
use serde_json::{Value, json};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A server with a namespace, and who administers it.
struct Site {
    home: TempDir,
    url: String,
    admin: String,
    _server: Server,
}

impl Site {
    async fn new(issuers: Vec<gradus::config::Issuer>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let setup = Setup::with(Backend::SqliteLocal, home.path(), |config| config.issuers = issuers).await;
        let server = setup.start();
        let admin = server.bootstrap_token().expect("the first start prints a token");
        let site = Self { home, url: setup.url, admin, _server: server };
        site.cli(&["namespace", "create", "acme"]).expect(0);
        site
    }

    fn cli(&self, arguments: &[&str]) -> Done {
        let cli = Cli::new(self.home.path(), arguments);
        cli.environment("GRADUS_SERVER", &self.url).environment("GRADUS_TOKEN", &self.admin).run()
    }

    fn push(&self, number: u8) {
        let (prompt, contract) = (
            files::example(&format!("prompts/triage-{number}.prompt.yaml")),
            files::example("contract.json"),
        );
        let (prompt, contract) = (prompt.display().to_string(), contract.display().to_string());
        self.cli(&["push", &prompt, "--to", "acme/x", "--contract", &contract]).expect(0);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `gradus watch` that appends what it tells to a file, and what it says to another.
    fn watch(&self, told: &str, said: &str, token: Option<&str>, more: &[&str]) -> Child {
        let command = format!("echo $GRADUS_KIND $GRADUS_VERSION >> {}", self.path(told).display());
        let mut watch = Command::new(binary());
        watch.args(["watch", "acme/x:production", "--exec", &command]).args(more);
        watch.env("HOME", self.home.path()).env("GRADUS_SERVER", &self.url);
        for name in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "GRADUS_TOKEN", "GRADUS_ID_TOKEN"] {
            watch.env_remove(name);
        }
        if let Some(token) = token {
            watch.env("GRADUS_TOKEN", token);
        }
        let said = File::create(self.path(said)).unwrap();
        watch.stdin(Stdio::null()).stderr(said).kill_on_drop(true).spawn().unwrap()
    }

    async fn wait_for(&self, file: &str, words: &str) -> String {
        for _ in 0..2000 {
            let text = std::fs::read_to_string(self.path(file)).unwrap_or_default();
            if text.contains(words) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{words:?} is not in {file}: {:?}", std::fs::read_to_string(self.path(file)));
    }
}

async fn code(mut child: Child) -> Option<i32> {
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait()).await;
    ended.expect("it ends").unwrap().code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_that_is_not_there_yet_is_waited_for() {
    let site = Site::new(Vec::new()).await;
    let _watch = site.watch("told", "said", Some(&site.admin), &[]);
    site.wait_for("said", "acme/x has no version yet; waiting for the first push").await;
    site.push(1);
    site.wait_for("said", "acme/x:production means nothing yet; waiting").await;
    site.cli(&["promote", "acme/x:1.0.0", "--to", "production"]).expect(0);
    assert_eq!(site.wait_for("told", "1.0.0").await, "promoted 1.0.0\n");

    let nowhere = site.cli(&["watch", "nowhere/x:production"]).expect(7);
    assert!(nowhere.stderr.contains("[namespace_unknown]"), "{nowhere:?}");
    site.cli(&["user", "add", "ada"]).expect(0);
    let token = site.cli(&["token", "create", "--user", "ada"]).expect(0).stdout;
    let stranger = site.watch("none", "strange", Some(token.trim()), &[]);
    assert_eq!(code(stranger).await, Some(8), "{}", site.wait_for("strange", "").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_has_a_state_of_its_own_and_runs_once_at_a_time() {
    let site = Site::new(Vec::new()).await;
    site.push(1);
    site.cli(&["promote", "acme/x:1.0.0", "--to", "production"]).expect(0);
    let mut first = site.watch("one", "said", Some(&site.admin), &[]);
    site.wait_for("one", "current 1.0.0").await;
    let second = site.watch("one", "refused", Some(&site.admin), &[]);
    assert_eq!(code(second).await, Some(5));
    let refused = site.wait_for("refused", "[watch_running]").await;
    assert!(refused.contains("--state FILE"), "{refused}");
    let _other = site.watch("two", "said-too", Some(&site.admin), &[]);
    site.wait_for("two", "current 1.0.0").await;
    site.push(2);
    site.cli(&["promote", "acme/x:1.0.1", "--to", "production"]).expect(0);
    for told in ["one", "two"] {
        assert_eq!(site.wait_for(told, "1.0.1").await, "current 1.0.0\npromoted 1.0.1\n");
    }
    // Who ends gives it back.
    first.kill().await.unwrap();
    let mut again = site.watch("one", "again", Some(&site.admin), &[]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(again.try_wait().unwrap(), None, "{}", site.wait_for("again", "").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_from_the_future_is_named() {
    let site = Site::new(Vec::new()).await;
    site.push(1);
    let state = site.path("state.json").display().to_string();
    std::fs::write(&state, json!({ "cursor": 99_999, "digest": null }).to_string()).unwrap();
    let done = site.cli(&["watch", "acme/x:production", "--state", &state]).expect(1);
    for words in ["[cursor_ahead]", &state, "Remove the file", "--state"] {
        assert!(done.stderr.contains(words), "{words}: {done:?}");
    }
    std::fs::remove_file(state).unwrap();
}

/// Takes the tokens of a service away, as their time does.
fn revoke(site: &Site, service: &str) {
    let tokens: Value =
        serde_json::from_str(&site.cli(&["token", "list", "--all", "--json"]).expect(0).stdout).unwrap();
    let is_meant = |one: &&Value| one["user"] == service && one["revoked_at"].is_null();
    let meant: Vec<&Value> = tokens.as_array().unwrap().iter().filter(is_meant).collect();
    assert!(!meant.is_empty(), "{tokens:#}");
    for one in meant {
        site.cli(&["token", "revoke", one["id"].as_str().unwrap()]).expect(0);
    }
}

fn identity(issuer: &Issuer, key: &Key, file: &Path) {
    let now = gradus::clock::System.now().timestamp();
    let claims = json!({ "iss": issuer.url, "aud": "gradus", "sub": "job", "iat": now, "exp": now + 300 });
    std::fs::write(file, key.sign(&claims)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_is_renewed_or_ends_the_watch() {
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    let site = Site::new(vec![issuer.configured("ci")]).await;
    site.push(1);
    site.cli(&["promote", "acme/x:1.0.0", "--to", "production"]).expect(0);
    site.cli(&["trust", "add", "acme", "--issuer", "ci", "--role", "reader", "--claim", "sub=job"]).expect(0);
    let file = site.path("identity");
    identity(&issuer, &key, &file);
    let oidc = ["--oidc", "--namespace", "acme", "--identity-file", file.to_str().unwrap()];
    let renewed = site.watch("renewed", "said", None, &oidc);
    site.wait_for("renewed", "current 1.0.0").await;
    revoke(&site, "acme__ci");
    site.push(2);
    site.cli(&["promote", "acme/x:1.0.1", "--to", "production"]).expect(0);
    assert_eq!(site.wait_for("renewed", "1.0.1").await, "current 1.0.0\npromoted 1.0.1\n");
    std::fs::remove_file(&file).unwrap();
    revoke(&site, "acme__ci");
    assert_eq!(code(renewed).await, Some(1));
    site.wait_for("said", "[identity_unreadable]").await;

    identity(&issuer, &key, &file);
    let mut login = vec!["login", site.url.as_str()];
    login.extend(oidc);
    Cli::new(site.home.path(), &login).run().expect(0);
    let stored = site.watch("stored", "said", None, &[]);
    site.wait_for("stored", "current 1.0.1").await;
    revoke(&site, "acme__ci");
    assert_eq!(code(stored).await, Some(8));
    let said = site.wait_for("said", "[watch_token_ended]").await;
    assert!(said.contains("--oidc"), "{said}");
}
