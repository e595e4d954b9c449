//! Where a hook sends to, with what authenticates it there. Kept sealed: a URL may be a secret itself (Slack).

use super::webhook::Secret;
use crate::{
    error::{Error, Result},
    model::hook::Template,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

const URL_MAX: usize = 2000;
const TOKEN_MAX: usize = 4000;
/// Longest beginning of a path that is shown.
const SHOWN_MAX: usize = 16;
/// Shorter parts of a URL are no secrets, and taking them out of an answer would make it unreadable.
const SECRET_MIN: usize = 8;
/// JetStream's own bound of a subject is the server's; this one keeps nonsense out.
const SUBJECT_MAX: usize = 255;

/// By what a message is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Http,
    Nats,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    url: String,
    pub template: Template,
    /// What signs, newest first, with how long it does.
    pub secrets: Vec<Signing>,
    /// What the receiver knows us by: GitHub, GitLab, NATS.
    pub token: Option<String>,
    /// GitLab: the branch or tag whose pipeline runs.
    pub git_ref: Option<String>,
    /// NATS: the subject.
    pub subject: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signing {
    pub secret: Secret,
    /// `None`: until another takes its place.
    pub until: Option<DateTime<Utc>>,
}

impl Target {
    pub fn new(
        url: &str,
        template: Template,
        secret: Option<Secret>,
        token: Option<String>,
        git_ref: Option<String>,
        subject: Option<String>,
    ) -> Result<Self> {
        let parsed = parse(url)?;
        let carrier = carrier(&parsed);
        let refuse = |why: &str, hint: &str| Err(Error::invalid("hook_target_invalid", why).hint(hint));
        if carrier == Carrier::Nats && template != Template::Cloudevents {
            return refuse("NATS takes CloudEvents only", "leave --template out");
        }
        if carrier == Carrier::Nats && subject.is_none() {
            return refuse(
                "a NATS hook needs a subject",
                "--subject gradus.events, of a stream that takes it",
            );
        }
        if subject.as_deref().is_some_and(|subject| carrier != Carrier::Nats || !is_subject(subject)) {
            return refuse(
                "this is no place for such a subject",
                "--subject is for nats:// and has words of letters, digits, - and _ between dots",
            );
        }
        let token_fits = |token: &String| {
            !token.is_empty() && token.len() <= TOKEN_MAX && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !token.as_ref().is_none_or(token_fits) {
            return refuse("the token is empty, too long or not one word", "give it by --token-file");
        }
        match (template, &token) {
            (Template::Github | Template::Gitlab, None) => {
                return refuse("this template needs the receiver's token", "give it by --token-file");
            }
            (Template::Slack, Some(_)) => {
                return refuse("Slack takes no token", "its URL is the secret; leave --token-file out");
            }
            _ => {}
        }
        if secret.is_some() != (template == Template::Cloudevents) {
            return refuse(
                "only CloudEvents are signed",
                "GitHub and GitLab know the registry by a token, Slack by its URL; leave --secret-file out",
            );
        }
        if git_ref.is_some() && template != Template::Gitlab {
            return refuse("only pipelines of GitLab have a ref", "leave --ref out");
        }
        if git_ref.as_deref().is_some_and(|name| name.is_empty() || name.len() > 255) {
            return refuse("not a ref", "--ref main");
        }
        let secrets = secret.map(|secret| Signing { secret, until: None }).into_iter().collect();
        Ok(Self { url: parsed.into(), template, secrets, token, git_ref, subject })
    }

    pub fn url(&self) -> Result<Url> {
        parse(&self.url)
    }

    pub fn carrier(&self) -> Result<Carrier> {
        self.url().map(|url| carrier(&url))
    }

    /// What may be shown: scheme, host, port, and where the path begins, if that is a plain word and more follows it.
    /// Many receivers know their callers by what comes then (Slack, Discord, Teams, Zapier …), some by the only word
    /// there is.
    pub fn shown(&self) -> String {
        let Ok(mut url) = self.url() else { return String::new() };
        url.set_query(None);
        let path = url.path().to_owned();
        url.set_path("");
        let mut shown = String::from(url);
        if let Some((word, _)) = path[1.min(path.len())..].split_once('/').filter(|(word, _)| is_plain(word))
        {
            shown = format!("{shown}{word}/");
        }
        if path.len() > 1 {
            shown.push('…');
        }
        match &self.subject {
            Some(subject) => format!("{} {subject}", shown.trim_end_matches('/')),
            None => shown,
        }
    }

    /// The secrets that are valid at a time.
    pub fn valid_secrets(&self, now: DateTime<Utc>) -> Vec<&Secret> {
        let valid = |signing: &&Signing| signing.until.is_none_or(|until| now < until);
        self.secrets.iter().filter(valid).map(|signing| &signing.secret).collect()
    }

    /// Takes what must not be seen out of a text that a receiver answered.
    pub fn redact(&self, text: &str) -> String {
        let mut hidden: Vec<&str> = self.secrets.iter().map(|signing| signing.secret.text()).collect();
        // A user and a password are secrets each.
        hidden.extend(self.token.as_deref());
        hidden.extend(self.token.iter().flat_map(|token| token.split(':')).filter(|part| !part.is_empty()));
        // Receivers like to say what they were asked for, and many know their callers by a query or a path.
        let url = self.url().ok();
        let parts = url.iter().flat_map(|url| [Some(url.as_str()), url.query(), Some(url.path())]);
        hidden.extend(parts.flatten().filter(|part| part.len() > 1));
        let pieces = url
            .iter()
            .flat_map(|url| url.path().split('/').chain(url.query().unwrap_or_default().split(['&', '='])));
        hidden.extend(pieces.filter(|piece| piece.len() >= SECRET_MIN));
        // The longest first, or a part would leave the rest of the whole behind.
        hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        hidden.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

/// Whether the beginning of a path is a word as people choose them (`hooks`, `api`): tokens have digits, capitals or length.
fn is_plain(word: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_');
    !word.is_empty() && word.len() <= SHOWN_MAX && word.bytes().all(is_letter)
}

fn is_subject(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= SUBJECT_MAX && text.split('.').all(is_word)
}

fn carrier(url: &Url) -> Carrier {
    if matches!(url.scheme(), "nats" | "tls") { Carrier::Nats } else { Carrier::Http }
}

/// Whether what is sent there is encrypted on the way.
pub fn is_encrypted(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "tls")
}

fn parse(text: &str) -> Result<Url> {
    let refuse = |why: &str| {
        Error::invalid("hook_url_invalid", format!("not a URL for a hook: {why}"))
            .hint("for example https://ci.example.org/hooks/gradus, or tls://nats.example.org:4222")
    };
    if text.len() > URL_MAX {
        return Err(refuse("it is too long"));
    }
    let url = Url::parse(text).map_err(|_| refuse("it cannot be read"))?;
    if !matches!(url.scheme(), "https" | "http" | "nats" | "tls") {
        return Err(refuse("it begins with neither https:// nor http://, nats:// or tls://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it has a user or password; give what authenticates by --token-file"));
    }
    if url.fragment().is_some() {
        return Err(refuse("it has a fragment (#…), which is never sent"));
    }
    match url.host() {
        None => Err(refuse("it has no host")),
        Some(Host::Domain("")) => Err(refuse("it has no host")),
        Some(_) if carrier(&url) == Carrier::Nats && !matches!(url.path(), "" | "/") => {
            Err(refuse("a NATS server has no path; name the subject by --subject"))
        }
        Some(_) => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(url: &str) -> Result<Target> {
        Target::new(url, Template::Cloudevents, Some(Secret::of([1; 32], false)), None, None, None)
    }

    #[test]
    fn urls_are_read_strictly() {
        for good in ["https://ci.example.org/hooks?x=1", "http://127.0.0.1:80/", "https://[::1]:1/a"] {
            plain(good).unwrap();
        }
        for bad in [
            "",
            "ci.example.org",
            "ftp://ci.example.org/",
            "file:///etc/passwd",
            "https://",
            "https://user:password@ci.example.org/",
            "https://user@ci.example.org/",
            "https://ci.example.org/#part",
            "https://ci example.org/",
            "https://ci.example.org:99999/",
        ] {
            assert_eq!(plain(bad).unwrap_err().code, "hook_url_invalid", "{bad}");
        }
        assert!(plain(&format!("https://a/{}", "x".repeat(2000))).is_err());
    }

    #[test]
    fn what_is_shown_tells_no_secret() {
        let shown = |url: &str| plain(url).unwrap().shown();
        for (url, expected) in [
            ("https://ci.example.org/hooks/gradus", "https://ci.example.org/hooks/…"),
            (
                "https://ci.example.org:8443/change_hook/base?key=xyz",
                "https://ci.example.org:8443/change_hook/…",
            ),
            ("https://chat.example.org/api/webhooks/17/Tok-en", "https://chat.example.org/api/…"),
            ("https://flow.example.org/hooks/catch/17/abcdef/", "https://flow.example.org/hooks/…"),
            ("https://bot.example.org/bot17:AbC/send", "https://bot.example.org/…"),
            ("https://n.example.org/0f3a-99/x", "https://n.example.org/…"),
            ("https://n.example.org/abcdefghijklmnopq/x", "https://n.example.org/…"),
            ("https://topic.example.org/secretword", "https://topic.example.org/…"),
            ("https://a.example.org//x", "https://a.example.org/…"),
            ("https://a.example.org/?key=xyz", "https://a.example.org/"),
            ("https://a.example.org", "https://a.example.org/"),
            ("http://[::1]:1/a/b", "http://[::1]:1/a/…"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
        let slack = "https://hooks.example.org/services/T0/B0/xyz";
        let slack = Target::new(slack, Template::Slack, None, None, None, None).unwrap();
        assert_eq!(slack.shown(), "https://hooks.example.org/services/…");
    }

    #[test]
    fn what_is_answered_tells_no_secret() {
        let target = plain("https://a.example.org/").unwrap();
        let secret = target.secrets[0].secret.text().to_owned();
        assert_eq!(target.redact(&format!("bad signature, {secret}!")), "bad signature, …!");
        let target = plain("https://a.example.org/in/abc?key=xyz").unwrap();
        assert_eq!(target.redact("cannot POST /in/abc?key=xyz"), "cannot POST …?…");
        assert_eq!(target.redact("https://a.example.org/in/abc?key=xyz is gone"), "… is gone");
        let target = plain("https://a.example.org/in/Abcdefg8?key=xyzxyzxyz").unwrap();
        assert_eq!(target.redact("no Abcdefg8 here, nor xyzxyzxyz: in what?"), "no … here, nor …: in what?");
    }

    #[test]
    fn templates_take_what_is_theirs_only() {
        let token = || Some("t0ken".to_owned());
        let secret = || Some(Secret::of([1; 32], false));
        let url = "https://api.example.org/";
        let make = |template, secret, token, git_ref, subject| {
            Target::new(url, template, secret, token, git_ref, subject).is_ok()
        };
        assert!(make(Template::Github, None, token(), None, None));
        assert!(make(Template::Gitlab, None, token(), Some("main".into()), None));
        assert!(!make(Template::Github, None, None, None, None), "without a token");
        assert!(!make(Template::Github, secret(), token(), None, None), "with a secret");
        assert!(!make(Template::Github, None, token(), Some("main".into()), None), "with a ref");
        assert!(!make(Template::Github, None, Some("a b".into()), None, None), "not one word");
        assert!(!make(Template::Slack, None, token(), None, None), "with a token");
        assert!(!make(Template::Cloudevents, None, None, None, None), "unsigned");
        assert!(!make(Template::Cloudevents, secret(), None, None, Some("a.b".into())), "a subject");
        let nats = |subject: Option<&str>| {
            let subject = subject.map(str::to_owned);
            Target::new("nats://127.0.0.1:4222", Template::Cloudevents, secret(), None, None, subject)
        };
        assert_eq!(nats(Some("gradus.events")).unwrap().shown(), "nats://127.0.0.1:4222 gradus.events");
        for bad in [None, Some(""), Some("a..b"), Some("a.*"), Some(">"), Some("a b")] {
            assert!(nats(bad).is_err(), "{bad:?}");
        }
    }
}
