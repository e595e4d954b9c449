//! One lane: its deliveries one after the other, each recorded before the next is sent.

use super::{
    Deliverer,
    recorder::{Next, Outcome},
    runner::Served,
};
use crate::{
    db::deliveries::{self, AttemptRow, Due},
    error::Result,
    hooks::{Attempt, Verdict, cloud_event, message},
    model::{digest::Digest, event::Event},
    ops::hooks::source,
    telemetry::DeliveryLabels,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// So many of a lane in a row, then others have their turn.
const TURN: usize = 100;

pub(super) async fn serve(deliverer: Arc<Deliverer>, served: Arc<Served>, lane: String) {
    if let Err(error) = work(&deliverer, &served, &lane).await {
        // The lease runs out, and whoever comes then goes on.
        tracing::error!(hook = served.hook, lane, ?error, "a delivery is interrupted");
    }
}

async fn work(deliverer: &Deliverer, served: &Arc<Served>, lane: &str) -> Result<()> {
    let cx = &deliverer.cx;
    let first = deliveries::next(&mut cx.db.read().await?, &served.hook, lane).await?;
    let Some(mut due) = first else {
        return deliverer.recorder.close(served.clone(), lane.to_owned()).await;
    };
    for turn in 1.. {
        let (attempt, row) = send(deliverer, served, &due).await?;
        let outcome = Outcome {
            served: served.clone(),
            lane: lane.to_owned(),
            position: due.position,
            failed: due.failed,
            attempt,
            row,
            stop: turn >= TURN || cx.closing.is_cancelled(),
        };
        match deliverer.recorder.record(outcome).await? {
            Next::Send(next) => due = next,
            Next::Stop => return Ok(()),
        }
    }
    Ok(())
}

async fn send(deliverer: &Deliverer, served: &Served, due: &Due) -> Result<(Attempt, AttemptRow)> {
    let cx = &deliverer.cx;
    let event = Event::from_bytes(&due.event)?;
    let registry = crate::ops::hooks::registry(cx);
    let id = cloud_event::id(&registry, due.epoch, due.position);
    let event = cloud_event::value(&event, &source(cx), &id);
    let started_at = cx.clock.now();
    let message = message::message(&served.target, &event, started_at);
    let clock = Instant::now();
    let attempt = deliverer.sender.send(&served.target, &message).await;
    let took = clock.elapsed();
    let outcome = match attempt.verdict {
        Verdict::Delivered => "delivered",
        Verdict::Failed | Verdict::Gone => "failed",
    };
    cx.metrics.deliveries.get_or_create(&DeliveryLabels { outcome }).inc();
    cx.metrics.delivery_seconds.observe(took.as_secs_f64());
    let failures = &served.health.failures;
    match attempt.verdict {
        Verdict::Delivered => failures.store(0, Ordering::Relaxed),
        Verdict::Failed | Verdict::Gone => {
            let error = attempt.error.as_deref().unwrap_or_default();
            tracing::info!(hook = served.hook, position = due.position, error, "a delivery failed");
            failures.fetch_add(1, Ordering::Relaxed);
        }
    }
    let answer = attempt.answer.as_ref();
    let row = AttemptRow {
        number: due.attempts + 1,
        started_at,
        millis: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        request_digest: Digest::sha256(&message.body).to_string(),
        request_bytes: message.body.len() as i64,
        status: attempt.status.map(i64::from),
        error: attempt.error.clone(),
        answer_digest: answer.map(|answer| answer.digest.clone()),
        answer_bytes: answer.map(|answer| answer.bytes as i64),
        answer: answer.map(|answer| answer.text.clone()).filter(|text| !text.is_empty()),
    };
    Ok((attempt, row))
}
