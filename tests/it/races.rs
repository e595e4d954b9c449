//! Many at once: the history of a stage stays a single line, and nothing changes between judging and moving.

use crate::harness::{
    Env, backends,
    govern::{Someone, W, production},
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// The other replicas on PostgreSQL; on SQLite one process has the data.
async fn others(env: &Env) -> Vec<Env> {
    match env.backend.is_postgres() {
        true => vec![env.replica().await, env.replica().await],
        false => Vec::new(),
    }
}

/// All replicas, three on PostgreSQL.
fn all<'a>(env: &'a Env, others: &'a [Env]) -> Vec<&'a Env> {
    std::iter::once(env).chain(others).collect()
}

/// A move that was acknowledged: its number, what it left there and what was there before, and when it was under way.
#[derive(Debug)]
struct Moved {
    number: i64,
    to: String,
    from: Option<String>,
    began: u64,
    ended: u64,
}

async fn history(env: &Env) -> Vec<Value> {
    let mut steps = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/workloads/{W}/stages/production/history?limit=1000{cursor}");
        let page = env.get(&path).expect(200).await.value();
        steps.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    steps.reverse();
    steps
}

backends! {
    async fn two_hundred_moves_of_one_stage_are_a_single_line(env: Env) {
        const PROMOTIONS: usize = 120;
        const ROLLBACKS: usize = 80;
        env.namespace("acme").await;
        env.policy(&production("[]")).await;
        for number in 0..PROMOTIONS {
            env.root().push(&format!("text {number}")).await;
        }
        let others = others(&env).await;
        let replicas = all(&env, &others);
        let clock = AtomicU64::new(0);
        let one = async |number: usize| -> Option<Moved> {
            let someone = replicas[number % replicas.len()].root();
            let began = clock.fetch_add(1, Ordering::SeqCst);
            let answer = match number % 5 {
                0 | 2 => someone.rollback("production", None).await,
                _ => {
                    let version = format!("1.0.{}", number * PROMOTIONS / (PROMOTIONS + ROLLBACKS));
                    someone.promote(&version, "production").await
                }
            };
            let ended = clock.fetch_add(1, Ordering::SeqCst);
            if !answer.status.is_success() {
                let code = answer.code();
                assert!(["stage_empty", "rollback_nowhere", "promotion_contended"].contains(&code.as_str()), "{code}: {}", answer.text());
                return None;
            }
            let value = answer.value();
            let number = value["number"].as_i64()?;
            let to = value["to"].as_str().or(value["version"].as_str()).unwrap().to_owned();
            Some(Moved { number, to, from: value["from"].as_str().map(str::to_owned), began, ended })
        };
        let moved = futures_util::future::join_all((0..PROMOTIONS + ROLLBACKS).map(one)).await;
        let mut moved: Vec<Moved> = moved.into_iter().flatten().collect();
        moved.sort_by_key(|one| one.number);
        let steps = history(&env).await;
        assert!(moved.len() > 20, "enough went through to tell: {}", moved.len());
        assert_eq!(steps.len(), moved.len(), "every acknowledged move is in the history, and nothing else");
        for (index, (step, one)) in steps.iter().zip(&moved).enumerate() {
            assert_eq!(one.number, index as i64 + 1, "no two have the same predecessor, and there is no gap");
            assert_eq!((step["number"].as_i64(), step["version"].as_str(), step["from"].as_str()), (Some(one.number), Some(one.to.as_str()), one.from.as_deref()));
            let before = index.checked_sub(1).map(|before| moved[before].to.clone());
            assert_eq!(one.from, before, "each begins where the one before has ended");
        }
        for (index, one) in moved.iter().enumerate() {
            for later in &moved[index + 1..] {
                assert!(later.ended > one.began, "what was acknowledged before it began comes before it: {one:?} {later:?}");
            }
        }
        assert_eq!(env.at("production").await, moved.last().unwrap().to);
        let kept = env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
        assert_eq!(kept["first_bad"], Value::Null);
    }

    async fn nothing_changes_between_judging_and_moving(env: Env) {
        const ROUNDS: usize = 15;
        env.namespace("acme").await;
        let (open, strict) = (production("[]"), production("[{ approvals: { count: 1 } }]"));
        env.policy(&open).await;
        for number in 0..3 * ROUNDS {
            env.root().push(&format!("text {number}")).await;
        }
        let others = others(&env).await;
        let replicas = all(&env, &others);
        let of = |number: usize| -> Someone<'_> { replicas[number % replicas.len()].root() };
        let policies = async {
            for number in 0..2 * ROUNDS {
                let text = if number % 2 == 0 { &strict } else { &open };
                of(number).call("PUT", "/v1/policies/acme").body(text.clone()).expect(200).await;
            }
        };
        let freezes = async {
            for number in 0..ROUNDS {
                let path = format!("/v1/freezes/{W}");
                of(number).call("POST", &path).json(json!({ "reason": "r" })).expect(200).await;
                of(number + 1).call("DELETE", &path).expect(200).await;
            }
        };
        let promotions = async {
            for number in 0..3 * ROUNDS {
                of(number).promote(&format!("1.0.{number}"), "production").await;
            }
        };
        let evidence = async {
            for number in 0..2 * ROUNDS {
                let version = format!("1.0.{}", number % ROUNDS);
                let attached = of(number).evaluate(&version, number, 3 * ROUNDS).await;
                assert_eq!(attached.status, 200, "{}", attached.text());
            }
        };
        futures_util::future::join4(policies, freezes, promotions, evidence).await;
        // The log is the order in which things happened: what held at each promotion can be read off it.
        let events = env.get("/v1/events?limit=1000&namespace=acme").expect(200).await.value();
        let strict = gradus::model::digest::Digest::sha256(strict.as_bytes()).to_string();
        let (mut is_strict, mut is_frozen, mut promoted) = (false, false, 0);
        for event in events["items"].as_array().unwrap() {
            match event["kind"].as_str().unwrap() {
                "policy_applied" => is_strict = event["data"]["policy"] == strict.as_str(),
                "frozen" => is_frozen = true,
                "unfrozen" => is_frozen = false,
                "promoted" if event["data"]["stage"] == "production" => {
                    assert!(!is_strict && !is_frozen, "moved against what held at that moment: {event}");
                    promoted += 1;
                }
                _ => {}
            }
        }
        assert!(promoted > 0, "something went through");
    }

    async fn what_was_withdrawn_stays_so(env: Env) {
        env.namespace("acme").await;
        env.policy(&production("[{ approvals: { count: 1 } }]")).await;
        let others = others(&env).await;
        let replicas = all(&env, &others);
        let (mut withdrawn, mut promoted) = (0, 0);
        for number in 0..16 {
            let version = env.root().push(&format!("text {number}")).await;
            env.root().promote(&version, "production").await;
            let bo = env.someone("bo", &[gradus::model::access::Role::Approver]).await;
            let bo = Someone { env: replicas[number % replicas.len()], token: bo.token };
            let (approved, taken) = futures_util::future::join(bo.approve(&version, "production"), async {
                env.root().withdraw(&version, "production").await
            }).await;
            assert_eq!(approved.status, 200, "{}", approved.text());
            let is_there = env.at("production").await == version;
            match taken.status.as_u16() {
                200 => {
                    assert_eq!(taken.value()["state"], "withdrawn");
                    assert!(!is_there, "{version} was withdrawn and entered all the same");
                    withdrawn += 1;
                }
                _ => {
                    assert_eq!(taken.code(), "promotion_unknown");
                    assert!(is_there, "{version}");
                    promoted += 1;
                }
            }
            gradus::ops::settle::settle_due(&env.cx).await.unwrap();
            assert_eq!(env.at("production").await == version, is_there, "and so it stays");
        }
        assert_eq!(withdrawn + promoted, 16);
    }

    async fn of_many_overrides_each_has_its_own_place(env: Env) {
        env.namespace("acme").await;
        env.policy(&production("[{ approvals: { count: 1 } }]")).await;
        for number in 0..8 {
            env.root().push(&format!("text {number}")).await;
        }
        let others = others(&env).await;
        let replicas = all(&env, &others);
        let over = async |number: usize| {
            let someone = replicas[number % replicas.len()].root();
            // Each has looked at an empty stage.
            let more = json!({ "override": "now" });
            someone.promote_with(&format!("1.0.{number}"), "production", more).await
        };
        let answers = futures_util::future::join_all((0..8).map(over)).await;
        let mut numbers: Vec<i64> = answers.iter().filter(|answer| answer.status.is_success()).map(|answer| answer.value()["number"].as_i64().unwrap()).collect();
        numbers.sort_unstable();
        let expected: Vec<i64> = (1..=numbers.len() as i64).collect();
        assert_eq!(numbers, expected);
        for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
            assert_eq!(answer.code(), "promotion_contended");
        }
        let racing = async |number: usize| {
            let someone = replicas[number % replicas.len()].root();
            let holds = env.at("production").await;
            let expect = json!({ "override": "again", "expect": holds });
            someone.promote_with(&format!("1.0.{number}"), "production", expect).await
        };
        let holds = env.at("production").await;
        let free = (0..8).filter(|number| format!("1.0.{number}") != holds);
        let answers = futures_util::future::join_all(free.map(racing)).await;
        let won = answers.iter().filter(|answer| answer.status.is_success()).count();
        assert!(won >= 1);
        for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
            assert!(["stage_moved", "promotion_contended"].contains(&answer.code().as_str()), "{}", answer.text());
        }
    }
}
