//! Reading the command line. A mistake in it ends as every error does: with the command to try next.

use super::{
    Command, Global, Verb,
    connect::login_file,
    nearest::nearest,
    print::{Out, quoted},
};
use crate::{
    error::{Error, Result},
    model::digest::shorten,
};
use clap::{
    ArgMatches, CommandFactory as _, FromArgMatches as _,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use std::{ffi::OsString, process::ExitCode};

/// Options of every verb that mean nothing to these.
const MEANINGLESS: [(&str, &[&str]); 4] = [
    ("serve", &["server", "token", "plain_http", "json"]),
    ("demo", &["server", "token", "config", "plain_http", "json"]),
    ("login", &["server", "data_dir", "config"]),
    ("logout", &["server", "token", "data_dir", "config", "plain_http"]),
];

/// What was typed: the command, its name with its verbs, and how to print. Or how it ended, if there is nothing to run.
pub fn read() -> Result<(Command, String, Out), ExitCode> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut grammar = grammar();
    let typed = grammar.try_get_matches_from_mut(&words);
    let (verb, name) = verb_of(&grammar, &words);
    let plain = Out::new(words.iter().any(|word| word == "--json"), false, String::new());
    let parsed = typed.and_then(|typed| Command::from_arg_matches(&typed).map(|command| (command, typed)));
    let (mut command, typed) = parsed.map_err(|error| end(error, verb, &name, &plain))?;
    if let Err(error) = refuse_contradictions(&typed, &mut command) {
        plain.error(&error.hint(format!("{name} --help")));
        return Err(ExitCode::from(2));
    }
    let out = Out::new(command.global.json, command.global.quiet, place(&typed, &command.global));
    Ok((command, name, out))
}

fn grammar() -> clap::Command {
    let mut grammar = Command::command();
    grammar.build();
    for (verb, options) in MEANINGLESS {
        grammar = grammar.mut_subcommand(verb, |verb| {
            verb.mut_args(|option| match options.contains(&option.get_id().as_str()) {
                true => option.hide(true),
                false => option,
            })
        });
    }
    grammar
}

/// The verb that was meant, as far as it can be told, and how to call it.
fn verb_of<'a>(grammar: &'a clap::Command, words: &[OsString]) -> (&'a clap::Command, String) {
    let (mut verb, mut name) = (grammar, "gradus".to_owned());
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            let option = verb.get_arguments().find(|option| option.get_long() == Some(long));
            if option.is_some_and(|option| option.get_action().takes_values()) {
                words.next();
            }
        } else if !word.starts_with('-') {
            let Some(found) = verb.find_subcommand(word) else { break };
            verb = found;
            name = format!("{name} {}", found.get_name());
        }
    }
    (verb, name)
}

/// Prints why nothing is run.
fn end(error: clap::Error, verb: &clap::Command, name: &str, out: &Out) -> ExitCode {
    if !error.use_stderr() {
        // Help and version are answers, not errors.
        return out.answer(error.render().to_string().trim_end());
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        out.note(error.render().to_string().trim_end());
        let first = verb.get_subcommands().next().map(clap::Command::get_name).unwrap_or_default();
        let next = if name == "gradus" { "gradus demo".to_owned() } else { format!("{name} {first} --help") };
        out.error(&Error::invalid("usage", format!("a verb is missing after: {name}")).hint(next));
    } else {
        out.error(&explain(error, verb, name));
    }
    ExitCode::from(2)
}

/// Clap's words as one of our errors.
fn explain(mut error: clap::Error, verb: &clap::Command, name: &str) -> Error {
    tame(&mut error);
    suggest(&mut error, verb);
    let text = error.render().to_string();
    let text = text.trim_start_matches("error: ");
    let mut usage = None;
    let mut message = Vec::new();
    for part in text.split("\n\n").map(str::trim).filter(|part| !part.is_empty()) {
        let part = part.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        match part.split_once(": ") {
            Some(("Usage", call)) => usage = Some(call.to_owned()),
            Some(("tip", tip)) => message.push(tip.to_owned()),
            _ if part.starts_with("For more information") => {}
            _ => message.push(part),
        }
    }
    let told = Error::invalid("usage", message.join("; ")).hint(format!("{name} --help"));
    match usage {
        Some(usage) => told.details(serde_json::json!({ "usage": usage })),
        None => told,
    }
}

/// What was typed is repeated to the terminal: not at any length, and not with control characters.
fn tame(error: &mut clap::Error) {
    let tamed: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| match (kind, value) {
            (ContextKind::Usage, _) => None,
            (_, ContextValue::String(text)) => Some((kind, ContextValue::String(safe(text)))),
            (_, ContextValue::Strings(texts)) if kind != ContextKind::ValidValue => {
                Some((kind, ContextValue::Strings(texts.iter().map(|text| safe(text)).collect())))
            }
            _ => None,
        })
        .collect();
    for (kind, value) in tamed {
        error.insert(kind, value);
    }
}

fn safe(text: &str) -> String {
    let needs = text.chars().count() > 80 || text.chars().any(char::is_control);
    if needs { shorten(text) } else { text.to_owned() }
}

/// Names the nearest flag or verb where clap has no idea, instead of its idea to pass a flag as a value.
fn suggest(error: &mut clap::Error, verb: &clap::Command) {
    let (given, suggested, known): (_, _, Vec<String>) = match error.kind() {
        ErrorKind::UnknownArgument => {
            let longs =
                verb.get_arguments().filter(|option| !option.is_hide_set()).filter_map(|o| o.get_long());
            let longs = longs.map(|long| format!("--{long}")).collect();
            (ContextKind::InvalidArg, ContextKind::SuggestedArg, longs)
        }
        ErrorKind::InvalidSubcommand => {
            let names = verb.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
            (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand, names)
        }
        _ => return,
    };
    let Some(ContextValue::String(word)) = error.get(given) else { return };
    if error.get(suggested).is_none()
        && let Some(nearest) = nearest(word, &known)
    {
        error.insert(suggested, ContextValue::String(nearest));
    }
    error.insert(ContextKind::Suggested, ContextValue::None);
}

/// One registry at a time. What the environment says gives way to what is typed.
fn refuse_contradictions(typed: &ArgMatches, command: &mut Command) -> Result<()> {
    let from = |option: &str| typed.value_source(option);
    let global = &mut command.global;
    if from("server") == Some(ValueSource::EnvVariable) {
        global.server = global.server.take().filter(|server| !server.is_empty());
    }
    if from("token") == Some(ValueSource::EnvVariable) {
        global.token = global.token.take().filter(|token| !token.is_empty());
    }
    if from("server") == Some(ValueSource::CommandLine) && global.data_dir.is_some() {
        return Err(Error::invalid("usage", "--data-dir and --server name two registries; give one of them"));
    }
    let is_remote = global.data_dir.is_none()
        && (global.server.is_some() || login_file().is_ok_and(|login| login.exists()));
    let configures = matches!(command.verb, Verb::Serve(_) | Verb::Demo | Verb::Login(_) | Verb::Logout);
    if global.config.is_some() && is_remote && !configures {
        return Err(Error::invalid(
            "usage",
            "--config is for a data directory, and the registry is a server; name the directory with --data-dir",
        ));
    }
    Ok(())
}

/// The options that say which registry, as they were typed, for commands to try next.
fn place(typed: &ArgMatches, global: &Global) -> String {
    let mut place = String::new();
    let mut add = |option: &str, value: &str| place.push_str(&format!(" {option} {}", quoted(value)));
    if let Some(directory) = &global.data_dir {
        add("--data-dir", &directory.to_string_lossy());
    }
    if let Some(server) = &global.server
        && typed.value_source("server") == Some(ValueSource::CommandLine)
    {
        add("--server", server);
    }
    if let Some(config) = &global.config {
        add("--config", &config.to_string_lossy());
    }
    if global.plain_http {
        place.push_str(" --plain-http");
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        Command::command().debug_assert();
        let words = ["gradus", "--data-dir", "push", "alias", "rm", "x"].map(OsString::from);
        assert_eq!(verb_of(&grammar(), &words).1, "gradus alias rm");
    }
}
