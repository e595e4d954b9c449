//! The command line: what can be typed, which verb it calls, how it ends. One file per group of verbs; `print`
//! is the only one that writes to the terminal.

mod access;
mod admin;
mod aliases;
mod attest;
mod audit;
mod backup;
mod connect;
mod copy;
mod demo;
mod deployment;
mod doctor;
mod drift;
mod evidence;
mod export;
mod files;
mod find;
mod hold;
mod hook;
mod import;
mod inventory;
mod lineage;
mod log;
mod login;
mod look;
mod nearest;
mod oidc;
mod policy;
mod print;
mod promote;
mod pull;
mod purge;
mod push;
mod quarantine;
mod quota;
mod reads;
mod render;
mod retention;
mod serve;
mod sign;
mod stages;
mod trust;
mod usage;
mod users;
mod watch;
mod workload;

use crate::error::{Error, Kind, Result};
use clap::{Args, Parser, Subcommand};
use print::Out;
use std::{path::PathBuf, process::ExitCode};

/// A model-lifecycle registry: prompts, adapters and weights under one contract.
#[derive(Parser)]
#[command(name = "gradus", version, max_term_width = 110)]
struct Command {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Where the registry is and how to print.
#[derive(Args, Clone)]
#[command(next_help_heading = "Registry and output")]
struct Global {
    /// Work on this data directory, without a server
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The server's URL
    #[arg(long, global = true, env = "GRADUS_SERVER", value_name = "URL")]
    server: Option<String>,
    /// The token; better in the environment or stored by `login`
    #[arg(long, global = true, env = "GRADUS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Send the token over plain http to another machine
    #[arg(long, global = true)]
    plain_http: bool,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print no notes and no progress
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the service
    Serve(serve::Serve),
    /// Take one workload from prompt to weights, on a directory of its own
    Demo,
    /// Push a prompt, adapter or weights as a new version
    Push(push::Push),
    /// Fetch and verify the files of a version
    Pull(pull::Pull),
    /// List workloads, or the versions of one
    List(look::List),
    /// Show all there is about a version
    Show(look::Show),
    /// Say what differs between two versions
    Diff(look::DiffVerb),
    /// Find versions by what they are made of, over all namespaces you may read
    Find(find::Find),
    /// Show what a version is made of, what is made of it, and where that runs
    Lineage(lineage::Lineage),
    /// Say which version a reference means, and how to run it
    Resolve(look::Resolve),
    /// Fill in a workload's prompt
    Render(render::Render),
    /// Check the stored bytes of a version, or a directory against it
    Verify(pull::Verify),
    /// Name versions: set, rm, list
    #[command(subcommand)]
    Alias(aliases::Alias),
    /// Withdraw a version: ranges pass it over, exact references still find it
    Yank(aliases::Yank),
    /// Take a version's content away for good; takes two admins (exit code 4: waits for the other)
    Purge(purge::Purge),
    /// What must not be purged or deleted: set, clear, list
    #[command(subcommand)]
    Hold(hold::Hold),
    /// Let versions that were never promoted go by age: set, show, rm, run
    #[command(subcommand)]
    Retention(retention::Retention),
    /// Evidence about a version: attach, list
    #[command(subcommand)]
    Eval(evidence::Eval),
    /// Sign a version's files, in the format of OpenSSF Model Signing
    Sign(sign::Sign),
    /// Write versions with their evidence as an OCI image layout; or what the registry knows, for people and tools elsewhere: dossier, attestation
    Export(export::Export),
    /// Bring in versions from an OCI image layout, as `export` or skopeo wrote it
    Import(import::Import),
    /// Copy a version with its evidence to another registry, which is sent what it lacks
    Copy(copy::Copy),
    /// Move a stage to a version, if its gates pass (exit code 3: refused, 4: pending)
    Promote(promote::Promote),
    /// Say yes to a version's entering a stage
    Approve(promote::Decide),
    /// Say no to it
    Reject(promote::Decide),
    /// Take a pending promotion back
    Withdraw(promote::Decide),
    /// Confirm what somebody else did by override
    Ratify(promote::Ratify),
    /// List promotions that wait for you
    Pending(promote::Pending),
    /// Show what is in each stage of a workload, and what waits
    Status(stages::Status),
    /// What is said of a workload, as who answers for it and when it is looked at again: set, show; and giving up its name: delete
    #[command(subcommand)]
    Workload(workload::WorkloadVerb),
    /// List every workload with who answers for it, what is in use, and what is known to be wrong
    Inventory(inventory::Inventory),
    /// Show what was in a stage, who put it there, and why
    History(stages::History),
    /// Move a stage back to the previous good version
    Rollback(stages::Rollback),
    /// Let nothing enter a stage
    Freeze(stages::Freeze),
    /// Lift a freeze
    Unfreeze(stages::Unfreeze),
    /// Keep what is bad, and all that is made from it, from being promoted: set, clear, list
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// What versions must show before they enter a stage: show, test, apply, rm, gates
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Tell deployment systems what happens: add, list, show, test, deliveries, replay, pause, resume, rotate, rm
    #[command(subcommand)]
    Hook(hook::Hook),
    /// Wait for what happens to a reference, and run a command on each change
    Watch(watch::Watch),
    /// Say what runs where: report
    #[command(subcommand)]
    Deployment(deployment::Deployment),
    /// Show which targets run a workload, a stage or a version, against what should run there
    Where(deployment::Where),
    /// Find out whether data has drifted: baseline, check, calibrate, profile, merge, monitor, runs, report, run-now, push, backfill, mute, key
    #[command(subcommand)]
    Drift(Box<drift::Drift>),
    /// Tenants: create, list, show, delete
    #[command(subcommand)]
    Namespace(access::NamespaceVerb),
    /// What a namespace may have at most, and what it has: set, show, list, rm
    #[command(subcommand)]
    Quota(quota::Quota),
    /// Roles in a namespace: add, rm, list
    #[command(subcommand)]
    Member(access::Member),
    /// People and services: add, list, disable
    #[command(subcommand)]
    User(users::User),
    /// Tokens: create, list, revoke
    #[command(subcommand)]
    Token(users::TokenVerb),
    /// Let identities of other systems act in a namespace, without a token of ours: add, list, rm
    #[command(subcommand)]
    Trust(trust::Trust),
    /// Say who you are to the registry
    Whoami,
    /// Store a server and a token for later commands; with --oidc get that for who you are elsewhere
    Login(login::Login),
    /// Forget the server and the token that `login` stored
    Logout,
    /// Read the event log
    Log(log::Log),
    /// Show that the log is what it was: verify, checkpoint, key, proof, check, recover, export
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Copy all there is into a folder, while the registry runs; what the folder has is not fetched again
    Backup(backup::Backup),
    /// Make an empty registry what a backup was of, on any database and stores
    Restore(backup::Restore),
    /// Look whether the registry can work where it is, and say what to do; changes nothing
    Doctor(doctor::Doctor),
    /// Find what nothing needs any more, and delete it
    Gc(admin::Gc),
    /// Re-hash what is stored, and set rot aside
    Scrub(admin::Scrub),
}

/// Parses the command line, runs the verb in a runtime of its own, and says how it ended.
pub fn run() -> ExitCode {
    // One TLS provider for the whole process, chosen here and not by whichever crate is first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (command, name, out) = match usage::read() {
        Ok(read) => read,
        Err(ended) => return ended,
    };
    let is_server = matches!(command.verb, Verb::Serve(_));
    crate::telemetry::start(is_server && !out.is_terminal(), if is_server { "info" } else { "off" });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(dispatch(command, &out)));
    match done.and_then(|()| out.finish()) {
        Ok(()) => ExitCode::from(out.ended()),
        Err(error) => {
            let error = with_next_step(error, &name);
            out.error(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}

async fn dispatch(command: Command, out: &Out) -> Result<()> {
    let Command { global, verb } = command;
    match verb {
        Verb::Serve(serve) => return serve.run(&global, out).await,
        Verb::Demo => return demo::run(&global, out).await,
        Verb::Login(login) => return login.run(&global, out).await,
        Verb::Logout => return login::logout(out),
        Verb::Doctor(doctor) => return doctor.run(&global, out).await,
        Verb::Restore(restore) => return restore.run(&global, out).await,
        Verb::Audit(audit) if audit.is_offline() => return audit.run_offline(out),
        Verb::Drift(drift) if drift.is_offline() => return drift.run(None, out).await,
        _ => {}
    }
    let registry = connect::open(&global).await?;
    let client = &registry.client;
    let outcome = match verb {
        Verb::Serve(_) | Verb::Demo | Verb::Login(_) | Verb::Logout | Verb::Restore(_) | Verb::Doctor(_) => {
            Ok(())
        }
        Verb::Push(push) => push.run(client, out).await,
        Verb::Pull(pull) => pull.run(client, out).await,
        Verb::List(list) => list.run(client, out).await,
        Verb::Show(show) => show.run(client, out).await,
        Verb::Diff(diff) => diff.run(client, out).await,
        Verb::Find(find) => find.run(client, out).await,
        Verb::Lineage(lineage) => lineage.run(client, out).await,
        Verb::Resolve(resolve) => resolve.run(client, out).await,
        Verb::Render(render) => render.run(client, out).await,
        Verb::Verify(verify) => verify.run(client, out).await,
        Verb::Alias(alias) => alias.run(client, out).await,
        Verb::Yank(yank) => yank.run(client, out).await,
        Verb::Purge(purge) => purge.run(client, out).await,
        Verb::Hold(hold) => hold.run(client, out).await,
        Verb::Retention(retention) => retention.run(client, out).await,
        Verb::Eval(eval) => eval.run(client, out).await,
        Verb::Sign(sign) => sign.run(client, out).await,
        Verb::Export(export) => export.run(client, out).await,
        Verb::Import(import) => import.run(client, out).await,
        Verb::Copy(copy) => copy.run(client, global.plain_http, out).await,
        Verb::Promote(promote) => promote.run(client, out).await,
        Verb::Approve(decide) => decide.run(promote::Word::Approve, client, out).await,
        Verb::Reject(decide) => decide.run(promote::Word::Reject, client, out).await,
        Verb::Withdraw(decide) => decide.run(promote::Word::Withdraw, client, out).await,
        Verb::Ratify(ratify) => ratify.run(client, out).await,
        Verb::Pending(pending) => pending.run(client, out).await,
        Verb::Status(status) => status.run(client, out).await,
        Verb::Workload(workload) => workload.run(client, out).await,
        Verb::Inventory(inventory) => inventory.run(client, out).await,
        Verb::History(history) => history.run(client, out).await,
        Verb::Rollback(rollback) => rollback.run(client, out).await,
        Verb::Freeze(freeze) => freeze.run(client, out).await,
        Verb::Unfreeze(unfreeze) => unfreeze.run(client, out).await,
        Verb::Quarantine(quarantine) => quarantine.run(client, out).await,
        Verb::Policy(policy) => policy.run(client, out).await,
        Verb::Hook(hook) => hook.run(client, out).await,
        Verb::Watch(watch) => watch.run(client, global.plain_http, out).await,
        Verb::Deployment(deployment) => deployment.run(client, out).await,
        Verb::Drift(drift) => drift.run(Some(client), out).await,
        Verb::Where(places) => places.run(client, out).await,
        Verb::Namespace(namespace) => namespace.run(client, out).await,
        Verb::Quota(quota) => quota.run(client, out).await,
        Verb::Member(member) => member.run(client, out).await,
        Verb::User(user) => user.run(client, out).await,
        Verb::Token(token) => token.run(client, out).await,
        Verb::Trust(trust) => trust.run(client, out).await,
        Verb::Whoami => access::whoami(client, out).await,
        Verb::Log(log) => log.run(client, out).await,
        Verb::Audit(audit) => audit.run(client, out).await,
        Verb::Backup(backup) => backup.run(client, out).await,
        Verb::Gc(gc) => gc.run(client, out).await,
        Verb::Scrub(scrub) => scrub.run(client, out).await,
    };
    registry.close().await;
    outcome
}

/// How a failed command ends, for scripts. 0 is success; 3 and 4 are outcomes of promotions and purges, 10 of drift checks.
fn exit_code(error: &Error) -> u8 {
    match error.kind {
        Kind::Conflict => 5,
        Kind::Integrity => 6,
        Kind::NotFound | Kind::Gone => 7,
        Kind::Unauthenticated | Kind::Forbidden | Kind::NotAllowed => 8,
        Kind::Unavailable | Kind::TooMany | Kind::Misdirected => 9,
        Kind::Invalid if error.code == "usage" => 2,
        Kind::Invalid | Kind::TooLarge | Kind::Range | Kind::Internal => 1,
    }
}

/// An error whose maker knew no next step gets one where the mistake is in what was typed.
fn with_next_step(error: Error, name: &str) -> Error {
    match (error.code, error.kind) {
        ("server_invalid", _) => error.hint("gradus login http://127.0.0.1:8300"),
        (_, Kind::Invalid | Kind::NotFound | Kind::TooLarge) if error.hint.is_none() => {
            error.hint(format!("{name} --help"))
        }
        _ => error,
    }
}

/// An argument of a type of ours, for clap: its error is a usage error.
fn argument<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: Error| match error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message,
    })
}
