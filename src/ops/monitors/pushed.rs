//! Profiles that are pushed for a monitor, where the data must not leave or no bucket can be read.

use super::{super::Context, Run, key, lock, runs::Asked};
use crate::{
    check::{Input, Source, check_untold},
    db::{
        drift_runs::{self as rows, Wanted},
        monitors::MonitorRow,
    },
    drift::{profile::Profile, signals::Derived},
    error::{Error, Kind, Result},
    model::{
        access::Actor,
        digest::Digest,
        evidence::MAX_BYTES,
        monitor::{Cause, MonitorName, RunState, Window},
        name::Workload,
    },
    ops::{blobs, uploads},
};
use chrono::{DateTime, Utc};
use std::sync::Arc;

pub(in crate::ops) const MEDIA_TYPE: &str = "application/vnd.gradus.drift-profile.v1+json";
/// Windows whose profiles are compared with.
const WINDOWS_MAX: i64 = 1_000;

/// Takes the profile of the window of a run at some time, and asks for that run.
///
/// Errors: the monitor reads its data itself, no profile or one that tells what it must not, hashes with another key than the
/// namespace's, a window that is open or was checked with other data.
pub async fn push(
    cx: &Arc<Context>,
    actor: &Actor,
    workload: &Workload,
    name: &MonitorName,
    at: Option<DateTime<Utc>>,
    bytes: Vec<u8>,
) -> Result<Asked> {
    let profile = Profile::parse(&bytes).map_err(|error| {
        Error::invalid("profile_invalid", format!("not a profile: {error}"))
            .hint("make one with: gradus drift profile FILES -o FILE")
    })?;
    check_fits(cx, workload, &super::show(cx, workload, name).await?, &profile)?;
    let digest = uploads::put_own(cx, workload, bytes).await?;
    let (mut tx, row) = lock(cx, workload, name).await?;
    check_fits(cx, workload, &row, &profile)?;
    let (plan, now) = (row.spec.plan()?, cx.clock.now());
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
    let is_given = rows::set_profile(&mut tx, &row.id, window, &wanted, &digest).await?;
    let gone = || Error::internal("run_gone", "a run that was asked for is not there");
    let run = rows::find(&mut tx, &row.id, window).await?.ok_or_else(gone)?;
    tx.commit().await?;
    let end = window.end;
    match run.state {
        _ if is_given => cx.runs.notify_one(),
        // As after an answer that was lost.
        _ if run.profile.as_ref() == Some(&digest) => {}
        RunState::Running => {
            return Err(Error::unavailable(
                "window_busy",
                format!("the window that ends at {end} is being checked"),
            )
            .hint("push it again in a minute"));
        }
        _ => {
            return Err(Error::conflict(
                "window_checked",
                format!("the window that ends at {end} was checked with other data"),
            )
            .hint("merge the profiles of its parts before they are pushed: gradus drift merge"));
        }
    }
    Ok(Asked { run, is_new })
}

fn check_fits(cx: &Context, workload: &Workload, row: &MonitorRow, profile: &Profile) -> Result<()> {
    if row.spec.plan()?.source.is_some() {
        return Err(Error::conflict("monitor_reads", format!("monitor {} reads its data itself", row.name))
            .hint("profiles are pushed to a monitor that was added with --source pushed"));
    }
    let key = key::of(cx, &workload.namespace())?.version();
    let is_hash = |(name, by): &(&String, &String)| Derived::hashes_of(name).is_some() && **by != key;
    if let Some((name, by)) = profile.derivations().iter().find(is_hash) {
        return Err(Error::invalid("drift_key", format!("{name} is by {by}, and the namespace has {key}"))
            .hint("gradus drift key NAMESPACE -o FILE, and profile with --sensitive-key FILE"));
    }
    row.spec.request().check_bins(profile)?;
    check_untold(profile, &row.spec.sensitive)
}

/// What was pushed for a run, if anything was.
pub(super) async fn of_run(cx: &Context, monitor: &MonitorRow, run: &Run) -> Result<Option<Source>> {
    let Some(digest) = &run.profile else { return Ok(None) };
    let read = match read(cx, monitor, digest, run.window).await {
        Err(error) if error.kind == Kind::NotFound => return Ok(None),
        read => read?,
    };
    Ok(Some(Source::of_profile(vec![read.1], read.0)))
}

/// What was pushed for the windows within another one, merged. Left out are windows without rows, profiles that were not kept, and
/// those that do not fit most rows, as of columns of other kinds, or overlap with a later one that does: the report names those
/// that were compared with.
pub(super) async fn within(cx: &Context, monitor: &MonitorRow, window: Window) -> Result<Option<Source>> {
    let pushed = rows::profiles(&mut cx.db.read().await?, &monitor.id, window, WINDOWS_MAX).await?;
    let mut groups = Vec::<Group>::new();
    for (window, digest) in pushed {
        if !groups.is_empty() && groups.iter().all(|group| window.end > group.from) {
            continue;
        }
        let (profile, input) = match read(cx, monitor, &digest, window).await {
            Err(error) if error.kind == Kind::NotFound => continue,
            read => read?,
        };
        if profile.rows() == 0 {
            continue;
        }
        let ended = |source| Error::internal("merge_ended", "merging ended before its time").source(source);
        let group = Group { profile, inputs: vec![input], from: window.start };
        groups = tokio::task::spawn_blocking(move || grouped(groups, group, window)).await.map_err(ended)?;
    }
    // Of as many rows the latest.
    let most = groups.into_iter().rev().max_by_key(|group| group.profile.rows());
    Ok(most.map(|group| Source::of_profile(group.inputs, group.profile)))
}

/// Profiles that fit together and do not overlap.
struct Group {
    profile: Profile,
    inputs: Vec<Input>,
    /// When the earliest of their windows began.
    from: DateTime<Utc>,
}

/// So many kinds of profiles are told apart.
const GROUPS_MAX: usize = 16;

/// Adds a profile to the group that it fits. Blocking.
fn grouped(mut groups: Vec<Group>, one: Group, window: Window) -> Vec<Group> {
    for group in &mut groups {
        let Ok(merged) = group.profile.merge(&one.profile) else { continue };
        if window.end <= group.from {
            (group.profile, group.from) = (merged, one.from);
            group.inputs.extend(one.inputs);
        }
        return groups;
    }
    if groups.len() < GROUPS_MAX {
        groups.push(one);
    }
    groups
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
