//! `gradus inventory`: every workload, who answers for it, what runs and what is known to be wrong.

use super::{
    argument,
    print::{Out, count, time},
    workload::review,
};
use crate::{
    client::Client,
    error::{Error, Result},
    model::name::Namespace,
    wire,
};
use clap::Args;

/// What the last column is about.
const OF_KNOWN: &str = "KNOWN tells of a review that is overdue, of the version in the last stage whether it was yanked or is \
    in quarantine, of overrides that nobody ratified, of targets that are not healthy or not on what their stage holds, of \
    promotions that wait, of drift, and of freezes. Quarantines of versions in other stages, or that only run somewhere, it \
    does not tell: see gradus quarantine list, and gradus status for each stage.";

#[derive(Args)]
#[command(after_help = OF_KNOWN)]
pub struct Inventory {
    /// Only this namespace
    #[arg(value_parser = argument::<Namespace>)]
    namespace: Option<Namespace>,
    /// As CSV, a line for each workload, for spreadsheets
    #[arg(long)]
    csv: bool,
}

impl Inventory {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        if self.csv && out.json {
            return Err(Error::invalid("usage", "--csv and --json are two forms of the same")
                .hint(out.command("inventory --csv")));
        }
        let items = client.inventory(self.namespace.as_ref()).await?;
        if self.csv {
            out.line(record(COLUMNS.iter().map(|(name, _)| (*name).to_owned())));
            items.iter().for_each(|item| out.line(record(COLUMNS.iter().map(|(_, cell)| cell(item)))));
            return Ok(());
        }
        out.data(&items, |out| table(&items, out))?;
        if items.is_empty() {
            out.note("there is no workload that you may see");
        }
        Ok(())
    }
}

fn table(items: &[wire::InventoryView], out: &Out) {
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let row = |item: &wire::InventoryView| {
        let current = item.current.as_ref();
        vec![
            item.card.workload.to_string(),
            text(item.card.owner.clone()),
            text(item.card.risk.map(|risk| risk.to_string())),
            text(item.card.review_on.map(|day| day.to_string())),
            text(current.map(|current| current.version.to_string())),
            text(current.map(|current| current.tier.to_string())),
            format!("{}/{}", item.targets_running, item.targets),
            known(item).join("; "),
        ]
    };
    let head = ["WORKLOAD", "OWNER", "RISK", "REVIEW", "IN USE", "TIER", "RUNS", "KNOWN"];
    out.table(&head, &items.iter().map(row).collect::<Vec<_>>());
}

/// What somebody should look at.
fn known(item: &wire::InventoryView) -> Vec<String> {
    let mut known = Vec::new();
    if item.card.overdue_days.is_some() {
        known.push(review(&item.card));
    }
    if item.current.as_ref().is_some_and(|current| current.yanked) {
        known.push("yanked".to_owned());
    }
    if item.current.as_ref().is_some_and(|current| !current.quarantined.is_empty()) {
        known.push("in quarantine".to_owned());
    }
    let mut some = |number: i64, thing: &str, what: &str| {
        if number > 0 {
            known.push(format!("{}{what}", count(number, thing)));
        }
    };
    some(item.unratified, "override", " not ratified");
    some(item.targets_unhealthy, "target", " not healthy");
    some(item.targets_drifted, "target", " not on what the stage holds");
    some(item.pending, "promotion", " waiting");
    if !item.drifting.is_empty() {
        known.push(format!("drift by {}", list(&item.drifting)));
    }
    if !item.freezes.is_empty() {
        known.push("frozen".to_owned());
    }
    known
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

type Column = (&'static str, fn(&wire::InventoryView) -> String);

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Something of what is in use; empty if nothing is.
fn current(item: &wire::InventoryView, cell: impl Fn(&wire::InUseView) -> String) -> String {
    item.current.as_ref().map(cell).unwrap_or_default()
}

/// The columns of the CSV. New ones come last, and none goes away: others read them by name or by place.
const COLUMNS: &[Column] = &[
    ("workload", |item| item.card.workload.to_string()),
    ("owner", |item| text(item.card.owner.as_ref())),
    ("purpose", |item| text(item.card.purpose.as_ref())),
    ("limits", |item| text(item.card.limits.as_ref())),
    ("risk", |item| text(item.card.risk)),
    ("review_on", |item| text(item.card.review_on)),
    ("overdue_days", |item| text(item.card.overdue_days)),
    ("described_at", |item| text(item.card.set_at.map(time))),
    ("described_by", |item| text(item.card.set_by.as_ref())),
    ("versions", |item| item.versions.to_string()),
    ("newest", |item| text(item.newest.as_ref())),
    ("stage", |item| text(item.stage.as_ref())),
    ("version", |item| current(item, |current| current.version.to_string())),
    ("digest", |item| current(item, |current| current.digest.to_string())),
    ("tier", |item| current(item, |current| current.tier.to_string())),
    ("kind", |item| current(item, |current| current.kind.to_string())),
    ("base", |item| current(item, |current| text(current.base.as_ref()))),
    ("licence", |item| current(item, |current| text(current.licence.as_ref()))),
    ("since", |item| current(item, |current| time(current.since))),
    ("by", |item| current(item, |current| current.by.to_string())),
    ("how", |item| current(item, |current| current.how.to_string())),
    ("reason", |item| current(item, |current| text(current.reason.as_ref()))),
    ("ratified_by", |item| current(item, |current| text(current.ratified_by.as_ref()))),
    ("approvers", |item| current(item, |current| list(&current.approvers))),
    ("yanked", |item| current(item, |current| current.yanked.to_string())),
    ("other_stages", |item| {
        let stages = item.stages.iter().map(|held| format!("{} {}", held.stage, held.version));
        stages.collect::<Vec<_>>().join(", ")
    }),
    ("pending", |item| item.pending.to_string()),
    ("unratified", |item| item.unratified.to_string()),
    ("targets", |item| item.targets.to_string()),
    ("targets_running", |item| item.targets_running.to_string()),
    ("targets_unhealthy", |item| item.targets_unhealthy.to_string()),
    ("targets_drifted", |item| item.targets_drifted.to_string()),
    ("monitors", |item| item.monitors.to_string()),
    ("drifting", |item| list(&item.drifting)),
    ("freezes", |item| {
        item.freezes.iter().map(|freeze| freeze.reason.clone()).collect::<Vec<_>>().join("; ")
    }),
    ("quarantined", |item| {
        current(item, |current| {
            current.quarantined.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })
    }),
];

/// A line by RFC 4180, which ends in a carriage return; the newline comes as it is printed.
fn record(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|text| cell(&text)).collect();
    format!("{}\r", cells.join(","))
}

/// A cell, in one line, that no spreadsheet takes for a formula: what begins like one gets a `'` before it.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let mut plain = if is_formula { "'".to_owned() } else { String::new() };
    plain.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
    match plain.contains(['"', ',']) || plain.starts_with(' ') || plain.ends_with(' ') {
        true => format!("\"{}\"", plain.replace('"', "\"\"")),
        false => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas_and_stay_in_their_line() {
        for (text, expected) in [
            ("", ""),
            ("triage team", "triage team"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("two\nlines\r\nand\u{1b}[2J", "two lines  and [2J"),
            ("=1+1", "'=1+1"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("+1", "'+1"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "' =1"),
            ("\r=1", "' =1"),
            ("'=1", "'=1"),
            ("a=1", "a=1"),
            (" =1", "\" =1\""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
        assert_eq!(record(["a".to_owned(), String::new(), "=b".to_owned()].into_iter()), "a,,'=b\r");
    }

    #[test]
    fn the_columns_are_those_that_others_rely_on() {
        let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let expected = "workload,owner,purpose,limits,risk,review_on,overdue_days,described_at,described_by,versions,newest,stage,\
                        version,digest,tier,kind,base,licence,since,by,how,reason,ratified_by,approvers,yanked,other_stages,pending,\
                        unratified,targets,targets_running,targets_unhealthy,targets_drifted,monitors,drifting,freezes,quarantined";
        assert_eq!(names.join(","), expected);
    }
}
