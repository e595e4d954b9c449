//! The people of the demo: who they are, and what each does as themselves.

use super::{BASE, WORKLOAD, files};
use crate::{
    client::{Client, Digests, Progress},
    error::Result,
    model::{
        access::{PrincipalKind, Role, Scope},
        artifact::Dataset,
        digest::Digest,
        name::{PrincipalName, Workload},
        reference::Reference,
        stage::Stage,
    },
    wire,
};
use axum::Router;
use std::{path::Path, sync::Arc};

/// Each with a token of their own, so that the registry sees three people.
pub struct People {
    /// Pushes.
    pub dana: Client,
    /// Promotes, and measures.
    pub rhea: Client,
    /// Approves.
    pub eli: Client,
}

impl People {
    /// Adds them, by the admin.
    pub async fn add(admin: &Client, router: &Router) -> Result<Self> {
        Ok(Self {
            dana: person(admin, router, "dana", Role::Contributor).await?,
            rhea: person(admin, router, "rhea", Role::Releaser).await?,
            eli: person(admin, router, "eli", Role::Approver).await?,
        })
    }
}

async fn person(admin: &Client, router: &Router, name: &str, role: Role) -> Result<Client> {
    let who: PrincipalName = name.parse()?;
    admin.add_user(&wire::NewUser { name: who.clone(), kind: PrincipalKind::Person }).await?;
    let workload: Workload = WORKLOAD.parse()?;
    admin.add_member(workload.namespace().as_str(), &who, role).await?;
    let new = wire::NewToken { user: Some(who), label: "demo".into(), scope: Scope::default(), days: 1 };
    let token = admin.create_token(&new).await?.token;
    Ok(Client::local_as(router.clone(), token))
}

/// What is pushed.
pub struct Push<'a> {
    /// A file or directory of the demo's files.
    pub what: &'a str,
    pub with_contract: bool,
    pub with_base: bool,
    /// Says what it was trained on.
    pub with_dataset: bool,
}

/// Pushes files. Answers what was made, and how many bytes were sent.
pub async fn push(
    client: &Client,
    workload: &str,
    directory: &Path,
    push: &Push<'_>,
) -> Result<(wire::PushedView, u64)> {
    let workload: Workload = workload.parse()?;
    let files = crate::cli::push::collect(&directory.join(push.what))?;
    let quiet: Progress = Arc::new(|_| {});
    let sent = client.upload(&workload, files, &Digests::open(None), quiet).await?;
    let moved = sent.iter().filter(|file| file.sent).map(|file| file.file.size).sum();
    let contract = match push.with_contract {
        true => Some(crate::cli::push::read_contract(&directory.join("contract.json"))?),
        false => None,
    };
    let trained = Dataset { name: files::DATASET.0.to_owned(), digest: Digest::sha256(files::DATASET.1) };
    let new = wire::NewVersion {
        tier: None,
        files: sent.into_iter().map(|sent| sent.file).collect(),
        contract,
        prompt: None,
        base: push.with_base.then(|| BASE.to_owned()),
        datasets: if push.with_dataset { vec![trained] } else { Vec::new() },
        evidence: Vec::new(),
        version: None,
        bump: None,
    };
    Ok((client.create_version(&workload, &new).await?, moved))
}

pub fn reference(version: &str) -> Result<Reference> {
    format!("{WORKLOAD}:{version}").parse()
}

pub async fn promote(
    client: &Client,
    workload: &str,
    version: &str,
    stage: &str,
) -> Result<wire::PromotionView> {
    let (workload, stage): (Workload, Stage) = (workload.parse()?, stage.parse()?);
    let body = wire::Promote { version: version.to_owned(), dry_run: false, overriding: None, expect: None };
    client.promote(&workload, &stage, &body).await
}

pub async fn approve(client: &Client, version: &str, stage: &str, why: &str) -> Result<wire::DecidedView> {
    let (workload, stage): (Workload, Stage) = (WORKLOAD.parse()?, stage.parse()?);
    let body = wire::Decide { version: version.to_owned(), message: why.to_owned() };
    client.approve(&workload, &stage, &body).await
}

pub async fn attach(client: &Client, version: &str, bytes: Vec<u8>) -> Result<wire::AttachedView> {
    client.attach(&reference(version)?, None, None, bytes).await
}
