//! Profiles that are pushed for a monitor, where the data must not leave or no bucket can be read.

use super::{super::Context, Run, lock, runs::Asked};
use crate::{
    check::{Input, Source},
    db::{
        drift_runs::{self as rows, Wanted},
        monitors::MonitorRow,
    },
    drift::profile::Profile,
    error::{Error, Kind, Result},
    model::{
        access::Actor,
        digest::Digest,
        evidence::MAX_BYTES,
        monitor::{Cause, MonitorName, Window},
        name::Workload,
    },
    ops::{blobs, uploads},
};
use chrono::{DateTime, Utc};
use std::sync::Arc;

pub(in crate::ops) const MEDIA_TYPE: &str = "application/vnd.gradus.drift-profile.v1+json";
/// Windows whose profiles are compared with.
const WINDOWS_MAX: i64 = 400;

/// Takes the profile of the window of a run at some time, and asks for that run.
///
/// Errors: the monitor reads its data itself, no profile, a window that was checked before.
pub async fn push(
    cx: &Arc<Context>,
    actor: &Actor,
    workload: &Workload,
    name: &MonitorName,
    at: Option<DateTime<Utc>>,
    bytes: Vec<u8>,
) -> Result<Asked> {
    Profile::parse(&bytes).map_err(|error| {
        Error::invalid("profile_invalid", format!("not a profile: {error}"))
            .hint("make one with: gradus drift profile FILES -o FILE")
    })?;
    let digest = uploads::put_own(cx, workload, bytes).await?;
    let (mut tx, row) = lock(cx, workload, name).await?;
    let (plan, now) = (row.spec.plan()?, cx.clock.now());
    if plan.source.is_some() {
        return Err(Error::conflict("monitor_reads", format!("monitor {name} reads its data itself"))
            .hint("profiles are pushed to a monitor that was added with --source pushed"));
    }
    let window = plan.window(at.unwrap_or(now));
    if window.end > now {
        return Err(Error::invalid(
            "window_open",
            format!("the window ends at {}, which is to come", window.end),
        )
        .hint("push the profile of a window once it is over"));
    }
    let wanted = Wanted { cause: Cause::Pushed, by: Some(&actor.principal), at: now };
    let is_new = rows::queue(&mut tx, &row.id, window, &wanted).await?
        || rows::again(&mut tx, &row.id, window, &wanted, DateTime::UNIX_EPOCH).await?;
    if !rows::set_profile(&mut tx, &row.id, window, &digest, is_new).await? {
        return Err(Error::conflict(
            "window_checked",
            format!("the window that ends at {} was checked before", window.end),
        )
        .hint("merge the profiles of its parts before they are pushed: gradus drift merge"));
    }
    let gone = || Error::internal("run_gone", "a run that was asked for is not there");
    let run = rows::find(&mut tx, &row.id, window).await?.ok_or_else(gone)?;
    tx.commit().await?;
    cx.runs.notify_one();
    Ok(Asked { run, is_new })
}

/// What was pushed for a run, if anything was.
pub(super) async fn of_run(cx: &Context, monitor: &MonitorRow, run: &Run) -> Result<Option<Source>> {
    let Some(digest) = &run.profile else { return Ok(None) };
    let (profile, input) = read(cx, monitor, digest, run.window).await?;
    Ok(Some(Source::of_profile(vec![input], profile)))
}

/// What was pushed for the windows within another one, merged. Profiles that were not kept are left out.
pub(super) async fn within(cx: &Context, monitor: &MonitorRow, window: Window) -> Result<Option<Source>> {
    let pushed = rows::profiles(&mut cx.db.read().await?, &monitor.id, window, WINDOWS_MAX).await?;
    let (mut merged, mut inputs): (Option<Profile>, Vec<Input>) = (None, Vec::new());
    for (window, digest) in pushed {
        let (profile, input) = match read(cx, monitor, &digest, window).await {
            Err(error) if error.kind == Kind::NotFound => continue,
            read => read?,
        };
        inputs.push(input);
        merged = Some(match merged {
            None => profile,
            Some(before) => before.merge(&profile).map_err(|error| {
                Error::invalid(
                    "profile_merge",
                    format!("profiles that were pushed do not fit together: {error}"),
                )
            })?,
        });
    }
    Ok(merged.map(|profile| Source::of_profile(inputs, profile)))
}

async fn read(
    cx: &Context,
    monitor: &MonitorRow,
    digest: &Digest,
    window: Window,
) -> Result<(Profile, Input)> {
    let bytes = blobs::read_whole(cx, &monitor.workload, digest, MAX_BYTES as u64).await?;
    let profile = Profile::parse(&bytes)
        .map_err(|error| Error::integrity("profile_rotten", format!("a profile that was pushed: {error}")))?;
    let name = format!("pushed for {} to {}", window.start, window.end);
    Ok((profile, Input { name, bytes: bytes.len() as u64, sha256: digest.hex().to_owned() }))
}
