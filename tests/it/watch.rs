use crate::harness::{
    Backend, Env, backends, files,
    govern::W,
    server::{Cli, Setup, binary},
};
use axum::body::BodyDataStream;
use futures_util::StreamExt as _;
use gradus::model::access::{Role, Scope};
use http::Request;
use serde_json::{Value, json};
use std::{process::Stdio, time::Duration};
use tower::ServiceExt as _;

/// A stream under way.
pub struct Stream {
    position: i64,
    body: BodyDataStream,
    text: String,
}

impl Stream {
    pub async fn open(env: &Env, token: &str, query: &str, last: Option<i64>) -> Self {
        let mut request = Request::get(format!("/v1/events?{query}"))
            .header("authorization", format!("Bearer {token}"))
            .header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = env.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let position = response.headers()["gradus-position"].to_str().unwrap().parse().unwrap();
        Self { position, body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((line, rest)) = self.text.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(data) = line.strip_prefix("data: ") {
                    return Some(serde_json::from_str(data).unwrap());
                }
            }
            let piece = tokio::time::timeout(Duration::from_secs(20), self.body.next())
                .await
                .expect("something comes");
            self.text += std::str::from_utf8(&piece?.unwrap()).unwrap();
        }
    }
}

async fn push(env: &Env, workload: &str, text: &str) {
    let answer = files::push_prompt(env, workload, text, json!({})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

async fn length(env: &Env) -> usize {
    env.get("/v1/events?limit=1000").expect(200).await.value()["items"].as_array().unwrap().len()
}

backends! {
    async fn a_stream_goes_on_from_where_it_was(env: Env) {
        env.namespace("acme").await;
        push(&env, W, "one").await;
        let before = length(&env).await;
        let replica = env.replica().await;
        let mut all = Stream::open(&env, &env.admin, "cursor=0", None).await;
        let mut elsewhere = Stream::open(&replica, &env.admin, "", None).await;
        let mut moves = Stream::open(&env, &env.admin, "workload=acme%2Fx&on=promoted:production,rolled_back", None).await;
        assert_eq!((all.position, elsewhere.position), (0, before as i64));
        for position in 0..before {
            assert_eq!(all.next().await.unwrap()["position"], position, "what was before");
        }
        push(&env, W, "two").await;
        env.root().promote("1.0.1", "production").await;
        let total = length(&env).await;
        for position in before..total {
            assert_eq!(all.next().await.unwrap()["position"], position, "what happens");
        }
        assert_eq!(moves.next().await.unwrap()["data"]["stage"], "production", "only what was asked for");
        if env.backend.is_postgres() {
            // SQLite has one process, whose replicas know nothing of each other's commits.
            for position in before..total {
                assert_eq!(elsewhere.next().await.unwrap()["position"], position, "by another replica");
            }
        }
        let mut again = Stream::open(&env, &env.admin, "", Some(1)).await;
        assert_eq!(again.next().await.unwrap()["position"], 2);
        drop(again);

        // More than is kept in memory or read at once.
        let mut tx = env.cx.db.write().await.unwrap();
        let now = gradus::clock::Clock::now(&*env.clock);
        let change = gradus::model::event::Change::GarbageCollected { objects: 0, bytes: 0 };
        gradus::db::log::append(&mut tx, now, &"admin".parse().unwrap(), vec![change; 3000]).await.unwrap();
        tx.commit().await.unwrap();
        let mut late = Stream::open(&env, &env.admin, "cursor=3", None).await;
        for position in 3..total + 3000 {
            assert_eq!(late.next().await.unwrap()["position"], position);
        }
        for position in total..total + 3000 {
            assert_eq!(all.next().await.unwrap()["position"], position);
        }
        env.cx.closing.cancel();
        assert_eq!(all.next().await, None, "a server that is to stop ends its streams");
    }

    async fn a_page_is_waited_for(env: Env) {
        env.namespace("acme").await;
        let total = length(&env).await;
        let none = env.get(&format!("/v1/events?cursor={total}&wait=0")).expect(200).await.value();
        assert_eq!(none, json!({ "items": [], "next": total.to_string() }));
        let waiting = env.get(&format!("/v1/events?cursor={total}&wait=20&on=pushed"));
        let (page, ()) = tokio::join!(waiting.expect(200), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            push(&env, W, "one").await;
        });
        let page = page.value();
        assert_eq!(page["items"][0]["kind"], "pushed");
        let next = page["next"].as_str().unwrap();
        assert!(next.parse::<usize>().unwrap() > total);
        for (query, code) in [
            ("cursor=99999".to_owned(), "cursor_ahead"),
            ("cursor=99999&wait=1".to_owned(), "cursor_ahead"),
            ("cursor=-1".to_owned(), "cursor_invalid"),
            ("cursor=x&wait=1".to_owned(), "cursor_invalid"),
            (format!("cursor={next}&wait=56"), "wait_invalid"),
            ("on=promotd".to_owned(), "hook_filter_invalid"),
            ("namespace=rival&workload=acme%2Fx".to_owned(), "query_invalid"),
        ] {
            let answer = env.get(&format!("/v1/events?{query}")).expect(400).await;
            assert_eq!(answer.code(), code, "{query}");
        }
        let ahead = env.get("/v1/events?cursor=99999").header("accept", "text/event-stream").expect(400).await;
        assert_eq!(ahead.code(), "cursor_ahead");
        assert!(ahead.text().contains("Go on from"), "{}", ahead.text());
    }

    async fn readers_see_what_they_may_and_no_longer_than_they_may(env: Env) {
        env.namespace("acme").await;
        env.namespace("rival").await;
        let reader = env.person("rob", "acme", Role::Reader).await;
        env.person("rita", "rival", Role::Admin).await;
        let other = env.token("rita", Scope::default()).await;
        for query in ["workload=acme%2Fx", "namespace=acme", ""] {
            let answer = env.get(&format!("/v1/events?{query}")).token(&other).header("accept", "text/event-stream").send().await;
            assert_eq!(answer.status, 403, "{query}");
        }
        let refused = env.get("/v1/events").token(&reader).expect(403).await.text();
        assert!(refused.contains("?namespace=NAME") && refused.contains("auditor"), "{refused}");
        push(&env, W, "one").await;
        let seen = env.get("/v1/events?namespace=acme").token(&reader).expect(200).await.value();
        let kinds: Vec<&str> = seen["items"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"pushed") && !kinds.contains(&"member_added"), "{kinds:?}");
        let mut stream = Stream::open(&env, &reader, "namespace=acme", None).await;
        push(&env, W, "two").await;
        assert_eq!(stream.next().await.unwrap()["kind"], "pushed");
        assert_eq!(stream.next().await.unwrap()["kind"], "promoted");
        let length = env.get("/v1/events?limit=1000").expect(200).await.value()["items"].as_array().unwrap().len();
        let path = format!("/v1/events?namespace=acme&cursor={length}&wait=20");
        let waiting = env.get(&path).token(&reader).expect(200);
        let places = env.cx.watchers.available_permits();
        let take = async {
            while env.cx.watchers.available_permits() == places {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            env.call("DELETE", "/v1/members/acme/rob/reader").expect(204).await;
            push(&env, W, "three").await;
        };
        let (answer, ()) = tokio::join!(waiting, take);
        let answer = answer.value();
        assert_eq!((&answer["items"], &answer["next"]), (&json!([]), &json!(length.to_string())), "nor does a page that was waited for");
        env.get(&path).token(&reader).expect(403).await;
        assert_eq!(stream.next().await, None, "what was taken away ends at once");
    }
}

/// Runs `gradus watch` until it has written so many lines; what it wrote.
async fn watch(
    home: &std::path::Path,
    server: &str,
    token: &str,
    reference: &str,
    lines: usize,
) -> tokio::process::Child {
    let log = home.join("seen");
    let before = std::fs::read_to_string(&log).map_or(0, |text| text.lines().count());
    let command =
        format!("echo $GRADUS_KIND $GRADUS_STAGE $GRADUS_VERSION $GRADUS_DIGEST >> {}", log.display());
    let child = tokio::process::Command::new(binary())
        .args(["watch", reference, "--exec", &command])
        .env("HOME", home)
        .env("GRADUS_SERVER", server)
        .env("GRADUS_TOKEN", token)
        .env_remove("XDG_STATE_HOME")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    seen(home, before + lines).await;
    child
}

async fn seen(home: &std::path::Path, lines: usize) -> Vec<String> {
    for _ in 0..1500 {
        let text = std::fs::read_to_string(home.join("seen")).unwrap_or_default();
        if text.lines().count() >= lines {
            return text.lines().map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it was not told: {:?}", std::fs::read_to_string(home.join("seen")));
}

/// Waits until a watcher has written down what it told last. One that is killed before tells it again.
async fn remembered(home: &std::path::Path) {
    let told = std::fs::metadata(home.join("seen")).unwrap().modified().unwrap();
    for _ in 0..1500 {
        let files = std::fs::read_dir(home.join(".local/state/gradus/watch")).unwrap();
        let files =
            files.map(|file| file.unwrap()).filter(|file| file.path().extension() == Some("json".as_ref()));
        let mut times = files.map(|file| file.metadata().unwrap().modified().unwrap());
        if times.any(|time| time >= told) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was written down");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_on_each_change_and_resumes_where_it_was() {
    let home = tempfile::tempdir().unwrap();
    let setup = Setup::new(Backend::SqliteLocal, home.path()).await;
    let server = setup.start();
    let token = server.bootstrap_token().unwrap();
    let cli = |arguments: &[&str]| {
        let cli = Cli::new(home.path(), arguments);
        let done = cli.environment("GRADUS_SERVER", &setup.url).environment("GRADUS_TOKEN", &token).run();
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
        done.stdout
    };
    let example = |name: &str| files::example(name).display().to_string();
    cli(&["namespace", "create", "acme"]);
    let contract = example("contract.json");
    cli(&["push", &example("prompts/triage-1.prompt.yaml"), "--to", "acme/x", "--contract", &contract]);
    cli(&["push", &example("prompts/triage-2.prompt.yaml"), "--to", "acme/x"]);
    cli(&["promote", "acme/x:1.0.0", "--to", "production"]);
    let child = watch(home.path(), &setup.url, &token, "acme/x:production", 1).await;
    let versions = cli(&["list", "acme/x", "--json"]);
    let versions: Value = serde_json::from_str(&versions).unwrap();
    let newest = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["version"].as_str().unwrap().to_owned())
        .find(|one| one != "1.0.0")
        .unwrap();
    cli(&["promote", &format!("acme/x:{newest}"), "--to", "production"]);
    seen(home.path(), 2).await;
    // The server goes away and comes back; the watcher stays.
    server.kill();
    let server = setup.start();
    cli(&["rollback", "acme/x:production", "-m", "too slow"]);
    let lines = seen(home.path(), 3).await;
    let words = |line: &str| line.split(' ').take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&lines[0])[..], ["current", "production", "1.0.0"]);
    assert_eq!(words(&lines[1])[..], ["promoted", "production", newest.as_str()]);
    assert_eq!(words(&lines[2])[..], ["rolled_back", "production", "1.0.0"]);
    assert!(lines[2].contains("sha256:"));
    // The watcher goes away and comes back: what happened meanwhile is told, what was told is not.
    remembered(home.path()).await;
    drop(child);
    let refused = Cli::new(home.path(), &["promote", &format!("acme/x:{newest}"), "--to", "production"]);
    let refused = refused.environment("GRADUS_SERVER", &setup.url).environment("GRADUS_TOKEN", &token).run();
    assert_eq!(refused.code, 3, "it was rolled back: {}", refused.stderr);
    cli(&[
        "promote",
        &format!("acme/x:{newest}"),
        "--to",
        "production",
        "--override",
        "-m",
        "it was not the version",
    ]);
    let child = watch(home.path(), &setup.url, &token, "acme/x:production", 1).await;
    let lines = seen(home.path(), 4).await;
    assert_eq!(
        (lines.len(), words(&lines[3])),
        (4, vec!["promoted".into(), "production".into(), newest.clone()])
    );
    drop((child, server));
}
