//! `gradus log --reads`.

use super::print::{Out, count, time};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        digest::Digest,
        name::{Namespace, PrincipalName, Workload},
    },
    wire,
};
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};

/// Which reads to show.
pub(super) struct Reads {
    pub workload: Option<Workload>,
    pub namespace: Option<Namespace>,
    pub by: Option<PrincipalName>,
    pub digest: Option<Digest>,
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub limit: i64,
}

/// A time of RFC 3339, or a day, which begins at midnight in UTC.
pub(super) fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let day = |text: &str| text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let at = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).or_else(|_| day(text));
    at.map_err(|_| "not a day or a time, as 2026-11-25 or 2026-11-25T23:00:00Z".to_owned())
}

fn exact(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Reads {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let found = client.reads(&self.query(), usize::try_from(self.limit).unwrap_or(1)).await?;
        if found.items.is_empty() {
            self.check_that_it_exists(client).await?;
        }
        out.data(&found, |out| {
            let rows: Vec<Vec<String>> = found.items.iter().map(row).collect();
            if !rows.is_empty() {
                out.table(&["TIME", "LAST", "TIMES", "WHO", "HOW", "WHAT", "DIGEST", "FROM"], &rows);
            }
        })?;
        for gap in &found.missing {
            out.note(format!(
                "{} of {} are missing between {} and {}",
                count(gap.times, "read"),
                gap.namespace,
                time(gap.at),
                time(gap.last_at)
            ));
        }
        if let (Some(_), Some(last)) = (&found.next, found.items.last()) {
            // Those of the same moment come again rather than not at all.
            let until = last.at + TimeDelta::microseconds(1);
            out.note(format!("there are earlier reads: {}", self.command(until, out)));
        }
        Ok(())
    }

    fn filters(&self) -> [(&'static str, Option<String>); 6] {
        [
            ("workload", self.workload.as_ref().map(ToString::to_string)),
            ("namespace", self.namespace.as_ref().map(ToString::to_string)),
            ("by", self.by.as_ref().map(ToString::to_string)),
            ("digest", self.digest.as_ref().map(ToString::to_string)),
            ("since", self.since.map(exact)),
            ("until", self.until.map(exact)),
        ]
    }

    fn query(&self) -> String {
        let escaped = |value: String| value.replace('/', "%2F").replace(':', "%3A").replace('+', "%2B");
        let filters = self.filters().into_iter();
        filters.filter_map(|(name, value)| Some(format!("&{name}={}", escaped(value?)))).collect()
    }

    /// No reads, or nothing that could have any.
    async fn check_that_it_exists(&self, client: &Client) -> Result<()> {
        if let Some(namespace) = &self.namespace {
            client.show_namespace(namespace).await?;
        }
        if let Some(workload) = &self.workload {
            let versions = client.list_versions(workload, "", 1).await?;
            if versions.is_empty() {
                return Err(Error::not_found(
                    "workload_unknown",
                    format!("no such workload, or it has no version yet: {workload}"),
                ));
            }
        }
        Ok(())
    }

    fn command(&self, until: DateTime<Utc>, out: &Out) -> String {
        let mut words = vec!["log --reads".to_owned()];
        for (name, value) in self.filters() {
            match (name, value) {
                ("until", _) => words.push(format!("--until {}", exact(until))),
                (_, None) => {}
                ("workload" | "namespace", Some(value)) => words.push(value),
                (name, Some(value)) => words.push(format!("--{name} {value}")),
            }
        }
        if self.limit != 100 {
            words.push(format!("--limit {}", self.limit));
        }
        out.command(&words.join(" "))
    }
}

fn row(read: &wire::ReadView) -> Vec<String> {
    let version = read.version.as_ref().map(|version| format!(":{version}")).unwrap_or_default();
    vec![
        time(read.at),
        if read.times > 1 { time(read.last_at) } else { String::new() },
        read.times.to_string(),
        read.principal.to_string(),
        read.how.to_string(),
        format!("{}{version}", read.workload),
        read.digest.short().to_string(),
        read.address.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight() {
        assert_eq!(exact(moment("2026-11-25").unwrap()), "2026-11-25T00:00:00Z");
        assert_eq!(exact(moment("2026-11-25T23:00:00+01:00").unwrap()), "2026-11-25T22:00:00Z");
        for bad in ["", "yesterday", "2026-13-01", "2026-11-25 23:00", "-1"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
