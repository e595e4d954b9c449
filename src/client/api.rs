//! The calls of `/v1`, typed.

use super::{Call, Client};
use crate::{
    error::{Error, Result},
    kinds::prompt::Rendered,
    model::{
        access::Role,
        digest::Digest,
        event::Event,
        merkle,
        name::{Namespace, PrincipalName, Tag, Workload},
        reference::{Reference, Selector},
        resolution::Resolution,
        version::Version,
    },
    wire::{self, Page},
};
use chrono::{DateTime, Utc};
use http::Method;
use serde::de::DeserializeOwned;

/// A path segment or query value with everything escaped that is not plain.
pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

pub(super) fn get(path: impl Into<String>) -> Call {
    Call::new(Method::GET, path)
}

pub(super) fn tag(reference: &Reference) -> String {
    escape(reference.selector.to_string().trim_start_matches([':', '@']))
}

impl Client {
    /// All pages of a list, up to `most` entries.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &str,
        most: usize,
    ) -> Result<Vec<T>> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let limit = (most - items.len()).min(1000);
            let cursor_part = cursor.map(|cursor| format!("&cursor={}", escape(&cursor))).unwrap_or_default();
            let page: Page<T> = self.json(get(format!("{path}?limit={limit}{query}{cursor_part}"))).await?;
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() || items.len() >= most {
                return Ok(items);
            }
        }
    }

    /// Whether the server's database and stores answer; its clock, where it tells that.
    pub async fn ready(&self) -> Result<Option<DateTime<Utc>>> {
        let reply = self.send(get("/readyz")).await?;
        let date = reply.header(http::header::DATE).and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        Ok(date.map(|date| date.with_timezone(&Utc)))
    }

    pub async fn whoami(&self) -> Result<wire::Whoami> {
        self.json(get("/v1/whoami")).await
    }

    pub async fn create_namespace(&self, new: &wire::NewNamespace) -> Result<wire::NamespaceView> {
        self.json(Call::new(Method::POST, "/v1/namespaces").json(new)?).await
    }

    pub async fn show_namespace(&self, name: &Namespace) -> Result<wire::NamespaceView> {
        self.json(get(format!("/v1/namespaces/{name}"))).await
    }

    pub async fn list_namespaces(&self) -> Result<Vec<wire::NamespaceView>> {
        self.pages("/v1/namespaces", "", usize::MAX).await
    }

    pub async fn list_members(&self, place: &str) -> Result<Vec<wire::MemberView>> {
        self.pages(&format!("/v1/members/{}", escape(place)), "", usize::MAX).await
    }

    pub async fn add_member(&self, place: &str, who: &PrincipalName, role: Role) -> Result<()> {
        let path = format!("/v1/members/{}/{}/{role}", escape(place), escape(who.as_str()));
        self.send(Call::new(Method::PUT, path)).await.map(drop)
    }

    pub async fn remove_member(&self, place: &str, who: &PrincipalName, role: Role) -> Result<()> {
        let path = format!("/v1/members/{}/{}/{role}", escape(place), escape(who.as_str()));
        self.send(Call::new(Method::DELETE, path)).await.map(drop)
    }

    pub async fn list_users(&self) -> Result<Vec<wire::UserView>> {
        self.pages("/v1/users", "", usize::MAX).await
    }

    pub async fn add_user(&self, new: &wire::NewUser) -> Result<wire::UserView> {
        self.json(Call::new(Method::POST, "/v1/users").json(new)?).await
    }

    pub async fn disable_user(&self, user: &PrincipalName) -> Result<()> {
        self.send(Call::new(Method::POST, format!("/v1/users/{}/disable", escape(user.as_str()))))
            .await
            .map(drop)
    }

    pub async fn list_tokens(&self, all: bool) -> Result<Vec<wire::TokenView>> {
        self.pages("/v1/tokens", &format!("&all={all}"), usize::MAX).await
    }

    pub async fn create_token(&self, new: &wire::NewToken) -> Result<wire::TokenCreated> {
        self.json(Call::new(Method::POST, "/v1/tokens").json(new)?).await
    }

    pub async fn revoke_token(&self, id: &str) -> Result<()> {
        self.send(Call::new(Method::DELETE, format!("/v1/tokens/{}", escape(id)))).await.map(drop)
    }

    pub async fn issuers(&self) -> Result<Vec<wire::IssuerView>> {
        let page: Page<wire::IssuerView> = self.json(get("/v1/oidc")).await?;
        Ok(page.items)
    }

    pub async fn exchange(&self, asked: &wire::Exchange) -> Result<wire::Exchanged> {
        self.json(Call::new(Method::POST, "/v1/oidc/token").json(asked)?).await
    }

    pub async fn list_trust(&self, namespace: &Namespace) -> Result<Vec<wire::TrustView>> {
        self.pages(&format!("/v1/trust/{namespace}"), "", usize::MAX).await
    }

    pub async fn add_trust(&self, namespace: &Namespace, new: &wire::NewTrust) -> Result<wire::TrustView> {
        self.json(Call::new(Method::POST, format!("/v1/trust/{namespace}")).json(new)?).await
    }

    pub async fn remove_trust(&self, namespace: &Namespace, rule: &str) -> Result<()> {
        self.send(Call::new(Method::DELETE, format!("/v1/trust/{namespace}/{}", escape(rule))))
            .await
            .map(drop)
    }

    pub async fn list_workloads(&self, namespace: Option<&Namespace>) -> Result<Vec<wire::WorkloadView>> {
        let query = namespace.map(|namespace| format!("&namespace={namespace}")).unwrap_or_default();
        self.pages("/v1/workloads", &query, usize::MAX).await
    }

    pub async fn list_versions(
        &self,
        workload: &Workload,
        query: &str,
        most: usize,
    ) -> Result<Vec<wire::VersionView>> {
        self.pages(&format!("/v1/workloads/{workload}/versions"), query, most).await
    }

    pub async fn present(&self, workload: &Workload, asked: wire::Present) -> Result<wire::Present> {
        let path = format!("/v1/workloads/{workload}/present");
        self.json(Call::new(Method::POST, path).json(&asked)?).await
    }

    /// Asks whether there is room. `None`: a registry older than the question; what has no room it refuses when it comes.
    pub(super) async fn ask_room(
        &self,
        workload: &Workload,
        asked: wire::Present,
    ) -> Result<Option<wire::Present>> {
        match self.present(workload, asked).await {
            Err(error) if error.code == "body_invalid" => Ok(None),
            answer => answer.map(Some),
        }
    }

    pub async fn create_version(
        &self,
        workload: &Workload,
        new: &wire::NewVersion,
    ) -> Result<wire::PushedView> {
        let path = format!("/v1/workloads/{workload}/versions");
        self.json(Call::new(Method::POST, path).json(new)?).await
    }

    pub async fn resolve(&self, reference: &Reference) -> Result<Resolution> {
        let workload = &reference.workload;
        let resolved: Resolution = self
            .json(get(match reference.selector {
                Selector::Default => format!("/v1/workloads/{workload}/resolve"),
                _ => format!("/v1/workloads/{workload}/resolve/{}", tag(reference)),
            }))
            .await?;
        // Other references mean what the server says; a digest means itself.
        match &reference.selector {
            Selector::Digest(digest) if *digest != resolved.digest => Err(Error::integrity(
                "resolved_otherwise",
                format!("the server answers with another version than asked for: {}", resolved.digest),
            )
            .hint("use nothing of it, and ask whoever runs the server")),
            _ => Ok(resolved),
        }
    }

    /// A reference with its default spelled out, for routes that want a TAG.
    pub(super) async fn concrete(&self, reference: &Reference) -> Result<Reference> {
        let mut reference = reference.clone();
        if matches!(reference.selector, Selector::Default) {
            reference.selector = Selector::Digest(self.resolve(&reference).await?.digest);
        }
        Ok(reference)
    }

    pub async fn show(&self, reference: &Reference) -> Result<wire::ShowView> {
        let reference = self.concrete(reference).await?;
        self.json(get(format!("/v1/workloads/{}/versions/{}", reference.workload, tag(&reference)))).await
    }

    pub async fn render(&self, reference: &Reference, body: &wire::Render) -> Result<Rendered> {
        let reference = self.concrete(reference).await?;
        let path = format!("/v1/workloads/{}/render/{}", reference.workload, tag(&reference));
        self.json(Call::new(Method::POST, path).json(body)?).await
    }

    pub async fn diff(&self, from: &Reference, to: &Reference) -> Result<wire::DiffView> {
        let (from, to) = (escape(&from.to_string()), escape(&to.to_string()));
        self.json(get(format!("/v1/diff?from={from}&to={to}"))).await
    }

    pub async fn yank(&self, workload: &Workload, version: &Version, reason: &str) -> Result<()> {
        let path = format!("/v1/workloads/{workload}/versions/{version}/yank");
        self.send(Call::new(Method::POST, path).json(&wire::Yank { reason: reason.to_owned() })?)
            .await
            .map(drop)
    }

    pub async fn list_aliases(&self, workload: &Workload) -> Result<Vec<wire::AliasView>> {
        self.pages(&format!("/v1/workloads/{workload}/aliases"), "", usize::MAX).await
    }

    pub async fn set_alias(&self, workload: &Workload, alias: &Tag, to: &str) -> Result<wire::AliasView> {
        let path = format!("/v1/workloads/{workload}/aliases/{alias}");
        self.json(Call::new(Method::PUT, path).json(&wire::SetAlias { to: to.to_owned() })?).await
    }

    pub async fn remove_alias(&self, workload: &Workload, alias: &Tag) -> Result<()> {
        self.send(Call::new(Method::DELETE, format!("/v1/workloads/{workload}/aliases/{alias}")))
            .await
            .map(drop)
    }

    pub async fn events(&self, query: &str, from: i64, most: usize) -> Result<Vec<Event>> {
        let page: Page<Event> =
            self.json(get(format!("/v1/events?limit={}&cursor={from}{query}", most.clamp(1, 1000)))).await?;
        Ok(page.items)
    }

    /// A text of the log: `checkpoint` or `key`.
    pub async fn log_text(&self, what: &str) -> Result<String> {
        let bytes = self.send(get(format!("/v1/log/{what}"))).await?.bytes().await?;
        String::from_utf8(bytes).map_err(|source| {
            Error::unavailable("answer_invalid", "the server's answer is not text").source(source)
        })
    }

    /// The exact bytes of a bundle of entries, as tlog-tiles cuts them: each comes with its length before it.
    pub async fn log_entries(&self, number: u64, width: u64) -> Result<Vec<Vec<u8>>> {
        let part = if width < merkle::TILE { format!(".p/{width}") } else { String::new() };
        let path = format!("/v1/log/tile/entries/{}{part}", merkle::tile_path(number));
        let bytes = self.send(get(path)).await?.bytes().await?;
        let (mut rest, mut entries) = (&bytes[..], Vec::new());
        while let Some((length, more)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, more) = more
                .split_at_checked(length)
                .ok_or_else(|| Error::unavailable("answer_cut", "the answer ended before it was whole"))?;
            entries.push(entry.to_vec());
            rest = more;
        }
        Ok(entries)
    }

    pub async fn log_proof(&self, position: u64) -> Result<wire::LogProof> {
        self.json(get(format!("/v1/log/proof/{position}"))).await
    }

    /// The proof of what was done to a workload, for whoever may read it.
    pub async fn workload_proof(&self, workload: &Workload, position: u64) -> Result<wire::LogProof> {
        self.json(get(format!("/v1/workloads/{workload}/proof/{position}"))).await
    }

    pub async fn verify_log(&self, body: &wire::VerifyLog) -> Result<wire::LogReport> {
        self.json(Call::new(Method::POST, "/v1/log/verify").json(body)?.takes_long()).await
    }

    pub async fn recover_log(&self, body: &wire::RecoverLog) -> Result<wire::LogRecovered> {
        self.json(Call::new(Method::POST, "/v1/log/recover").json(body)?.takes_long()).await
    }

    pub async fn gc(&self, body: &wire::CollectGarbage) -> Result<wire::GarbageView> {
        self.json(Call::new(Method::POST, "/v1/gc").json(body)?.takes_long()).await
    }

    pub async fn scrub(&self, body: &wire::Scrub) -> Result<wire::ScrubView> {
        self.json(Call::new(Method::POST, "/v1/scrub").json(body)?.takes_long()).await
    }

    /// A small blob, whole.
    pub async fn blob(&self, workload: &Workload, digest: &Digest, most: u64) -> Result<Vec<u8>> {
        let reply = self.send(get(format!("/v2/{workload}/blobs/{digest}"))).await?;
        let size = reply.header(http::header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
        if size.is_some_and(|size: u64| size > most) {
            return Err(Error::too_large(
                "blob_too_large",
                format!("the blob is larger than {most} bytes: {digest}"),
            ));
        }
        reply.bytes().await
    }

    /// A manifest's exact bytes.
    pub async fn manifest(&self, workload: &Workload, digest: &Digest) -> Result<Vec<u8>> {
        self.send(get(format!("/v2/{workload}/manifests/{digest}"))).await?.bytes().await
    }
}
