//! The message about an event in the form that a receiver takes.

use super::{cloud_event, target::Target, webhook};
use crate::model::hook::Template;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// What is sent: the same bytes at each attempt, but for the time of the signature.
#[derive(Debug)]
pub struct Message {
    pub id: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// `event` is a CloudEvent.
pub fn message(target: &Target, event: &Value, now: DateTime<Utc>) -> Message {
    let id = event["id"].as_str().unwrap_or_default().to_owned();
    let json = |value: &Value| value.to_string().into_bytes();
    let token = target.token.as_deref().unwrap_or_default();
    let (kind, mut headers, body) = match target.template {
        Template::Cloudevents => {
            let body = json(event);
            let signed = webhook::headers(&target.valid_secrets(now), &id, now, &body);
            (cloud_event::CONTENT_TYPE, signed.to_vec(), body)
        }
        Template::Github => {
            let accept = ("accept", "application/vnd.github+json".to_owned());
            let version = ("x-github-api-version", "2022-11-28".to_owned());
            let bearer = ("authorization", format!("Bearer {token}"));
            ("application/json", vec![accept, version, bearer], json(&github(event)))
        }
        Template::Gitlab => {
            let branch = target.git_ref.as_deref().unwrap_or("main");
            ("application/x-www-form-urlencoded", Vec::new(), gitlab(event, token, branch))
        }
        Template::Slack => ("application/json", Vec::new(), json(&json!({ "text": slack(event) }))),
    };
    headers.push(("content-type", kind.to_owned()));
    Message { id, headers, body }
}

/// What templates say of an event, in the order they say it; only what there is. GitHub takes at most ten.
fn summary(event: &Value) -> Map<String, Value> {
    let data = &event["data"];
    let kind = event["type"].as_str().unwrap_or_default();
    let reason = if data["reason"].is_null() { &data["override"] } else { &data["reason"] };
    let all = [
        ("id", event["id"].clone()),
        ("time", event["time"].clone()),
        ("kind", kind.strip_prefix(cloud_event::TYPE).unwrap_or(kind).into()),
        ("workload", data["workload"].clone()),
        ("stage", data["stage"].clone()),
        ("version", data["version"].clone()),
        ("digest", data["digest"].clone()),
        ("from", data["from"].clone()),
        ("actor", event["actor"].clone()),
        ("reason", reason.clone()),
    ];
    all.into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn github(event: &Value) -> Value {
    let summary = summary(event);
    let kind = summary["kind"].as_str().unwrap_or_default();
    json!({ "event_type": format!("gradus.{kind}"), "client_payload": summary })
}

fn gitlab(event: &Value, token: &str, branch: &str) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token).append_pair("ref", branch);
    for (name, value) in summary(event) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        form.append_pair(&format!("variables[GRADUS_{}]", name.to_ascii_uppercase()), &text);
    }
    form.finish().into_bytes()
}

/// One line. Slack reads `&`, `<` and `>`: a reason must not become a link or call a channel.
fn slack(event: &Value) -> String {
    let summary = summary(event);
    let text = |name: &str| {
        let text = summary.get(name).and_then(Value::as_str).unwrap_or_default();
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    };
    let subject = event["subject"].as_str().unwrap_or_default();
    let mut line = format!("*{}* {subject}", text("kind").replace('_', " "));
    for (before, name, after) in [
        (":", "version", ""),
        (" → ", "stage", ""),
        (" (was ", "from", ")"),
        (" by ", "actor", ""),
        (": ", "reason", ""),
    ] {
        if summary.contains_key(name) {
            line += &format!("{before}{}{after}", text(name));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::webhook::Secret;

    fn event(reason: &str) -> Value {
        json!({
            "specversion": "1.0", "id": "r-1-7", "type": "dev.gradus.rolled_back", "subject": "acme/x",
            "time": "2026-01-02T03:04:05.000000Z", "actor": "ada",
            "data": { "workload": "acme/x", "version": "1.0.0", "digest": "sha256:00", "stage": "production",
                "number": 3, "from": "1.1.0", "marked": ["1.1.0"], "reason": reason },
        })
    }

    fn target(template: Template) -> Target {
        let token =
            (template != Template::Slack && template != Template::Cloudevents).then(|| "t0ken".to_owned());
        let secret = (template == Template::Cloudevents).then(|| Secret::of([1; 32], false));
        Target::new("https://a.example.org/", template, secret, token, None, None).unwrap()
    }

    #[test]
    fn each_receiver_gets_its_form() {
        let now = DateTime::UNIX_EPOCH;
        let text = |template| {
            let message = message(&target(template), &event("too <!channel> slow & dear"), now);
            (message.headers, String::from_utf8(message.body).unwrap())
        };
        let (headers, body) = text(Template::Github);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["event_type"], "gradus.rolled_back");
        assert_eq!(body["client_payload"]["version"], "1.0.0");
        assert_eq!(body["client_payload"].as_object().unwrap().len(), 10, "GitHub takes no more");
        assert!(headers.contains(&("authorization", "Bearer t0ken".to_owned())));

        let (headers, body) = text(Template::Gitlab);
        assert!(body.starts_with("token=t0ken&ref=main&"), "{body}");
        assert!(body.contains("variables%5BGRADUS_STAGE%5D=production"), "{body}");
        assert!(headers.contains(&("content-type", "application/x-www-form-urlencoded".to_owned())));

        let (_, body) = text(Template::Slack);
        let body: Value = serde_json::from_str(&body).unwrap();
        let line = "*rolled back* acme/x:1.0.0 → production (was 1.1.0) by ada: too &lt;!channel&gt; slow &amp; dear";
        assert_eq!(body["text"], line);

        let (headers, body) = text(Template::Cloudevents);
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), event("too <!channel> slow & dear"));
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"]);
    }
}
