//! `gradus log`.

use super::{
    argument,
    print::{Out, bytes, count, time},
    reads::{Reads, moment},
};
use crate::{
    client::Client,
    error::Result,
    model::{
        digest::{Digest, shorten},
        event::{Change, Event},
        name::{Namespace, PrincipalName, Workload},
        removal::Authority,
    },
};
use chrono::{DateTime, Utc};
use clap::Args;

/// What the log is read of.
#[derive(Clone)]
enum About {
    Workload(Workload),
    Namespace(Namespace),
}

fn about(text: &str) -> Result<About, String> {
    match text.contains('/') {
        true => argument(text).map(About::Workload),
        false => argument(text).map(About::Namespace),
    }
}

#[derive(Args)]
pub struct Log {
    /// Only what is about this workload, or this namespace
    #[arg(value_parser = about, value_name = "WORKLOAD|NAMESPACE", conflicts_with = "namespace")]
    about: Option<About>,
    /// Only events of this namespace
    #[arg(long, value_parser = argument::<Namespace>)]
    namespace: Option<Namespace>,
    /// Show who resolved, pulled or rendered what instead, newest first
    #[arg(long, conflicts_with_all = ["kind", "from"])]
    reads: bool,
    /// Only reads of this user or service
    #[arg(long, requires = "reads", value_parser = argument::<PrincipalName>, value_name = "PRINCIPAL")]
    by: Option<PrincipalName>,
    /// Only reads of this file, or of this version with its files
    #[arg(long, requires = "reads", value_parser = argument::<Digest>)]
    digest: Option<Digest>,
    /// Only reads from this day or time on, in UTC
    #[arg(long, requires = "reads", value_parser = moment, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    /// Only reads before this day or time
    #[arg(long, requires = "reads", value_parser = moment, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    /// Only events of this kind, for example pushed
    #[arg(long, value_parser = kind)]
    kind: Option<String>,
    /// From this position on; without it the newest
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
    from: Option<i64>,
    /// Most entries, up to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
}

fn kind(text: &str) -> Result<String, String> {
    if Change::kinds().any(|kind| kind == text) {
        return Ok(text.to_owned());
    }
    let kinds: Vec<&str> = Change::kinds().collect();
    Err(format!("not a kind of event: {} (kinds are {})", shorten(text), kinds.join(", ")))
}

impl Log {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let (workload, namespace) = match self.about {
            Some(About::Workload(workload)) => (Some(workload), None),
            Some(About::Namespace(namespace)) => (None, Some(namespace)),
            None => (None, self.namespace),
        };
        if self.reads {
            let Self { by, digest, since, until, limit, .. } = self;
            return Reads { workload, namespace, by, digest, since, until, limit }.run(client, out).await;
        }
        Events { workload, namespace, kind: self.kind, from: self.from, limit: self.limit }
            .run(client, out)
            .await
    }
}

/// Which events to show.
struct Events {
    workload: Option<Workload>,
    namespace: Option<Namespace>,
    kind: Option<String>,
    from: Option<i64>,
    limit: i64,
}

impl Events {
    async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let limit = usize::try_from(self.limit).unwrap_or(1);
        let reader = Reader { client, query: self.query(), limit };
        let events = match self.from {
            Some(from) => reader.page(from).await?,
            None => reader.newest().await?,
        };
        if events.is_empty() {
            self.check_that_it_exists(client).await?;
        }
        out.data(&events, |out| events.iter().for_each(|event| out.line(line(event))))?;
        if let (Some(first), Some(last)) = (events.first(), events.last()) {
            self.say_what_is_left(&reader, first.position, last.position + 1, out).await?;
        }
        Ok(())
    }

    fn query(&self) -> String {
        let filters = [
            ("workload", self.workload.as_ref().map(|workload| workload.as_str().replace('/', "%2F"))),
            ("namespace", self.namespace.as_ref().map(ToString::to_string)),
            ("kind", self.kind.clone()),
        ];
        filters.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", value?))).collect()
    }

    /// No events, or nothing that could have any: the lists tell.
    async fn check_that_it_exists(&self, client: &Client) -> Result<()> {
        if let Some(namespace) = &self.namespace {
            client.show_namespace(namespace).await?;
        }
        if let Some(workload) = &self.workload {
            client.list_versions(workload, "", 1).await?;
        }
        Ok(())
    }

    async fn say_what_is_left(&self, reader: &Reader<'_>, first: i64, after: i64, out: &Out) -> Result<()> {
        let there_is_more = match self.from {
            Some(_) => !reader.part(after, 1).await?.is_empty(),
            None => reader.part(0, 1).await?.first().is_some_and(|oldest| oldest.position < first),
        };
        // Without filters the page before begins where it must; with them only the beginning is certain.
        let before = if reader.query.is_empty() { (first - self.limit).max(0) } else { 0 };
        if there_is_more {
            let (what, from) = if self.from.is_some() { ("later", after) } else { ("earlier", before) };
            out.note(format!("there are {what} events: {}", self.command(from, out)));
        }
        Ok(())
    }

    fn command(&self, from: i64, out: &Out) -> String {
        let mut words = vec!["log".to_owned()];
        words.extend(self.workload.as_ref().map(ToString::to_string));
        words.extend(self.namespace.as_ref().map(|namespace| format!("--namespace {namespace}")));
        words.extend(self.kind.as_ref().map(|kind| format!("--kind {kind}")));
        words.push(format!("--from {from}"));
        if self.limit != 100 {
            words.push(format!("--limit {}", self.limit));
        }
        out.command(&words.join(" "))
    }
}

/// Reads events that pass a filter, a page at a time.
struct Reader<'a> {
    client: &'a Client,
    query: String,
    limit: usize,
}

impl Reader<'_> {
    async fn part(&self, from: i64, limit: usize) -> Result<Vec<Event>> {
        self.client.events(&self.query, from, limit).await
    }

    async fn page(&self, from: i64) -> Result<Vec<Event>> {
        self.part(from, self.limit).await
    }

    /// The same where it is not known how far the log reaches.
    async fn page_if_there(&self, from: i64) -> Result<Vec<Event>> {
        match self.page(from).await {
            Err(error) if error.code == "cursor_ahead" => Ok(Vec::new()),
            other => other,
        }
    }

    /// The newest page. The log is read from a position on, so what is looked for is the last position from which a
    /// page is still full: by steps that double, then by halving.
    async fn newest(&self) -> Result<Vec<Event>> {
        let start = |page: &[Event]| page.first().map_or(0, |event| event.position);
        let mut newest = self.page(0).await?;
        if newest.len() < self.limit {
            return Ok(newest);
        }
        let mut step = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let mut short = loop {
            let from = start(&newest).saturating_add(step);
            let page = self.page_if_there(from).await?;
            if page.len() < self.limit {
                break from;
            }
            newest = page;
            step = step.saturating_mul(2);
        };
        while short - start(&newest) > 1 {
            let middle = start(&newest) + (short - start(&newest)) / 2;
            let page = self.page_if_there(middle).await?;
            if page.len() < self.limit {
                short = middle;
            } else {
                newest = page;
            }
        }
        Ok(newest)
    }
}

/// An event as one line: position, time, who, what.
pub(super) fn line(event: &Event) -> String {
    format!("{:>6}  {}  {}  {}", event.position, time(event.at), event.actor, describe(&event.change))
}

fn describe(change: &Change) -> String {
    use Change as C;
    let until = |from: &Option<Digest>| {
        from.as_ref().map(|from| format!(" (was {})", from.short())).unwrap_or_default()
    };
    match change {
        C::NamespaceCreated { namespace, store } => format!("made namespace {namespace} in store {store}"),
        C::MemberAdded { namespace, principal, role } => format!("made {principal} {role} in {namespace}"),
        C::MemberRemoved { namespace, principal, role } => {
            format!("took {role} in {namespace} from {principal}")
        }
        C::UserAdded { user, kind } => format!("added {} {user}", kind.name()),
        C::UserDisabled { user } => format!("disabled {user}"),
        C::TokenCreated { token, user, .. } => format!("made token {token} for {user}"),
        C::TokenRevoked { token, user } => format!("revoked token {token} of {user}"),
        C::TrustAdded { namespace, issuer, roles, principal, .. } => {
            let roles: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            format!("let identities of {issuer} act as {principal} ({}) in {namespace}", roles.join(", "))
        }
        C::TrustRemoved { namespace, rule, principal } => {
            format!("took the rule {rule} of {namespace} away, by which identities acted as {principal}")
        }
        C::QuotaSet { namespace, bytes: most, versions } => {
            let most = most.map_or_else(|| "any bytes".to_owned(), bytes);
            let versions = versions.map_or_else(|| "any versions".to_owned(), |most| count(most, "version"));
            format!("limited {namespace} to {most} and {versions}")
        }
        C::QuotaRemoved { namespace } => format!("took the quota of {namespace} away"),
        C::Pushed { workload, version, digest, tier, .. } => {
            format!("pushed {workload}:{version} ({tier}) {}", digest.short())
        }
        C::PushedAgain { workload, version, .. } => {
            format!("pushed {workload}:{version} again, as another author")
        }
        C::Yanked { workload, version, reason, .. } => format!("yanked {workload}:{version}: {reason}"),
        C::AliasSet { workload, alias, from, to } => {
            format!("set {workload}:{alias} to {}{}", to.short(), until(from))
        }
        C::AliasRemoved { workload, alias, from } => {
            format!("removed {workload}:{alias} (was {})", from.short())
        }
        C::EvidenceAttached { workload, subject, evidence, about, .. } => {
            format!("attached {about} {} to {workload}@{}", evidence.short(), subject.short())
        }
        C::Approved { workload, version, stage, .. } => format!("approved {workload}:{version} for {stage}"),
        C::Rejected { workload, version, stage, reason, .. } => {
            format!("rejected {workload}:{version} for {stage}: {reason}")
        }
        C::Promoted { workload, version, stage, from, overridden, .. } => {
            let was = from.as_ref().map(|from| format!(" (was {from})")).unwrap_or_default();
            let against =
                overridden.as_ref().map(|why| format!(", against its gates: {why}")).unwrap_or_default();
            format!("promoted {workload}:{version} to {stage}{was}{against}")
        }
        C::PromotionPending { workload, version, stage, .. } => {
            format!("asked to promote {workload}:{version} to {stage}, which waits")
        }
        C::PromotionRefused { workload, version, stage, .. } => {
            format!("asked to promote {workload}:{version} to {stage}, which was refused")
        }
        C::PromotionEnded { workload, version, stage, state, reason, .. } => {
            let why = reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("promotion of {workload}:{version} to {stage} {state}{why}")
        }
        C::RolledBack { workload, version, stage, from, reason, .. } => {
            format!("rolled {workload}:{stage} back from {from} to {version}: {reason}")
        }
        C::Ratified { workload, version, stage, .. } => {
            format!("ratified the override that put {workload}:{version} into {stage}")
        }
        C::PolicyApplied { scope, policy, .. } => match policy {
            Some(policy) => format!("applied policy {} to {scope}", policy.short()),
            None => format!("took the policy of {scope} away"),
        },
        C::WorkloadDescribed { workload, owner, risk, review_on, .. } => {
            let says = [
                owner.as_ref().map(|owner| format!("owner {owner}")),
                risk.map(|risk| format!("risk {risk}")),
                review_on.map(|day| format!("next review by {day}")),
            ];
            let says: Vec<String> = says.into_iter().flatten().collect();
            match says.is_empty() {
                true => format!("described {workload}"),
                false => format!("described {workload}: {}", says.join(", ")),
            }
        }
        C::ReviewOverdue { workload, review_on, owner } => {
            let owner = owner.as_ref().map(|owner| format!(", by {owner}")).unwrap_or_default();
            format!("the review of {workload} is overdue: it was due on {review_on}{owner}")
        }
        C::Frozen { scope, stage, reason, .. } => {
            let stage = stage.as_ref().map(|stage| format!(":{stage}")).unwrap_or_default();
            format!("froze {scope}{stage}: {reason}")
        }
        C::Unfrozen { scope, stage, .. } => {
            let stage = stage.as_ref().map(|stage| format!(":{stage}")).unwrap_or_default();
            format!("lifted the freeze of {scope}{stage}")
        }
        C::DeploymentRunning(it) => {
            format!("reported that {}:{} runs on {}", it.workload, it.version, it.target)
        }
        C::DeploymentUnhealthy(it) => {
            format!("reported that {}:{} is not healthy on {}", it.workload, it.version, it.target)
        }
        C::DeploymentFailed(it) => {
            format!("reported that {}:{} failed on {}", it.workload, it.version, it.target)
        }
        C::DeploymentRetired(it) => format!("reported that {} runs no more on {}", it.workload, it.target),
        C::MonitorAdded { workload, stage, monitor, every, zone, on_drift } => {
            format!(
                "added monitor {monitor} on {workload}:{stage}, at {every} ({zone}), on drift: {on_drift}"
            )
        }
        C::MonitorRemoved { workload, stage, monitor } => {
            format!("removed monitor {monitor} on {workload}:{stage}")
        }
        C::MonitorMuted { workload, stage, monitor, until, reason } => match until {
            Some(until) => {
                format!("muted monitor {monitor} on {workload}:{stage} until {}: {reason}", time(*until))
            }
            None => format!("unmuted monitor {monitor} on {workload}:{stage}: {reason}"),
        },
        C::MonitorArmed { workload, stage, monitor } => {
            format!("let monitor {monitor} move {workload}:{stage} back once more")
        }
        C::MonitorFailed { workload, stage, monitor, reason, .. } => {
            format!("monitor {monitor} on {workload}:{stage} failed: {reason}")
        }
        C::DriftFound(it) => {
            format!(
                "monitor {} found drift on {}:{} ({}): {}",
                it.monitor, it.workload, it.stage, it.version, it.reason
            )
        }
        C::DriftEnded(it) => {
            format!(
                "monitor {} finds no drift on {}:{} any more ({})",
                it.monitor, it.workload, it.stage, it.version
            )
        }
        C::RetrainWanted(it) => format!(
            "monitor {} asks for a successor of {}:{}: {}",
            it.monitor, it.workload, it.version, it.reason
        ),
        C::QuarantineSet(it) => {
            let more = if it.more { "more than " } else { "" };
            let hits = count(it.hits.unwrap_or(0), "version");
            format!("put {it} in quarantine, which hits {more}{hits}: {}", it.reason)
        }
        C::QuarantineCleared(it) => format!("ended the quarantine of {it}: {}", it.reason),
        C::HookAdded { hook, scope, to, on } => format!("added hook {hook} on {scope} to {to} for {on}"),
        C::HookRemoved { hook, scope } => format!("removed hook {hook} on {scope}"),
        C::HookRotated { hook, scope, until } => {
            format!(
                "gave hook {hook} on {scope} a new secret; the one before is valid until {}",
                time(*until)
            )
        }
        C::HookPaused { hook, scope, reason } => format!("paused hook {hook} on {scope}: {reason}"),
        C::HookDisabled { hook, scope, reason } => format!("disabled hook {hook} on {scope}: {reason}"),
        C::HookResumed { hook, scope } => format!("resumed hook {hook} on {scope}"),
        C::HookTested { hook, scope } => format!("tested hook {hook} on {scope}"),
        C::HookReplayed { hook, scope, delivery } => {
            format!("sent event {delivery} to hook {hook} on {scope} once more")
        }
        C::HoldSet { scope, reason, .. } => format!("put {scope} under hold: {reason}"),
        C::HoldCleared { scope, reason, .. } => format!("lifted the hold of {scope}: {reason}"),
        C::PurgeRequested { workload, version, reason, .. } => {
            format!("asked to purge {workload}:{version}, which takes another admin: {reason}")
        }
        C::PurgeWithdrawn { workload, version, reason, .. } => {
            format!("took back the request to purge {workload}:{version}: {reason}")
        }
        C::Purged {
            workload, versions, bytes: freed, authority, requested_by, reason, confirmed, ..
        } => {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            let who = match (authority, requested_by) {
                (Authority::TwoAdmins, Some(other)) => format!(", asked for by {other}"),
                (Authority::TwoAdmins, None) => String::new(),
                (Authority::LocalUser, _) => ", alone, as the owner of the data directory".to_owned(),
                (Authority::Retention, _) => ", by a rule".to_owned(),
            };
            let versions = versions.join(", ");
            format!("purged {workload}:{versions} ({}){who}: {reason}{}", bytes(*freed), also(confirmed))
        }
        C::RetentionSet { namespace, older_than_days, keep_newest } => {
            format!(
                "set retention of {namespace}: what was never promoted goes after {}, but for the newest {keep_newest}",
                count(*older_than_days, "day")
            )
        }
        C::RetentionRemoved { namespace } => format!("took the rule of retention of {namespace} away"),
        C::DeletionRequested { workload, reason, .. } => {
            format!("asked to delete workload {workload}, which takes another admin: {reason}")
        }
        C::DeletionWithdrawn { workload, reason } => {
            format!("took back the request to delete workload {workload}: {reason}")
        }
        C::WorkloadDeleted { workload, reason, requested_by, confirmed } => {
            let who =
                requested_by.as_ref().map(|other| format!(", asked for by {other}")).unwrap_or_default();
            format!("deleted workload {workload}{who}: {reason}{}", also(confirmed))
        }
        C::NamespaceDeleted { namespace, reason } => format!("deleted namespace {namespace}: {reason}"),
        C::LogRecovered { epoch, known, found, damage, reason, .. } => {
            let damage = damage
                .as_ref()
                .map(|damage| format!(", damaged from entry {} on", damage.position))
                .unwrap_or_default();
            format!(
                "began epoch {epoch} of the log: it had {} where {} were known{damage}: {reason}",
                count(found.size, "event"),
                known.size
            )
        }
        C::EntryLost { .. } => "an entry that is lost".to_owned(),
        C::ManifestPushed { repository, digest, .. } => {
            format!("stored manifest {repository}@{}", digest.short())
        }
        C::Untagged { repository, tag, digest } => format!("untagged {repository}:{tag} {}", digest.short()),
        C::Tagged { repository, tag, digest } => format!("tagged {repository}:{tag} {}", digest.short()),
        C::ManifestDeleted { repository, digest } => {
            format!("deleted manifest {repository}@{}", digest.short())
        }
        C::BlobUnlinked { repository, digest } => {
            format!("removed blob {} from {repository}", digest.short())
        }
        C::BackupBegun { backup } => format!("began backup {backup}"),
        C::GarbageCollected { objects, bytes: freed } => {
            format!("collected {}, {}", count(*objects, "object"), bytes(*freed))
        }
        C::BlobQuarantined { store, digest, .. } => {
            format!("set rotten blob {} in {store} aside", digest.short())
        }
        C::BlobRestored { store, digest } => format!("found blob {} in {store} whole again", digest.short()),
    }
}

/// What somebody said who confirmed it.
fn also(confirmed: &Option<String>) -> String {
    confirmed.as_ref().map(|said| format!("; confirmed: {said}")).unwrap_or_default()
}
