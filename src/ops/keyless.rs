//! From an identity token of another system to a token of ours, that lives for minutes.

use super::{Context, issuers, tokens::issue, trust::RULES_MAX};
use crate::{
    config::Issuer,
    db::{Tx, log, principals, tokens, trust},
    error::{Error, Result},
    identity::{self, Expected, Identity},
    model::{
        access::{PrincipalKind, Scope},
        digest::shorten,
        name::{Namespace, PrincipalName},
    },
};
use chrono::{DateTime, TimeDelta, Utc};

/// How long an expired token of a job is still listed.
const LISTED: TimeDelta = TimeDelta::days(1);

/// What is asked for.
pub struct Wanted {
    /// Where a job wants to act. A person may do without; with it their token is narrowed to it.
    pub namespace: Option<Namespace>,
    /// Which rule of the namespace, where several fit.
    pub rule: Option<String>,
}

/// What was given.
pub struct Given {
    pub token: String,
    pub expires_at: DateTime<Utc>,
    pub principal: PrincipalName,
    pub kind: PrincipalKind,
    pub scope: Scope,
    pub issuer: String,
    pub subject: String,
}

/// Exchanges an identity token. Nothing is written unless it is good.
pub async fn exchange(cx: &Context, token: &str, wanted: Wanted) -> Result<Given> {
    let token = identity::read(token)?;
    let issuer = cx.config.issuers.iter().find(|issuer| issuer.url == token.issuer).ok_or_else(|| {
        let message = format!(
            "the identity token is of an issuer this registry does not know: {}",
            shorten(&token.issuer)
        );
        Error::unauthenticated("identity_issuer_unknown", message)
            .hint("whoever runs the registry adds it under [[issuers]]")
    })?;
    // No key is fetched for what is refused anyway.
    let algorithm = token.algorithm;
    let keys = match issuer.algorithms.contains(&algorithm) {
        true => issuers::keys(cx, issuer, token.key.as_deref(), algorithm).await?,
        false => Default::default(),
    };
    let audience = issuer.audience(&cx.config);
    let mut audiences = vec![audience];
    audiences.extend(issuer.client_id.as_deref());
    let expected = Expected {
        issuer: &issuer.url,
        audiences: &audiences,
        algorithms: &issuer.algorithms,
        now: cx.clock.now(),
    };
    let identity = identity::verify(&token, &expected, &keys)?;
    // Whom it is made out to tells jobs from people, so that no job can pass for a person by a claim.
    match identity.is_for(audience) {
        true => for_job(cx, issuer, &identity, wanted).await,
        false => for_person(cx, issuer, &identity, wanted).await,
    }
}

async fn for_job(cx: &Context, issuer: &Issuer, identity: &Identity, wanted: Wanted) -> Result<Given> {
    let namespace = wanted.namespace.ok_or_else(|| {
        Error::invalid("namespace_missing", "a job says in which namespace it wants to act")
            .hint("name it: --namespace NAMESPACE")
    })?;
    let find = async |tx: &mut Tx| -> Result<trust::TrustRow> {
        let rules = trust::list(tx, &namespace, "", RULES_MAX).await?;
        choose(issuer, identity, &namespace, wanted.rule.as_deref(), rules)
    };
    // Whoever fits no rule costs no transaction.
    find(&mut cx.db.read().await?).await?;
    let mut tx = cx.db.write().await?;
    // From here on no rule is taken away, so none gives a token that taking it away did not end.
    log::lock(&mut tx).await?;
    let rule = find(&mut tx).await?;
    let scope = Scope { namespaces: vec![namespace], roles: rule.roles };
    tokens::forget_of_rule(&mut tx, &rule.id, cx.clock.now() - LISTED).await?;
    let minutes = cx.config.oidc.token_minutes;
    give(cx, tx, issuer, identity, (rule.principal, PrincipalKind::Service), scope, (minutes, Some(&rule.id)))
        .await
}

/// The one rule that an identity fits. Strangers are not told what rules or namespaces there are.
fn choose(
    issuer: &Issuer,
    identity: &Identity,
    namespace: &Namespace,
    wanted: Option<&str>,
    rules: Vec<trust::TrustRow>,
) -> Result<trust::TrustRow> {
    // The URL counts: a name may be given to another issuer in the configuration.
    let fits = |rule: &trust::TrustRow| {
        rule.issuer_url == issuer.url
            && wanted.is_none_or(|wanted| rule.id == wanted)
            && rule.claims.fit(&identity.claims)
    };
    let mut fitting: Vec<trust::TrustRow> = rules.into_iter().filter(fits).collect();
    match (fitting.pop(), fitting.is_empty()) {
        (Some(rule), true) => Ok(rule),
        (Some(last), false) => {
            let ids: Vec<&str> = fitting.iter().chain([&last]).map(|rule| rule.id.as_str()).collect();
            Err(Error::conflict(
                "identity_ambiguous",
                format!(
                    "{} rules of {namespace} fit {} of {}",
                    ids.len(),
                    shorten(&identity.subject),
                    issuer.name
                ),
            )
            .hint(format!("say which one: --rule {}", ids.join(" or --rule "))))
        }
        (None, _) => Err(Error::forbidden(
            "identity_unmatched",
            format!(
                "no rule of {namespace} fits {} of {}, or there is no such namespace",
                shorten(&identity.subject),
                issuer.name
            ),
        )
        .hint(format!(
            "an admin of {namespace} adds one: gradus trust add {namespace} --issuer {} --claim sub=…",
            issuer.name
        ))),
    }
}

async fn for_person(cx: &Context, issuer: &Issuer, identity: &Identity, wanted: Wanted) -> Result<Given> {
    // One for several clients may have been given to another, who must not come in as whoever logged in there.
    let given_to = identity.claims.get("azp");
    if (given_to.is_some() || identity.audiences.len() > 1)
        && given_to.and_then(serde_json::Value::as_str) != issuer.client_id.as_deref()
    {
        let message = "the identity token was given to another client of its issuer";
        return Err(Error::unauthenticated("identity_audience_wrong", message)
            .hint("log in with: gradus login SERVER --oidc"));
    }
    let claim = issuer.people.as_deref().unwrap_or_default();
    let said = identity.claims.get(claim).and_then(serde_json::Value::as_str).ok_or_else(|| {
        Error::forbidden(
            "person_unnamed",
            format!("the identity token of {} does not say who it is of: {claim}", issuer.name),
        )
        .hint("the provider must put this claim into ID tokens of the client")
    })?;
    let unknown = || {
        Error::forbidden(
            "person_unknown",
            format!("nobody here is called as {} says: {}", issuer.name, shorten(said)),
        )
        .hint("an admin adds people: gradus user add NAME")
    };
    let name: PrincipalName = said.parse().map_err(|_| unknown())?;
    let mut tx = cx.db.write().await?;
    // Whoever is being disabled gets none any more.
    log::lock(&mut tx).await?;
    match principals::find(&mut tx, &name).await? {
        Some(person) if person.kind == PrincipalKind::Person && !person.disabled => {}
        _ => return Err(unknown()),
    }
    let scope = Scope { namespaces: wanted.namespace.into_iter().collect(), roles: Vec::new() };
    let minutes = cx.config.oidc.login_minutes;
    give(cx, tx, issuer, identity, (name, PrincipalKind::Person), scope, (minutes, None)).await
}

async fn give(
    cx: &Context,
    mut tx: Tx,
    issuer: &Issuer,
    identity: &Identity,
    (principal, kind): (PrincipalName, PrincipalKind),
    scope: Scope,
    (minutes, rule): (u32, Option<&str>),
) -> Result<Given> {
    let there = principals::find(&mut tx, &principal).await?;
    if there.is_none_or(|there| there.disabled) {
        return Err(Error::forbidden("user_disabled", format!("the service was disabled: {principal}"))
            .hint("an admin can make the rule anew under another name: gradus trust add … --as NAME"));
    }
    let expires_at = cx.clock.now() + TimeDelta::minutes(minutes.into());
    let label: String = format!("{}: {}", issuer.name, identity.subject).chars().take(100).collect();
    let (token, change) =
        issue(cx, &mut tx, &principal, &label, scope.clone(), Some(expires_at), rule).await?;
    log::append(&mut tx, cx.clock.now(), &principal, vec![change]).await?;
    tx.commit().await?;
    Ok(Given {
        token,
        expires_at,
        principal,
        kind,
        scope,
        issuer: issuer.name.clone(),
        subject: identity.subject.clone(),
    })
}
