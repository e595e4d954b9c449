//! Tests at the doors people use: the HTTP API, the command line, a killed server. One binary, every test on both
//! databases, those that concern bytes on both stores.

mod harness;

/// Who read what.
mod access_log;
/// The log's Merkle tree, checkpoints and proofs.
mod audit;
/// Going on with a log after a backup was restored or damage was accepted.
mod audit_recovery;
/// Backups of a running registry, and what is restored from them.
mod backups;
/// Logs that programs of schema 2 began, and their checkpoints.
mod bare_checkpoints;
/// What is said of workloads, and the review that is overdue.
mod cards;
/// Versions by a folder, or straight, to another registry: what travels.
mod carry;
/// The same by the command line, and with other tools' layouts.
mod carry_commands;
/// What lies on its way there, and what is refused.
mod carry_refused;
/// Whether there is room for it there.
mod carry_room;
/// The command line.
mod cli;
/// A server killed while clients push.
mod crash;
/// The database is not there, or goes away.
mod database;
/// Who says yes or no, and for how long that holds.
mod decisions;
/// What runs where, and what follows from it.
mod deployments;
/// `gradus doctor`.
mod doctor;
/// What is known of a version, as documents for auditors and tools.
mod dossier;
/// Drift checks.
mod drift;
mod drift_commands;
/// Evidence of versions: with a push, after it, and again.
mod evidence;
/// The bucket, the database or the disk fails in the middle.
mod faults;
/// What goes and what stays; rot found and healed.
mod garbage;
/// Uploads that the client gives up, and those it comes back to.
mod given_up;
/// Hooks: what is queued, sent, tried again and given up.
mod hooks;
/// A server killed while hooks are told.
mod hooks_crash;
/// What hooks must not reach, and receivers that misbehave.
mod hooks_hostile;
/// What hooks may grow to.
mod hooks_limits;
/// Rows of hooks that two want at once.
mod hooks_locks;
/// The inventory: every workload, what runs of it, and what is wrong.
mod inventory;
/// Tokens for identities of other systems.
mod keyless;
/// Quotas of namespaces.
mod limits;
/// What versions are made of, and what is made of them.
mod lineage;
/// The event log: gap-free, exact, append-only.
mod log;
/// What the command line says: next steps, early refusals, what is left out.
mod messages;
/// Drift monitors and their consequences.
mod monitors;
/// Monitors on three servers of one registry.
mod monitors_replicas;
/// The OCI view: manifests, tags, referrers, and what a semver tag does.
mod oci;
/// What takes its time, and what does not answer at all.
mod patience;
/// Promotions that wait, and what becomes of them when the world moves on.
mod pending;
/// What the registry finds in an artifact, whatever its names claim.
mod pickle;
/// What a version must show: applied, inherited, tried on what was.
mod policies;
/// Stages move by their gates, and by nothing else.
mod promotion;
/// Rendering, at every tier.
mod prompts;
/// What is kept from stages, with all that is made of it; and what that hits.
mod quarantine;
mod quarantine_hits;
/// Many promotions and rollbacks at once.
mod races;
/// How much one principal may ask for.
mod rates;
/// Pages, entity tags, freshness, bad input.
mod reads;
/// Large downloads straight from the bucket.
mod redirects;
/// What is taken away for good: purges, holds, retention, names.
mod removal;
/// What was taken away does not come back, and no more is taken away than was asked for.
mod removal_again;
/// What goes along with a purge.
mod removal_along;
/// Names that were given up.
mod removal_names;
/// What goes by a rule, and what one takes away alone.
mod removal_rules;
/// The way back: where it leads, and what is marked by it.
mod rollback;
/// Every route, every caller that may not.
mod routes;
/// The committed schemas.
mod schemas;
/// A server that is asked to stop.
mod shutdown;
/// Signing, and what `verify --key` says of it, by the real binary.
mod signing;
/// The database itself, as the registry sets it up.
mod sql;
/// The main job: push, resolve, render, climb, pull, verify.
mod story;
/// Two tenants.
mod tenants;
/// TLS: whom a client trusts, and what a server starts with.
mod tls;
/// Registries of earlier versions.
mod upgrades;
/// Bytes come in by every way of the distribution-spec.
mod uploads;
/// Version numbers, references, races.
mod versions;
/// Following the log: streams, long polls, `gradus watch`.
mod watch;
/// How `gradus watch` begins, waits and ends.
mod watch_ends;
