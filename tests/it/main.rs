//! Tests at the doors people use: the HTTP API, the command line, a killed server. One binary, every test on both
//! databases, those that concern bytes on both stores.

mod harness;

/// The command line.
mod cli;
/// A server killed while clients push.
mod crash;
/// The event log: gap-free, exact, append-only.
mod log;
/// Pages, entity tags, freshness, bad input.
mod reads;
/// Every route, every caller that may not.
mod routes;
/// The committed schemas.
mod schemas;
/// The main job: push, resolve, render, climb, pull, verify.
mod story;
/// Two tenants.
mod tenants;
/// Version numbers, references, races.
mod versions;
