//! Promotions by the API: evidence, decisions, stages.

use super::{Answer, Call, Env, files};
use gradus::model::access::{PrincipalKind, Role};
use gradus::ops::users;
use serde_json::{Value, json};

pub const W: &str = "acme/x";

/// Calls as one person.
pub struct Someone<'a> {
    pub env: &'a Env,
    pub token: String,
}

impl Env {
    pub async fn someone(&self, name: &str, roles: &[Role]) -> Someone<'_> {
        for role in roles {
            self.person(name, "acme", *role).await;
        }
        Someone { env: self, token: self.token(name, Default::default()).await }
    }

    pub async fn service(&self, name: &str, role: Role) -> Someone<'_> {
        let admin = gradus::model::access::Actor::local_admin("admin".parse().expect("a name"));
        let user = name.parse().expect("a name");
        users::add(&self.cx, &admin, user, PrincipalKind::Service).await.expect("a service");
        self.someone(name, &[role]).await
    }

    /// The admin of the registry.
    pub fn root(&self) -> Someone<'_> {
        Someone { env: self, token: self.admin.clone() }
    }

    /// Applies a policy to the namespace.
    pub async fn policy(&self, text: &str) -> Answer {
        self.call("PUT", "/v1/policies/acme").body(text.to_owned()).send().await
    }

    /// Says of a workload what the built-in policy asks for before weights enter production.
    pub async fn describe(&self, workload: &str) {
        let card = json!({
            "owner": "triage team", "purpose": "Sorts tickets.", "limits": "English only.", "risk": "limited",
            "review_on": "2027-01-01",
        });
        self.call("PATCH", &format!("/v1/workloads/{workload}/card")).json(card).expect(200).await;
    }

    pub async fn status(&self) -> Value {
        self.get(&format!("/v1/workloads/{W}/status")).expect(200).await.value()
    }

    /// The version in a stage now; empty if there is none.
    pub async fn at(&self, stage: &str) -> String {
        let status = self.status().await;
        let stages = status["stages"].as_array().expect("stages");
        let stage = stages.iter().find(|one| one["stage"] == stage).expect("the stage");
        stage["current"]["version"].as_str().unwrap_or_default().to_owned()
    }

    /// What a reference means now; empty if nothing.
    pub async fn means(&self, tag: &str) -> String {
        let answer = self.get(&format!("/v1/workloads/{W}/resolve/{tag}")).send().await;
        if answer.status != 200 {
            String::new()
        } else {
            answer.value()["version"].as_str().expect("one").to_owned()
        }
    }
}

impl Someone<'_> {
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        self.env.call(method, path).token(&self.token)
    }

    async fn on_stage(&self, stage: &str, verb: &str, body: Value) -> Answer {
        self.call("POST", &format!("/v1/workloads/{W}/stages/{stage}/{verb}")).json(body).send().await
    }

    pub async fn promote(&self, version: &str, stage: &str) -> Answer {
        self.on_stage(stage, "promote", json!({ "version": version })).await
    }

    pub async fn promote_with(&self, version: &str, stage: &str, more: Value) -> Answer {
        let mut body = json!({ "version": version });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        self.on_stage(stage, "promote", body).await
    }

    pub async fn approve(&self, version: &str, stage: &str) -> Answer {
        self.on_stage(stage, "approve", json!({ "version": version, "message": "looked at it" })).await
    }

    pub async fn reject(&self, version: &str, stage: &str) -> Answer {
        self.on_stage(stage, "reject", json!({ "version": version, "message": "too slow" })).await
    }

    pub async fn withdraw(&self, version: &str, stage: &str) -> Answer {
        self.on_stage(stage, "withdraw", json!({ "version": version })).await
    }

    pub async fn ratify(&self, stage: &str) -> Answer {
        self.call("POST", &format!("/v1/workloads/{W}/stages/{stage}/ratify")).send().await
    }

    pub async fn rollback(&self, stage: &str, to: Option<&str>) -> Answer {
        self.on_stage(stage, "rollback", json!({ "to": to, "reason": "refusals doubled" })).await
    }

    /// Pushes a prompt; its version.
    pub async fn push(&self, text: &str) -> String {
        let file = files::upload(self.env, W, "a.prompt.yaml", &files::prompt(text)).await;
        let path = format!("/v1/workloads/{W}/versions");
        let pushed = self.call("POST", &path).json(json!({ "files": [file] })).expect(201).await.value();
        pushed["version"]["version"].as_str().expect("a version").to_owned()
    }

    /// Pushes weights; `more` is merged into the request.
    pub async fn push_weights(&self, fill: u8, more: Value) -> Value {
        let file = files::upload(self.env, W, "model.safetensors", &files::safetensors(fill)).await;
        let mut body = json!({ "files": [file] });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        self.call("POST", &format!("/v1/workloads/{W}/versions")).json(body).expect(201).await.value()
    }

    pub async fn attach(&self, version: &str, file: &Value) -> Answer {
        self.attach_text(version, &file.to_string()).await
    }

    pub async fn attach_text(&self, version: &str, text: &str) -> Answer {
        let path = format!("/v1/workloads/{W}/versions/{version}/evidence");
        self.call("POST", &path).body(text.to_owned()).send().await
    }

    /// Attaches an evaluation of `n` examples, `right` of which are right.
    pub async fn evaluate(&self, version: &str, right: usize, n: usize) -> Answer {
        self.attach(version, &evaluation(right, n)).await
    }
}

/// An evaluation of `n` examples, the first `right` of which are right.
pub fn evaluation(right: usize, n: usize) -> Value {
    let examples: serde_json::Map<String, Value> =
        (0..n).map(|number| (format!("e{number}"), json!(number < right))).collect();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let value = right as f64 / n as f64;
    json!({
        "gradus": "evaluation/v1", "suite": "golden",
        "metrics": { "accuracy": { "value": value, "n": n, "unit": "ratio" } },
        "examples": { "accuracy": examples },
    })
}

/// A policy for prompts: these gates for production, as YAML flow.
pub fn production(gates: &str) -> String {
    format!("gradus: policy/v1\nrules:\n  prompt:\n    production: {{ skip: true, gates: {gates} }}\n")
}

/// The gates of a report that do not pass: name and outcome.
pub fn open_gates(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let gates = report["gates"].as_array().expect("gates").iter();
    gates
        .map(|gate| (text(&gate["gate"]), text(&gate["outcome"])))
        .filter(|(_, outcome)| outcome != "pass")
        .collect()
}
