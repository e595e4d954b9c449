//! What a run compares: the data of its window, what they are compared with, and labels.

use super::{super::Context, Run, baseline, data, pushed};
use crate::{
    check::Source,
    db::{monitors::MonitorRow, stages::Move},
    error::Result,
    model::monitor::{Plan, Window},
    tables::Input,
};
use std::sync::Arc;

/// One side.
pub(super) enum Data {
    Files(Vec<Arc<dyn Input>>),
    Profile(Box<Source>),
}

impl Data {
    /// Blocking. Errors: the files are no table.
    pub fn open(self, threads: usize) -> Result<Source> {
        match self {
            Self::Files(files) => Source::open(files, None, threads),
            Self::Profile(source) => Ok(*source),
        }
    }
}

pub(super) struct Gathered {
    pub current: Data,
    pub reference: Data,
    /// Without any there are none yet, which the report says.
    pub labels: Vec<Arc<dyn Input>>,
    /// Labels are asked for and neither side can be measured without.
    pub is_unlabelled: bool,
}

/// Finds it all; or says what there is none of.
pub(super) async fn gather(
    cx: &Context,
    monitor: &MonitorRow,
    plan: &Plan,
    run: &Run,
    there: &Move,
) -> Result<Result<Gathered, String>> {
    let workload = &monitor.workload;
    let Some(current) = of_window(cx, monitor, plan, run.window, Some(run)).await? else {
        return Ok(Err(nowhere(plan, run.window)));
    };
    let reference = match plan.reference_of(run.window) {
        Some(window) => of_window(cx, monitor, plan, window, None).await?.ok_or_else(|| {
            format!("There are no data to compare with, from {} to {}.", window.start, window.end)
        }),
        None => {
            let found = baseline::of(cx, workload, &there.version, &there.digest).await?;
            let name = format!("{workload}:{}", there.version);
            found.map(|source| Data::Profile(Box::new(source))).ok_or_else(|| {
                format!("{name} has no drift baseline: gradus drift baseline {name} --data FILES")
            })
        }
    };
    let reference = match reference {
        Ok(reference) => reference,
        Err(reason) => return Ok(Err(reason)),
    };
    let labels = labels(cx, monitor, plan, run.window).await?;
    let is_unlabelled = plan.labels.is_some() && labels.is_empty() && matches!(reference, Data::Files(_));
    Ok(Ok(Gathered { current, reference, labels, is_unlabelled }))
}

/// The data of a window, if there are any. `run`: the one that it is of.
async fn of_window(
    cx: &Context,
    monitor: &MonitorRow,
    plan: &Plan,
    window: Window,
    run: Option<&Run>,
) -> Result<Option<Data>> {
    let Some(source) = &plan.source else {
        let found = match run {
            Some(run) => pushed::of_run(cx, monitor, run).await?,
            None => pushed::within(cx, monitor, window).await?,
        };
        return Ok(found.map(|source| Data::Profile(Box::new(source))));
    };
    let files = data::find(cx, &monitor.workload.namespace(), source, &plan.paths(window)).await?;
    Ok((!files.is_empty()).then_some(Data::Files(files)))
}

async fn labels(
    cx: &Context,
    monitor: &MonitorRow,
    plan: &Plan,
    window: Window,
) -> Result<Vec<Arc<dyn Input>>> {
    let Some(source) = &plan.labels else { return Ok(Vec::new()) };
    let windows = plan.reference_of(window).into_iter().chain([window]);
    let mut paths: Vec<String> =
        windows.flat_map(|window| source.paths(window, plan.schedule.zone())).collect();
    paths.dedup();
    data::find(cx, &monitor.workload.namespace(), source, &paths).await
}

fn nowhere(plan: &Plan, window: Window) -> String {
    match plan.paths(window).as_slice() {
        [] => "No profile was pushed for this window.".to_owned(),
        [first, .., last] => format!("There are no data from {first} to {last}."),
        [only] => format!("There are no data at {only}."),
    }
}
