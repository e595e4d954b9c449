//! Who records deliveries and who changes hooks wait for each other's rows in one order, and what cannot be recorded at once
//! is recorded a moment later. Only PostgreSQL has transactions that write side by side.

use crate::{
    harness::{Backend, Env, govern::W, receiver::Receiver, variable},
    hooks::{add, loopback, push, show, wait},
};
use gradus::{
    clock::Clock as _,
    db::{hooks, log},
    jobs::deliver,
};
use serde_json::json;
use std::time::Duration;

async fn registry() -> Option<Env> {
    if !Backend::PostgresLocal.is_there() {
        return None;
    }
    let env = Env::with(Backend::PostgresLocal, loopback).await;
    env.namespace("acme").await;
    Some(env)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_a_hook_away_meets_nobody_who_holds_its_lanes() {
    let Some(env) = registry().await else { return };
    let receiver = Receiver::answering(|_| {
        axum::response::IntoResponse::into_response(axum::http::StatusCode::BAD_GATEWAY)
    });
    let receiver = receiver.await;
    let hook = add(&env, json!({ "url": receiver.url, "on": "pushed" })).await;
    push(&env, W, "one").await;
    // As `remove` does, but slowly: the head, the hook, and when its lane is being recorded, the lane.
    let mut tx = env.cx.db.write().await.unwrap();
    log::lock(&mut tx).await.unwrap();
    hooks::lock(&mut tx, &hook).await.unwrap();
    let running = deliver::start(&env.cx).unwrap();
    receiver.wait_for(1).await;
    // Longer than PostgreSQL waits before it looks for a circle: whoever closes one now is the one to be refused.
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert!(hooks::remove(&mut tx, &hook, env.clock.now()).await.expect("there is no circle"));
    tx.commit().await.unwrap();
    running.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_at_once_is_recorded_a_moment_later() {
    let Some(env) = registry().await else { return };
    let receiver = Receiver::start().await;
    let hook = add(&env, json!({ "url": receiver.url, "on": "pushed" })).await;
    push(&env, W, "one").await;
    // Connections made from now on wait for a row a tenth of a second only.
    let url = env.cx.config.database.url.clone().unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let mut cluster =
        <sqlx::PgConnection as sqlx::Connection>::connect(&variable("GRADUS_TEST_POSTGRES")).await.unwrap();
    let setting = format!("ALTER DATABASE {name} SET lock_timeout = '100ms'");
    sqlx::query(sqlx::AssertSqlSafe(setting)).execute(&mut cluster).await.unwrap();
    let replica = env.replica().await;
    let mut tx = env.cx.db.write().await.unwrap();
    hooks::lock(&mut tx, &hook).await.unwrap();
    let running = deliver::start(&replica.cx).unwrap();
    receiver.wait_for(1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(tx);
    // The clock stands still, so no lease ends.
    wait("it is recorded", async || show(&env, &hook).await["pending"] == 0).await;
    assert_eq!(receiver.got().len(), 1, "and was sent once");
    running.close(Duration::from_secs(5)).await;
}
