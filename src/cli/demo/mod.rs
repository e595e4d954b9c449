//! `gradus demo`: one workload climbs from a prompt to an adapter to weights, and what each must show grows with it. On
//! the embedded default and through the same router a server uses.

mod drift;
mod files;
mod people;
mod story;

use super::{
    Global,
    connect::open_local_at,
    print::{Out, quoted},
    push::ensure_namespace,
};
use crate::{
    client::Client,
    clock::Behind,
    config::{Config, local_user},
    error::{Error, Result},
    http, jobs,
    model::name::{PrincipalName, Workload},
    ops::start,
};
use people::People;
use std::{path::PathBuf, sync::Arc, time::Duration};
use story::Story;

const WORKLOAD: &str = "acme/ticket-triage";
const INPUT: &str =
    r#"{"subject":"Invoice twice","body":"You charged me twice this month.","customer_tier":"team"}"#;
/// A base model pinned to a revision, as `--base` takes it. The registry records it; the demo runs no model.
const BASE: &str = "hf:acme/tiny-llama@4f2a9c1d7be3056c8a91f0d2e6b7c3845a1908fe";

pub async fn run(global: &Global, out: &Out) -> Result<()> {
    let directory = directory(global)?;
    files::write(&directory.join("files"))?;
    let user = PrincipalName::local(&local_user());
    // Most of it was three hours ago: a monitor looks at an hour in which nothing was moved.
    let clock = Arc::new(Behind::new(3 * 3600));
    let local = open_local_at(&directory, Config::default(), Some(user.clone()), clock.clone()).await?;
    start::ensure_local_user(&local.context, &user).await?;
    let router = http::router(local.context.clone());
    let admin = Client::local(router.clone());
    let runs = jobs::drift::start(&local.context, true);
    out.line(format!(
        "Gradus demo: the workload {WORKLOAD} sorts support tickets. Its data is in {}.",
        directory.display()
    ));
    let told = async {
        let workload: Workload = WORKLOAD.parse()?;
        ensure_namespace(&admin, &workload, out).await?;
        let people = People::add(&admin, &router).await?;
        out.line("Three people work on it: dana pushes, rhea measures and promotes, eli approves.");
        let (program, place) = (quoted(&own_name()), quoted(&directory.display().to_string()));
        let command = format!("{program} --data-dir {place}");
        Story {
            people,
            admin,
            files: directory.join("files"),
            pulled: directory.join("pulled"),
            command,
            clock,
            out,
        }
        .tell()
        .await
    };
    let told = told.await;
    local.context.closing.cancel();
    runs.close(Duration::from_secs(10)).await;
    local.context.db.close().await;
    told
}

/// Where the demo keeps its data: a directory of its own each time, since its people are to be met for the first time.
fn directory(global: &Global) -> Result<PathBuf> {
    let is_used = |directory: &PathBuf| directory.join("gradus.db").exists();
    match &global.data_dir {
        Some(directory) if is_used(directory) => Err(Error::conflict(
            "demo_has_run",
            format!("there is a registry here already: {}", directory.display()),
        )
        .hint("name another directory; one that is not there is made")),
        Some(directory) => Ok(directory.clone()),
        None => {
            let names = (2..).map(|number| PathBuf::from(format!("gradus-demo-{number}")));
            let mut names = std::iter::once(PathBuf::from("gradus-demo")).chain(names);
            names
                .find(|directory| !is_used(directory))
                .ok_or_else(|| Error::internal("no_name", "no name is free"))
        }
    }
}

/// How this program can be called again from here.
fn own_name() -> String {
    let Ok(program) = std::env::current_exe() else { return "gradus".to_owned() };
    let here = std::env::current_dir().unwrap_or_default();
    match program.strip_prefix(&here) {
        // A shell looks for a bare name elsewhere.
        Ok(name) if name.components().count() == 1 => format!("./{}", name.display()),
        Ok(below) => below.display().to_string(),
        Err(_) => program.display().to_string(),
    }
}
