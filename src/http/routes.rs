//! The table of all routes. A row names method, path, operation, what the caller needs, and the types of body
//! and answer; the router, the guard, the OpenAPI document and the route-walking test are all made from it.

use super::{
    App, guard, health, oci,
    openapi::{Schema, schema_of},
    v1,
};
use crate::{
    model::{access::Permission, event::Event, evidence::Evidence, resolution::Resolution},
    wire,
};
use axum::{
    Extension, Router,
    http::Method,
    middleware::from_fn_with_state,
    routing::{MethodRouter, delete, get, head, patch, post, put},
};

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the few routes that must answer strangers.
    Open,
    /// A valid token; the verb itself checks the rest.
    Token,
    /// A permission in the namespace of the path.
    Namespace(Permission),
    /// A permission for the whole registry.
    Everywhere(Permission),
}

pub struct Route {
    pub method: Method,
    pub path: &'static str,
    /// The operation's name: the CLI's verb where there is one.
    pub operation: &'static str,
    pub access: Access,
    /// Moves blobs, or reads many: no time limit but for silence.
    pub transfer: bool,
    /// May wait for what happens: no time limit, and no place among the requests.
    pub watch: bool,
    pub summary: &'static str,
    pub body: Option<Schema>,
    pub answer: Option<Schema>,
    /// Query parameters, with what they mean.
    pub query: &'static [(&'static str, &'static str)],
    handler: fn() -> MethodRouter<App>,
}

const PAGING: &[(&str, &str)] =
    &[("cursor", "where to go on: `next` of the page before"), ("limit", "entries on a page, at most 1000")];
const VERSION_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("tier", "only this tier: prompt, adapter or weights"),
    ("yanked", "only yanked versions, or only others: true or false"),
];
const WORKLOAD_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("namespace", "only this namespace"),
];
const EVENT_FILTERS: &[(&str, &str)] = &[
    ("cursor", "the position to read from"),
    ("limit", "entries on a page, at most 1000"),
    ("namespace", "only this namespace"),
    ("workload", "only this workload"),
    ("kind", "only events of this kind"),
    ("on", "only these, as hooks listen: `promoted:production,rolled_back`"),
    (
        "wait",
        "seconds to wait where there is nothing yet, at most 55; `next` then always says where to go on",
    ),
];
const PENDING_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("namespace", "only this namespace"),
    ("mine", "only what the caller can approve or reject: true or false"),
];
const DEPLOYMENT_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("of", "only targets that follow this stage, or have this version: a TAG or digest"),
    ("retired", "also targets that do not run the workload any more: true or false"),
];
const FIND_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("base", "the base model: as versions name it, with or without the revision, or a digest"),
    ("dataset", "a dataset: its name or its digest"),
    ("licence", "the licence, as the newest model card or the file itself says: an SPDX id"),
    ("flag", "what was noticed in the files: unsafe, pickle, keras, python or unverified"),
    ("file", "the digest of a file"),
    ("owner", "who answers for the workload, as its card says"),
];
const LINEAGE_QUERY: &[(&str, &str)] = &[
    ("direction", "up: what it is made of; down: what is made of it; without it both"),
    ("depth", "how many steps, at most 32"),
];
const ROOT_QUERY: &[(&str, &str)] = &[
    ("base", "a base model: as versions name it, with or without the revision, or a digest"),
    ("dataset", "a dataset: its name or its digest"),
    ("file", "the digest of a file"),
    ("depth", "how many steps, at most 32"),
];
const QUARANTINE_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("cleared", "also what is over: true or false"),
];
const EVIDENCE_QUERY: &[(&str, &str)] = &[
    ("kind", "what kind of evidence the file is; without it the file tells"),
    (
        "public_key",
        "of a signature by a bare key, or of provenance in a signed envelope: the public key, PEM",
    ),
];
const DOSSIER_QUERY: &[(&str, &str)] =
    &[("format", "in which form: annex-iv, model-card, cyclonedx or slsa; it must be given")];
const STAGE_QUERY: &[(&str, &str)] =
    &[("stage", "the stage the freeze is of; without it every stage after the first, or the only one")];
const CONSISTENCY_QUERY: &[(&str, &str)] = &[("from", "a size"), ("to", "a later size")];
const PUSH_QUERY: &[(&str, &str)] =
    &[("at", "the window of a run at this time, as in RFC 3339; without it now")];
const DIFF_QUERY: &[(&str, &str)] = &[("from", "a reference"), ("to", "a reference")];

/// One row. Options follow the handler: `body: T`, `answer: T`, `query: LIST`, `transfer`, `watch`.
macro_rules! route {
    ($method:ident $path:literal $operation:literal, $access:expr, $summary:literal, $router:ident($handler:path)
     $(, body: $body:ty)? $(, answer: $answer:ty)? $(, query: $query:expr)? $(, transfer: $transfer:literal)? $(, watch: $watch:literal)?) => {{
        #[allow(unused_mut, unused_assignments)]
        let mut route = Route {
            method: Method::$method,
            path: $path,
            operation: $operation,
            access: $access,
            transfer: false,
            watch: false,
            summary: $summary,
            body: None,
            answer: None,
            query: &[],
            handler: || $router($handler),
        };
        $(route.body = Some(schema_of::<$body>);)?
        $(route.answer = Some(schema_of::<$answer>);)?
        $(route.query = $query;)?
        $(route.transfer = $transfer;)?
        $(route.watch = $watch;)?
        route
    }};
}

use Access::{Everywhere, Namespace, Open, Token};
use Permission::{Administer, Attest, Audit, Read, Release, Report, Write};

/// All routes.
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    vec![
        route!(GET "/healthz" "health", Open, "The process answers.", get(health::health)),
        route!(GET "/readyz" "ready", Open, "The database and the stores answer.", get(health::ready)),
        route!(GET "/metrics" "metrics", Open, "Counters in OpenMetrics text; no names of tenants.", get(health::metrics)),
        route!(GET "/v1/openapi.json" "openapi", Open, "This description.", get(health::openapi)),
        route!(GET "/v2/token" "oci_token", Open, "Turns Basic credentials into a Bearer token (it checks them itself).", get(oci::auth::token)),
        route!(GET "/v1/oidc" "oidc_issuers", Open, "Issuers whose identity tokens count here.", get(v1::trust::issuers), answer: wire::Page<wire::IssuerView>),
        route!(POST "/v1/oidc/token" "oidc_exchange", Open, "Gives a token for an identity token, which it checks itself.", post(v1::trust::exchange), body: wire::Exchange, answer: wire::Exchanged),

        route!(GET "/v1/whoami" "whoami", Token, "Who the token belongs to and what it may do.", get(v1::access::whoami), answer: wire::Whoami),
        route!(GET "/v1/namespaces" "namespace_list", Token, "Namespaces the caller may see.", get(v1::access::list_namespaces), answer: wire::Page<wire::NamespaceView>, query: PAGING),
        route!(POST "/v1/namespaces" "namespace_create", Everywhere(Administer), "Makes a namespace in a store.", post(v1::access::create_namespace), body: wire::NewNamespace, answer: wire::NamespaceView),
        route!(GET "/v1/namespaces/{namespace}" "namespace_show", Namespace(Read), "One namespace.", get(v1::access::show_namespace), answer: wire::NamespaceView),
        route!(GET "/v1/members/{namespace}" "member_list", Namespace(Read), "Members of a namespace; `*` is the whole registry.", get(v1::access::list_members), answer: wire::Page<wire::MemberView>, query: PAGING),
        route!(PUT "/v1/members/{namespace}/{principal}/{role}" "member_add", Namespace(Administer), "Gives a role.", put(v1::access::add_member)),
        route!(DELETE "/v1/members/{namespace}/{principal}/{role}" "member_rm", Namespace(Administer), "Takes a role away.", delete(v1::access::remove_member)),
        route!(GET "/v1/users" "user_list", Everywhere(Administer), "Users, services and local users.", get(v1::access::list_users), answer: wire::Page<wire::UserView>, query: PAGING),
        route!(POST "/v1/users" "user_add", Everywhere(Administer), "Adds a person or a service.", post(v1::access::add_user), body: wire::NewUser, answer: wire::UserView),
        route!(POST "/v1/users/{user}/disable" "user_disable", Everywhere(Administer), "Ends all access of a user.", post(v1::access::disable_user)),
        route!(GET "/v1/tokens" "token_list", Token, "The caller's tokens; with `all=true` everybody's.", get(v1::access::list_tokens), answer: wire::Page<wire::TokenView>, query: TOKEN_FILTERS),
        route!(POST "/v1/tokens" "token_create", Token, "Makes a token, no wider than the caller's own.", post(v1::access::create_token), body: wire::NewToken, answer: wire::TokenCreated),
        route!(DELETE "/v1/tokens/{token}" "token_revoke", Token, "Revokes a token.", delete(v1::access::revoke_token)),
        route!(GET "/v1/trust/{namespace}" "trust_list", Namespace(Read), "Rules by which identities of issuers may act in a namespace.", get(v1::trust::list), answer: wire::Page<wire::TrustView>, query: PAGING),
        route!(POST "/v1/trust/{namespace}" "trust_add", Namespace(Administer), "Lets identities act in a namespace.", post(v1::trust::add), body: wire::NewTrust, answer: wire::TrustView),
        route!(DELETE "/v1/trust/{namespace}/{rule}" "trust_rm", Namespace(Administer), "Takes a rule away, and ends its tokens.", delete(v1::trust::remove)),

        route!(GET "/v1/quotas" "quota_list", Token, "What namespaces the caller may see may have, and what they have.", get(v1::quotas::list), answer: wire::Page<wire::QuotaView>, query: PAGING),
        route!(GET "/v1/quotas/{namespace}" "quota_show", Namespace(Read), "What a namespace may have at most, and what it has.", get(v1::quotas::show), answer: wire::QuotaView),
        route!(PUT "/v1/quotas/{namespace}" "quota_set", Everywhere(Administer), "Says what a namespace may have at most; what is not named stays as it is.", put(v1::quotas::set), body: wire::SetQuota, answer: wire::QuotaView),
        route!(DELETE "/v1/quotas/{namespace}" "quota_rm", Everywhere(Administer), "Lets a namespace have as much as it wants.", delete(v1::quotas::remove)),

        route!(GET "/v1/workloads" "list", Token, "Workloads the caller may see.", get(v1::versions::list_workloads), answer: wire::Page<wire::WorkloadView>, query: WORKLOAD_FILTERS),
        route!(POST "/v1/workloads/{namespace}/{name}/present" "present", Namespace(Write), "Tells which files need not be sent.", post(v1::versions::present), body: wire::Present, answer: wire::Present),
        route!(GET "/v1/workloads/{namespace}/{name}/versions" "list_versions", Namespace(Read), "Versions, newest first.", get(v1::versions::list), answer: wire::Page<wire::VersionView>, query: VERSION_FILTERS),
        route!(POST "/v1/workloads/{namespace}/{name}/versions" "push", Namespace(Write), "Makes a version of uploaded files.", post(v1::versions::push), body: wire::NewVersion, answer: wire::PushedView, transfer: true),
        route!(GET "/v1/workloads/{namespace}/{name}/versions/{tag}" "show", Namespace(Read), "One version in full; TAG as in references, or a digest.", get(v1::versions::show), answer: wire::ShowView),
        route!(POST "/v1/workloads/{namespace}/{name}/versions/{version}/yank" "yank", Namespace(Write), "Withdraws a version.", post(v1::versions::yank), body: wire::Yank),
        route!(POST "/v1/workloads/{namespace}/{name}/versions/{tag}/purge" "purge", Namespace(Administer), "Asks for a version's content to be taken away for good, or, as another admin than who asked, does it.", post(v1::removal::purge), body: wire::Removal, answer: wire::PurgeView, transfer: true),
        route!(POST "/v1/workloads/{namespace}/{name}/versions/{tag}/purge/withdraw" "purge_withdraw", Namespace(Administer), "Takes the request for a purge back.", post(v1::removal::withdraw_purge), body: wire::Removal, answer: wire::PurgeView),
        route!(GET "/v1/purges" "purge_list", Token, "Requests for purges that wait for another admin, of namespaces the caller may see.", get(v1::removal::list_purges), answer: wire::Page<wire::PurgeView>, query: WORKLOAD_FILTERS),
        route!(GET "/v1/holds" "hold_list", Token, "Holds, of namespaces the caller may see.", get(v1::removal::list_holds), answer: wire::Page<wire::HoldView>, query: HOLD_FILTERS),
        route!(POST "/v1/holds" "hold_set", Token, "Lets nothing be taken away of a namespace, a workload or a version; takes its admin.", post(v1::removal::set_hold), body: wire::NewHold, answer: wire::HoldView),
        route!(POST "/v1/holds/clear" "hold_clear", Token, "Lifts a hold; takes an admin.", post(v1::removal::clear_hold), body: wire::ClearHold, answer: wire::HoldView),
        route!(GET "/v1/namespaces/{namespace}/retention" "retention_show", Namespace(Read), "The rule by which versions go that were never promoted.", get(v1::removal::show_retention), answer: wire::RetentionView),
        route!(PUT "/v1/namespaces/{namespace}/retention" "retention_set", Namespace(Administer), "Sets that rule.", put(v1::removal::set_retention), body: wire::SetRetention, answer: wire::RetentionView),
        route!(DELETE "/v1/namespaces/{namespace}/retention" "retention_rm", Namespace(Administer), "Takes that rule away.", delete(v1::removal::remove_retention)),
        route!(POST "/v1/namespaces/{namespace}/retention/run" "retention_run", Namespace(Administer), "Says what would go by that rule, or lets it go.", post(v1::removal::run_retention), body: wire::RunRetention, answer: wire::RetentionRun, transfer: true),
        route!(POST "/v1/workloads/{namespace}/{name}/delete" "workload_delete", Namespace(Administer), "Gives up the name of a workload whose versions are purged, or as another admin than who asked also those in its stages.", post(v1::removal::delete_workload), body: wire::Removal, answer: wire::DeletedView, transfer: true),
        route!(POST "/v1/workloads/{namespace}/{name}/delete/withdraw" "workload_delete_withdraw", Namespace(Administer), "Takes the request to delete a workload back.", post(v1::removal::withdraw_deletion), body: wire::Removal, answer: wire::DeletionView),
        route!(GET "/v1/deletions" "deletion_list", Token, "Requests to delete workloads that wait for another admin, of namespaces the caller may see.", get(v1::removal::list_deletions), answer: wire::Page<wire::DeletionView>, query: WORKLOAD_FILTERS),
        route!(POST "/v1/namespaces/{namespace}/delete" "namespace_delete", Everywhere(Administer), "Gives up the name of a namespace in which nothing is any more.", post(v1::removal::delete_namespace), body: wire::Removal),
        route!(GET "/v1/workloads/{namespace}/{name}/resolve" "resolve_default", Namespace(Read), "What the workload means without a TAG: its last stage.", get(v1::versions::resolve_default), answer: Resolution),
        route!(GET "/v1/workloads/{namespace}/{name}/resolve/{tag}" "resolve", Namespace(Read), "What a reference means now, and how to run it.", get(v1::versions::resolve), answer: Resolution),
        route!(POST "/v1/workloads/{namespace}/{name}/render/{tag}" "render", Namespace(Read), "Fills in the prompt.", post(v1::versions::render), body: wire::Render, answer: crate::kinds::prompt::Rendered),
        route!(GET "/v1/workloads/{namespace}/{name}/aliases" "alias_list", Namespace(Read), "Aliases and what they name.", get(v1::versions::list_aliases), answer: wire::Page<wire::AliasView>, query: PAGING),
        route!(PUT "/v1/workloads/{namespace}/{name}/aliases/{alias}" "alias_set", Namespace(Write), "Points an alias at a version.", put(v1::versions::set_alias), body: wire::SetAlias, answer: wire::AliasView),
        route!(DELETE "/v1/workloads/{namespace}/{name}/aliases/{alias}" "alias_rm", Namespace(Write), "Removes an alias.", delete(v1::versions::remove_alias)),
        route!(GET "/v1/diff" "diff", Token, "What differs between two versions the caller may see.", get(v1::versions::diff), answer: wire::DiffView, query: DIFF_QUERY),

        route!(POST "/v1/workloads/{namespace}/{name}/versions/{tag}/evidence" "evidence_attach", Namespace(Attest), "Attaches a file as evidence; the body is the file.", post(v1::evidence::attach), answer: wire::AttachedView, query: EVIDENCE_QUERY, transfer: true),
        route!(GET "/v1/workloads/{namespace}/{name}/versions/{tag}/evidence" "evidence_list", Namespace(Read), "What is said about a version, oldest first.", get(v1::evidence::list), answer: wire::Page<Evidence>),
        route!(GET "/v1/workloads/{namespace}/{name}/versions/{tag}/dossier" "export_dossier", Namespace(Read), "What is known of a version, as Markdown (annex-iv, model-card), a CycloneDX bill of materials or SLSA provenance.", get(v1::dossier::export), query: DOSSIER_QUERY),
        route!(GET "/v1/workloads/{namespace}/{name}/status" "status", Namespace(Read), "The promotion line: what is in each stage, and what waits.", get(v1::stages::status), answer: wire::StatusView),
        route!(GET "/v1/workloads/{namespace}/{name}/promotions/{promotion}" "promotion_show", Namespace(Read), "An attempt to move a stage.", get(v1::stages::promotion), answer: wire::PromotionView),
        route!(POST "/v1/workloads/{namespace}/{name}/stages/{stage}/promote" "promote", Namespace(Read), "Moves a stage to a version, if its gates pass; who may, the policy says.", post(v1::stages::promote), body: wire::Promote, answer: wire::PromotionView),
        route!(POST "/v1/workloads/{namespace}/{name}/stages/{stage}/approve" "approve", Namespace(Read), "Says yes to a version's entering a stage; who may, the policy says.", post(v1::stages::approve), body: wire::Decide, answer: wire::DecidedView),
        route!(POST "/v1/workloads/{namespace}/{name}/stages/{stage}/reject" "reject", Namespace(Read), "Says no to it; needs a message.", post(v1::stages::reject), body: wire::Decide, answer: wire::DecidedView),
        route!(POST "/v1/workloads/{namespace}/{name}/stages/{stage}/withdraw" "withdraw", Namespace(Read), "Takes a pending promotion back.", post(v1::stages::withdraw), body: wire::Decide, answer: wire::PromotionView),
        route!(POST "/v1/workloads/{namespace}/{name}/stages/{stage}/ratify" "ratify", Namespace(Read), "Confirms overrides that somebody else did.", post(v1::stages::ratify), answer: wire::Page<wire::MoveView>),
        route!(POST "/v1/workloads/{namespace}/{name}/stages/{stage}/rollback" "rollback", Namespace(Read), "Moves a stage back to the previous good version; who may, the policy says.", post(v1::stages::rollback), body: wire::Rollback, answer: wire::RolledBackView),
        route!(GET "/v1/workloads/{namespace}/{name}/stages/{stage}/history" "history", Namespace(Read), "What was in a stage, newest first.", get(v1::stages::history), answer: wire::Page<wire::MoveView>, query: PAGING),
        route!(GET "/v1/workloads/{namespace}/{name}/proof/{position}" "workload_proof", Namespace(Read), "An entry of the log about the workload, with the proof that it is in the log.", get(v1::audit::workload_proof), answer: wire::LogProof),
        route!(PUT "/v1/workloads/{namespace}/{name}/deployments/{target}" "deployment_report", Namespace(Report), "Says what runs on a target, and how it fares.", put(v1::deployments::report), body: wire::ReportDeployment, answer: wire::ReportedView),
        route!(GET "/v1/workloads/{namespace}/{name}/deployments" "where", Namespace(Read), "Which targets run a workload, against what their stages ask for.", get(v1::deployments::list), answer: wire::Page<wire::DeploymentView>, query: DEPLOYMENT_FILTERS),
        route!(GET "/v1/workloads/{namespace}/{name}/monitors" "drift_monitor_list", Namespace(Read), "Drift monitors of a workload.", get(v1::monitors::list), answer: wire::Page<wire::MonitorView>, query: PAGING),
        route!(GET "/v1/namespaces/{namespace}/drift-key" "drift_key", Namespace(Attest), "The key that columns which are not to be told are hashed with: keep it to yourself.", get(v1::monitors::key), answer: wire::DriftKey),
        route!(POST "/v1/workloads/{namespace}/{name}/monitors" "drift_monitor_add", Namespace(Release), "Checks a stage for drift by a schedule.", post(v1::monitors::add), body: wire::NewMonitor, answer: wire::MonitorView),
        route!(GET "/v1/workloads/{namespace}/{name}/monitors/{monitor}" "drift_monitor_show", Namespace(Read), "One monitor.", get(v1::monitors::show), answer: wire::MonitorView),
        route!(DELETE "/v1/workloads/{namespace}/{name}/monitors/{monitor}" "drift_monitor_rm", Namespace(Release), "Takes a monitor away; what it reported stays.", delete(v1::monitors::remove)),
        route!(POST "/v1/workloads/{namespace}/{name}/monitors/{monitor}/mute" "drift_mute", Namespace(Release), "Lets a monitor tell nobody until a time, or speak again.", post(v1::monitors::mute), body: wire::MuteMonitor, answer: wire::MonitorView),
        route!(POST "/v1/workloads/{namespace}/{name}/monitors/{monitor}/arm" "drift_arm", Namespace(Release), "Lets a monitor move its stage back once more.", post(v1::monitors::arm), answer: wire::MonitorView),
        route!(POST "/v1/workloads/{namespace}/{name}/monitors/{monitor}/runs" "drift_run", Namespace(Release), "Asks for a run now, or for those of a time that is past.", post(v1::monitors::run), body: wire::RunMonitor, answer: wire::Page<wire::AskedView>),
        route!(POST "/v1/workloads/{namespace}/{name}/monitors/{monitor}/profiles" "drift_push", Namespace(Release), "Takes the profile of a window's data, and asks for its run; the body is the profile.", post(v1::monitors::push), answer: wire::AskedView, query: PUSH_QUERY, transfer: true),
        route!(GET "/v1/workloads/{namespace}/{name}/monitors/{monitor}/runs" "drift_runs", Namespace(Read), "Runs of a monitor, newest window first.", get(v1::monitors::runs), answer: wire::Page<wire::RunView>, query: PAGING),
        route!(GET "/v1/workloads/{namespace}/{name}/monitors/{monitor}/runs/{run}" "drift_report", Namespace(Read), "The run whose window ends then, or `newest`, with its report.", get(v1::monitors::report), answer: wire::RunDetails),
        route!(GET "/v1/workloads/{namespace}/{name}/card" "workload_show", Namespace(Read), "What is said of a workload.", get(v1::cards::show), answer: wire::CardView),
        route!(PATCH "/v1/workloads/{namespace}/{name}/card" "workload_set", Namespace(Administer), "Says something of a workload, which need not have a version yet.", patch(v1::cards::set), body: wire::SetCard, answer: wire::CardSetView),
        route!(GET "/v1/inventory" "inventory", Token, "Workloads the caller may see: who answers for each, what is in use, and what is known to be wrong.", get(v1::cards::inventory), answer: wire::Page<wire::InventoryView>, query: WORKLOAD_FILTERS),
        route!(GET "/v1/workloads/{namespace}/{name}/versions/{tag}/lineage" "lineage", Namespace(Read), "What a version is made of, and what is made of it, with where that is in use.", get(v1::lineage::of_version), answer: wire::LineageView, query: LINEAGE_QUERY),
        route!(GET "/v1/lineage" "lineage_of", Token, "What is made of a base model, a dataset or a file, in namespaces the caller may see.", get(v1::lineage::of_other), answer: wire::LineageView, query: ROOT_QUERY),
        route!(GET "/v1/find" "find", Token, "Versions by what they are made of, in namespaces the caller may see; all that is given must hold. A page may have fewer entries than were asked for, also none, and still a `next`.", get(v1::lineage::find), answer: wire::Page<wire::FoundView>, query: FIND_FILTERS),
        route!(GET "/v1/quarantines" "quarantine_list", Token, "What is in quarantine, oldest first.", get(v1::lineage::quarantines), answer: wire::Page<wire::QuarantineView>, query: QUARANTINE_FILTERS),
        route!(POST "/v1/quarantines" "quarantine_set", Token, "Keeps a version, base model, dataset or file, and everything made from it, from being promoted; takes an admin.", post(v1::lineage::quarantine), body: wire::QuarantineOf, answer: wire::QuarantineView),
        route!(POST "/v1/quarantines/clear" "quarantine_clear", Token, "Ends a quarantine; takes an admin.", post(v1::lineage::clear), body: wire::QuarantineOf, answer: wire::Page<wire::QuarantineView>),
        route!(GET "/v1/pending" "pending", Token, "Promotions that wait, of namespaces the caller may see.", get(v1::stages::pending), answer: wire::Page<wire::PendingView>, query: PENDING_FILTERS),
        route!(GET "/v1/gates" "policy_gates", Token, "All gates, with the schemas of their parameters.", get(v1::policies::gates), answer: wire::Page<wire::GateView>),
        route!(GET "/v1/policies/{namespace}" "policy_show", Namespace(Read), "What holds in a namespace, or with `*` in the registry.", get(v1::policies::show), answer: wire::PolicyView),
        route!(PUT "/v1/policies/{namespace}" "policy_apply", Namespace(Administer), "Applies a policy; the body is the YAML.", put(v1::policies::apply), answer: wire::PolicyApplied),
        route!(DELETE "/v1/policies/{namespace}" "policy_rm", Namespace(Administer), "Takes the namespace's own policy away.", delete(v1::policies::remove)),
        route!(POST "/v1/policies/{namespace}/test" "policy_test", Namespace(Release), "What a policy would have said of the last 200 promotions; the body is the YAML.", post(v1::policies::test), answer: wire::Page<wire::PolicyTested>),
        route!(GET "/v1/workloads/{namespace}/{name}/policy" "policy_show_workload", Namespace(Read), "What holds for a workload.", get(v1::policies::show), answer: wire::PolicyView),
        route!(PUT "/v1/workloads/{namespace}/{name}/policy" "policy_apply_workload", Namespace(Administer), "Applies a policy to a workload; the body is the YAML.", put(v1::policies::apply), answer: wire::PolicyApplied),
        route!(DELETE "/v1/workloads/{namespace}/{name}/policy" "policy_rm_workload", Namespace(Administer), "Takes the workload's own policy away.", delete(v1::policies::remove)),
        route!(POST "/v1/workloads/{namespace}/{name}/policy/test" "policy_test_workload", Namespace(Release), "What a policy would have said of a workload's recorded promotions.", post(v1::policies::test), answer: wire::Page<wire::PolicyTested>),
        route!(POST "/v1/freezes/{namespace}" "freeze", Namespace(Release), "Lets nothing enter the stages of a namespace, or with `*` of all.", post(v1::policies::freeze), body: wire::NewFreeze, answer: wire::FreezeView),
        route!(DELETE "/v1/freezes/{namespace}" "unfreeze", Namespace(Release), "Lifts a freeze of a namespace.", delete(v1::policies::unfreeze), answer: wire::Page<wire::FreezeView>, query: STAGE_QUERY),
        route!(POST "/v1/freezes/{namespace}/{name}" "freeze_workload", Namespace(Release), "Lets nothing enter the stages of a workload.", post(v1::policies::freeze), body: wire::NewFreeze, answer: wire::FreezeView),
        route!(DELETE "/v1/freezes/{namespace}/{name}" "unfreeze_workload", Namespace(Release), "Lifts a freeze of a workload.", delete(v1::policies::unfreeze), answer: wire::Page<wire::FreezeView>, query: STAGE_QUERY),

        route!(GET "/v1/hooks" "hook_list", Token, "Hooks that the caller may administer.", get(v1::hooks::list), answer: wire::Page<wire::HookView>, query: HOOK_FILTERS),
        route!(POST "/v1/hooks" "hook_add", Token, "Adds a hook; what its signatures are checked by is answered only now.", post(v1::hooks::add), body: wire::NewHook, answer: wire::HookAdded),
        route!(GET "/v1/hooks/{hook}" "hook_show", Token, "A hook, and how it stands.", get(v1::hooks::show), answer: wire::HookDetails),
        route!(DELETE "/v1/hooks/{hook}" "hook_rm", Token, "Takes a hook away.", delete(v1::hooks::remove)),
        route!(POST "/v1/hooks/{hook}/pause" "hook_pause", Token, "Lets a hook wait; events go on to queue for it.", post(v1::hooks::pause), body: wire::PauseHook, answer: wire::HookView),
        route!(POST "/v1/hooks/{hook}/resume" "hook_resume", Token, "Sends again, what waits first.", post(v1::hooks::resume), answer: wire::HookView),
        route!(POST "/v1/hooks/{hook}/test" "hook_test", Token, "Queues a test event for a hook.", post(v1::hooks::test), answer: wire::HookTested),
        route!(POST "/v1/hooks/{hook}/rotate" "hook_rotate", Token, "Gives a hook another secret; the one before is valid for a while.", post(v1::hooks::rotate), body: wire::RotateHook, answer: wire::HookRotated),
        route!(GET "/v1/hooks/{hook}/deliveries" "hook_deliveries", Token, "What was queued for a hook, newest first.", get(v1::hooks::deliveries), answer: wire::Page<wire::DeliveryView>, query: DELIVERY_FILTERS),
        route!(GET "/v1/hooks/{hook}/deliveries/{position}" "hook_delivery", Token, "A delivery with its last attempts.", get(v1::hooks::delivery), answer: wire::DeliveryDetails),
        route!(POST "/v1/hooks/{hook}/deliveries/{position}/replay" "hook_replay", Token, "Sends an event to a hook once more.", post(v1::hooks::replay), answer: wire::Replayed),

        route!(GET "/v1/events" "log", Token, "The event log, oldest first: a page, with `wait` one that is waited for, or with `Accept: text/event-stream` a stream. Readers see what is about workloads, auditors all.", get(v1::events::events), answer: wire::Page<Event>, query: EVENT_FILTERS, watch: true),
        route!(GET "/v1/reads" "log_reads", Token, "Who resolved, pulled or rendered what, newest first; for auditors and admins of the namespace, or of the registry.", get(v1::reads::list), answer: wire::ReadsView, query: READ_FILTERS),
        route!(GET "/v1/log/checkpoint" "audit_checkpoint", Token, "The log's size and root, signed (C2SP tlog-checkpoint).", get(v1::audit::checkpoint)),
        route!(GET "/v1/log/key" "audit_key", Token, "The log's public key (C2SP signed-note).", get(v1::audit::key)),
        route!(GET "/v1/log/tile/{*tile}" "audit_tile", Everywhere(Audit), "Hashes and entries of the log (C2SP tlog-tiles).", get(v1::audit::tile)),
        route!(GET "/v1/log/proof/{position}" "audit_proof", Everywhere(Audit), "One entry with the proof that it is in the log.", get(v1::audit::proof), answer: wire::LogProof),
        route!(GET "/v1/log/consistency" "audit_consistency", Everywhere(Audit), "The proof that the log of one size is the beginning of that of another.", get(v1::audit::consistency), answer: wire::LogConsistency, query: CONSISTENCY_QUERY),
        route!(POST "/v1/log/verify" "audit_verify", Everywhere(Audit), "Goes through the whole log and names the first entry that is not what it was.", post(v1::audit::verify), body: wire::VerifyLog, answer: wire::LogReport, transfer: true),
        route!(POST "/v1/log/recover" "audit_recover", Everywhere(Administer), "Accepts the log as it is and begins a new epoch of it.", post(v1::audit::recover), body: wire::RecoverLog, answer: wire::LogRecovered, transfer: true),
        route!(POST "/v1/backups" "backup_begin", Everywhere(Administer), "Begins a backup: garbage collection is held.", post(v1::backups::begin), answer: wire::BackupView),
        route!(POST "/v1/backups/{backup}/renew" "backup_renew", Everywhere(Administer), "Holds garbage collection for longer.", post(v1::backups::renew), answer: wire::BackupView),
        route!(DELETE "/v1/backups/{backup}" "backup_end", Everywhere(Administer), "Ends a backup.", delete(v1::backups::end)),
        route!(GET "/v1/backups/{backup}/facts" "backup_facts", Everywhere(Administer), "All facts of one moment, as JSON lines (backup-line.schema.json).", get(v1::backups::facts), transfer: true),
        route!(GET "/v1/backups/{backup}/blobs/{store}/{digest}" "backup_blob", Everywhere(Administer), "A blob of a store.", get(v1::backups::blob), transfer: true),
        route!(POST "/v1/gc" "gc", Everywhere(Administer), "Finds garbage, or deletes it.", post(v1::admin::gc), body: wire::CollectGarbage, answer: wire::GarbageView, transfer: true),
        route!(POST "/v1/scrub" "scrub", Everywhere(Administer), "Re-hashes all that is stored.", post(v1::admin::scrub), body: wire::Scrub, answer: wire::ScrubView, transfer: true),

        route!(GET "/v2/" "oci_base", Token, "OCI distribution is spoken here.", get(oci::base)),
        route!(HEAD "/v2/{namespace}/{name}/blobs/{digest}" "oci_blob_head", Namespace(Read), "Whether a blob is here.", head(oci::blobs::head)),
        route!(GET "/v2/{namespace}/{name}/blobs/{digest}" "oci_blob_get", Namespace(Read), "A blob, or a range of it.", get(oci::blobs::get), transfer: true),
        route!(DELETE "/v2/{namespace}/{name}/blobs/{digest}" "oci_blob_delete", Namespace(Write), "Removes a blob from this repository.", delete(oci::blobs::delete)),
        route!(POST "/v2/{namespace}/{name}/blobs/uploads/" "oci_upload_begin", Namespace(Write), "Starts an upload, mounts a blob, or takes a whole one.", post(oci::uploads::begin), transfer: true),
        route!(GET "/v2/{namespace}/{name}/blobs/uploads/{upload}" "oci_upload_status", Namespace(Write), "Where an upload stands.", get(oci::uploads::status)),
        route!(PATCH "/v2/{namespace}/{name}/blobs/uploads/{upload}" "oci_upload_append", Namespace(Write), "Appends to an upload.", patch(oci::uploads::append), transfer: true),
        route!(PUT "/v2/{namespace}/{name}/blobs/uploads/{upload}" "oci_upload_finish", Namespace(Write), "Ends an upload with its digest.", put(oci::uploads::finish), transfer: true),
        route!(DELETE "/v2/{namespace}/{name}/blobs/uploads/{upload}" "oci_upload_cancel", Namespace(Write), "Gives an upload up.", delete(oci::uploads::cancel)),
        route!(HEAD "/v2/{namespace}/{name}/manifests/{reference}" "oci_manifest_head", Namespace(Read), "Whether a manifest is here.", head(oci::manifests::head)),
        route!(GET "/v2/{namespace}/{name}/manifests/{reference}" "oci_manifest_get", Namespace(Read), "A manifest, byte for byte.", get(oci::manifests::get)),
        route!(PUT "/v2/{namespace}/{name}/manifests/{reference}" "oci_manifest_put", Namespace(Write), "Stores a manifest; a semver tag on an artifact makes a version.", put(oci::manifests::put), transfer: true),
        route!(DELETE "/v2/{namespace}/{name}/manifests/{reference}" "oci_manifest_delete", Namespace(Write), "Deletes a manifest or a tag, not of a version.", delete(oci::manifests::delete)),
        route!(GET "/v2/{namespace}/{name}/tags/list" "oci_tags", Namespace(Read), "Tags and versions.", get(oci::manifests::tags)),
        route!(GET "/v2/{namespace}/{name}/referrers/{digest}" "oci_referrers", Namespace(Read), "Manifests that refer to one.", get(oci::manifests::referrers)),
    ]
}

const READ_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("namespace", "only this namespace"),
    ("workload", "only this workload"),
    ("by", "only reads of this user or service"),
    ("digest", "only this file, or this version with its files"),
    ("since", "only what was read at this time or later, as in RFC 3339"),
    ("until", "only what was read before this time"),
];
const HOOK_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    (
        "scope",
        "only hooks of this scope: a namespace with its workloads, a workload, or `*` for those of the whole registry",
    ),
];
const HOLD_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("scope", "only holds that concern a namespace, a workload, or a version by number or digest"),
];
const DELIVERY_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("state", "only pending, delivered or dead ones"),
];
const TOKEN_FILTERS: &[(&str, &str)] = &[
    ("cursor", "where to go on: `next` of the page before"),
    ("limit", "entries on a page, at most 1000"),
    ("all", "everybody's tokens, for admins: true or false"),
];

/// The service: every row of the table behind its guard.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    let limits = guard::Limits::new(&app);
    for route in routes() {
        let gate = guard::Gate { app: app.clone(), limits: limits.clone(), route: guard::Needs::of(&route) };
        router = router.route(route.path, (route.handler)().layer(from_fn_with_state(gate, guard::admit)));
    }
    let outer = guard::Outer::new(app.clone());
    router
        .fallback(guard::no_such_route)
        .method_not_allowed_fallback(guard::no_such_method)
        .with_state(app)
        .layer(Extension(limits))
        .layer(from_fn_with_state(outer, guard::observe))
}
