//! What versions are made of: an index that follows from versions, inspections and model cards.

use super::{
    read,
    tx::{Tx, all, execute, on, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        kind::Tier,
        lineage::{Part, Relation},
        name::{Namespace, Workload},
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// Rows that one statement asks for or writes.
pub const AT_ONCE: usize = 16;

/// A version by its number within its workload.
pub type Key = (Workload, i64);

type Name = (String, i64);

fn key((workload, sequence): Name) -> Result<Key> {
    Ok((read("lineage", &workload)?, sequence))
}

/// A statement that goes from sixteen versions, as `wanted`, to what is known of each. The order is forced where a planner would
/// rather read a whole index.
macro_rules! numbered {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (VALUES ($1, CAST($2 AS BIGINT)), ($3, CAST($4 AS BIGINT)), ($5, CAST($6 AS BIGINT)), ",
            "($7, CAST($8 AS BIGINT)), ($9, CAST($10 AS BIGINT)), ($11, CAST($12 AS BIGINT)), ",
            "($13, CAST($14 AS BIGINT)), ($15, CAST($16 AS BIGINT)), ($17, CAST($18 AS BIGINT)), ",
            "($19, CAST($20 AS BIGINT)), ($21, CAST($22 AS BIGINT)), ($23, CAST($24 AS BIGINT)), ",
            "($25, CAST($26 AS BIGINT)), ($27, CAST($28 AS BIGINT)), ($29, CAST($30 AS BIGINT)), ",
            "($31, CAST($32 AS BIGINT))) AS wanted ",
            $rest
        )
    };
}

/// Reads rows by versions, of which there are at most [`AT_ONCE`]. A place that is left over asks for nothing.
macro_rules! by_keys {
    ($tx:expr, $sql:expr, $keys:expr) => {{
        let given = $keys.iter().map(|(workload, sequence): &Key| (workload.as_str(), *sequence));
        let padded = given.chain(std::iter::repeat(("", 0))).take(AT_ONCE);
        on!($tx, connection => {
            let mut query = sqlx::query_as($sql);
            for (workload, sequence) in padded {
                query = query.bind(workload).bind(sequence);
            }
            query.fetch_all(connection).await?
        })
    }};
}

/// Reads rows by texts, of which there are at most [`AT_ONCE`].
macro_rules! by_texts {
    ($tx:expr, $sql:expr, $texts:expr $(, $more:expr)*) => {{
        let given = $texts.iter().map(|text| text.as_str());
        let padded = given.chain(std::iter::repeat("")).take(AT_ONCE);
        on!($tx, connection => {
            let mut query = sqlx::query_as($sql);
            for text in padded {
                query = query.bind(text);
            }
            query$(.bind($more))*.fetch_all(connection).await?
        })
    }};
}

/// Records what a version is made of. What is recorded already stays.
pub async fn insert(tx: &mut Tx, workload: &Workload, sequence: i64, parts: &[Part]) -> Result<()> {
    let sql = "INSERT INTO lineage (workload, sequence, relation, value, body)
               SELECT $1, CAST($2 AS BIGINT), column1, column2, column3 = 'body' FROM
                   (VALUES (CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT)), ($6, $7, $8), ($9, $10, $11),
                           ($12, $13, $14), ($15, $16, $17), ($18, $19, $20), ($21, $22, $23), ($24, $25, $26)) AS part
               WHERE column1 <> '' ON CONFLICT DO NOTHING";
    for some in parts.chunks(8) {
        let given = some
            .iter()
            .map(|part| (part.relation.name(), part.value.as_str(), if part.body { "body" } else { "" }));
        let padded = given.chain(std::iter::repeat(("", "", ""))).take(8);
        on!(tx, connection => {
            let mut query = sqlx::query(sql).bind(workload.as_str()).bind(sequence);
            for (relation, value, body) in padded {
                query = query.bind(relation).bind(value).bind(body);
            }
            query.execute(connection).await?;
        });
    }
    Ok(())
}

/// Links what named a version as its base before it was there to its content: all of it, or it would not be found.
pub async fn link_to(tx: &mut Tx, workload: &Workload, version: &Version, digest: &Digest) -> Result<()> {
    let sql = "INSERT INTO lineage (relation, value, workload, sequence, body)
               SELECT 'base', CAST($2 AS TEXT), workload, sequence, 1 = 1 FROM lineage
               WHERE relation = 'base' AND value = $1 ON CONFLICT DO NOTHING";
    execute!(tx, sql, format!("{workload}:{version}"), digest.as_str());
    Ok(())
}

/// Records the licence of content in a workload, or that it has none.
pub async fn set_licence(
    tx: &mut Tx,
    workload: &Workload,
    digest: &Digest,
    licence: Option<&str>,
) -> Result<()> {
    let sql = "DELETE FROM lineage WHERE relation = 'licence' AND workload = $1 AND sequence IN
                   (SELECT sequence FROM versions WHERE workload = $1 AND digest = $2)";
    execute!(tx, sql, workload.as_str(), digest.as_str());
    if let Some(licence) = licence {
        let sql = "INSERT INTO lineage (relation, value, workload, sequence, body)
                   SELECT 'licence', CAST($3 AS TEXT), workload, sequence, 1 = 0 FROM versions
                   WHERE workload = $1 AND digest = $2 ON CONFLICT DO NOTHING";
        execute!(tx, sql, workload.as_str(), digest.as_str(), licence);
    }
    Ok(())
}

/// A workload after a name with versions that are not in the index: up to which number they are.
pub async fn behind(tx: &mut Tx, after: &str) -> Result<Option<Key>> {
    let sql = "SELECT name, lineage_to FROM repositories WHERE last_sequence > lineage_to AND name > $1
               ORDER BY name LIMIT 1";
    let row: Option<Name> = optional!(tx, sql, after);
    row.map(key).transpose()
}

/// The same for one workload; `None`: all its versions are in the index.
pub async fn behind_in(tx: &mut Tx, workload: &Workload) -> Result<Option<i64>> {
    let sql = "SELECT lineage_to FROM repositories WHERE name = $1 AND last_sequence > lineage_to";
    let row: Option<(i64,)> = optional!(tx, sql, workload.as_str());
    Ok(row.map(|(to,)| to))
}

/// Notes up to which number the versions of a workload are in the index.
pub async fn caught_up(tx: &mut Tx, workload: &Workload, to: i64) -> Result<()> {
    let sql = "UPDATE repositories SET lineage_to = $2 WHERE name = $1 AND lineage_to < $2";
    execute!(tx, sql, workload.as_str(), to);
    Ok(())
}

/// Numbers of versions of a workload after one, in order.
pub async fn numbers(
    tx: &mut Tx,
    workload: &Workload,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Version)>> {
    let sql = "SELECT sequence, version FROM versions WHERE workload = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    let rows: Vec<(i64, String)> = all!(tx, sql, workload.as_str(), after, limit);
    rows.into_iter().map(|(sequence, version)| Ok((sequence, read("versions", &version)?))).collect()
}

type PartRow = (String, String, bool);

fn part((relation, value, body): PartRow) -> Result<Part> {
    Ok(Part { relation: read("lineage", &relation)?, value, body })
}

/// Most names that are read of one version, or of all that share something.
pub const PARTS_MAX: i64 = 30_000;

/// What a version is made of.
pub async fn of_version(tx: &mut Tx, (workload, sequence): &Key) -> Result<Vec<Part>> {
    let sql = "SELECT relation, value, body FROM lineage WHERE workload = $1 AND sequence = $2
               ORDER BY relation, value LIMIT $3";
    let rows: Vec<PartRow> = all!(tx, sql, workload.as_str(), sequence, PARTS_MAX);
    rows.into_iter().map(part).collect()
}

/// What is known of content by any of its versions: it is the same for all, as the manifest says it.
pub struct Content {
    pub workload: Workload,
    pub version: Version,
    pub tier: Tier,
    /// Empty: nothing is recorded of it yet.
    pub parts: Vec<Part>,
}

/// Versions of one content that are looked at: a replica that does not know of the index may have made some of them.
const SAME_MAX: i64 = 8;

/// What content is made of. `None`: it is no version's.
pub async fn of_content(tx: &mut Tx, digest: &str) -> Result<Option<Content>> {
    let sql = "SELECT workload, sequence, version, tier FROM versions WHERE digest = $1
               ORDER BY workload, sequence LIMIT $2";
    let rows: Vec<(String, i64, String, String)> = all!(tx, sql, digest, SAME_MAX);
    let mut last = None;
    for (workload, sequence, version, tier) in rows {
        let key = key((workload, sequence))?;
        let parts = of_version(tx, &key).await?;
        let (version, tier) = (read("versions", &version)?, read("versions", &tier)?);
        let is_recorded = !parts.is_empty();
        last = Some(Content { workload: key.0, version, tier, parts });
        if is_recorded {
            break;
        }
    }
    Ok(last)
}

/// Files that one statement asks for: a version may have some thousands.
pub const MANY: usize = 128;

/// Reads rows by files, of which there are at most [`MANY`]; what more there is comes after them.
macro_rules! by_files {
    ($tx:expr, $sql:expr, $files:expr $(, $more:expr)*) => {{
        let given = $files.iter().map(|file| file.as_str());
        let padded = given.chain(std::iter::repeat("")).take(MANY);
        let places: Vec<String> = (1..=MANY).map(|place| format!("${place}")).collect();
        let sql = $sql.replace("FILES", &places.join(", "));
        on!($tx, connection => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for file in padded {
                query = query.bind(file);
            }
            query$(.bind($more))*.fetch_all(connection).await?
        })
    }};
}

/// What versions of a namespace that are any of some files say is their base or a dataset, and whether that is all.
pub async fn of_bodies(tx: &mut Tx, files: &[String], namespace: &Namespace) -> Result<(Vec<Part>, bool)> {
    // `/` comes right before `0`.
    let sql = "SELECT DISTINCT o.relation, o.value, o.body FROM lineage l CROSS JOIN lineage o
               WHERE l.relation = 'file' AND l.value IN (FILES) AND l.workload > $129 AND l.workload < $130 AND l.body
                   AND o.workload = l.workload AND o.sequence = l.sequence AND o.relation IN ('base', 'dataset')
               ORDER BY o.relation, o.value LIMIT $131";
    let (first, last) = (format!("{namespace}/"), format!("{namespace}0"));
    let rows: Vec<PartRow> = by_files!(tx, sql, files, first.as_str(), last.as_str(), PARTS_MAX);
    let is_all = (rows.len() as i64) < PARTS_MAX;
    Ok((rows.into_iter().map(part).collect::<Result<_>>()?, is_all))
}

/// The files that contents are themselves, at most [`AT_ONCE`] of these: content and file. One version is asked for all that
/// have the same.
pub async fn bodies_of_contents(tx: &mut Tx, digests: &[String]) -> Result<Vec<(String, String)>> {
    macro_rules! first {
        ($column:literal) => {
            concat!(
                "(SELECT ",
                $column,
                " FROM versions v WHERE v.digest = wanted.column1 AND EXISTS (SELECT 1 FROM lineage o
                  WHERE o.workload = v.workload AND o.sequence = v.sequence) ORDER BY v.workload, v.sequence LIMIT 1)"
            )
        };
    }
    let sql = concat!(
        "SELECT one.digest, l.value FROM (SELECT column1 AS digest, ",
        first!("workload"),
        " AS workload, ",
        first!("sequence"),
        " AS sequence FROM (VALUES ($1), ($2), ($3), ($4), ($5), ($6), ($7), ($8), ($9), ($10), ($11), ($12), ($13), ($14), ($15), ($16))
             AS wanted LIMIT 16) AS one
         CROSS JOIN lineage l WHERE l.workload = one.workload AND l.sequence = one.sequence AND l.relation = 'file' AND l.body"
    );
    Ok(by_texts!(tx, sql, digests))
}

/// The files that versions are themselves.
pub async fn bodies(tx: &mut Tx, keys: &[Key]) -> Result<Vec<(Key, String)>> {
    let sql = numbered!(
        "l.workload, l.sequence, l.value",
        "CROSS JOIN lineage l WHERE l.workload = wanted.column1 AND l.sequence = wanted.column2 AND l.relation = 'file' AND l.body
         ORDER BY l.workload, l.sequence, l.value"
    );
    let rows: Vec<(String, i64, String)> = by_keys!(tx, sql, keys);
    rows.into_iter().map(|(workload, sequence, value)| Ok((key((workload, sequence))?, value))).collect()
}

/// Versions that name any of some values, in order, with what they call it. Of files those count that are a version's body.
pub async fn naming(tx: &mut Tx, values: &[String], limit: i64) -> Result<Vec<(Part, Key)>> {
    let sql = "SELECT relation, value, body, workload, sequence FROM lineage
               WHERE relation IN ('base', 'file', 'prompt') AND value IN
                   ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
               AND (relation <> 'file' OR body) ORDER BY relation, value, workload, sequence LIMIT $17";
    let rows: Vec<(String, String, bool, String, i64)> = by_texts!(tx, sql, values, limit);
    rows.into_iter()
        .map(|(relation, value, body, workload, sequence)| {
            Ok((part((relation, value, body))?, key((workload, sequence))?))
        })
        .collect()
}

/// Versions that are or have something, in order.
pub async fn having(tx: &mut Tx, relation: Relation, value: &str, limit: i64) -> Result<Vec<Key>> {
    let sql = "SELECT workload, sequence FROM lineage WHERE relation = $1 AND value = $2
               ORDER BY workload, sequence LIMIT $3";
    let rows: Vec<Name> = all!(tx, sql, relation.name(), value, limit);
    rows.into_iter().map(key).collect()
}

/// Versions that are a file themselves, in order.
pub async fn with_body(tx: &mut Tx, file: &str, limit: i64) -> Result<Vec<Key>> {
    let sql = "SELECT workload, sequence FROM lineage WHERE relation = 'file' AND value = $1 AND body
               ORDER BY workload, sequence LIMIT $2";
    let rows: Vec<Name> = all!(tx, sql, file, limit);
    rows.into_iter().map(key).collect()
}

/// Versions of content, in order.
pub async fn with_content(tx: &mut Tx, digest: &str, limit: i64) -> Result<Vec<Key>> {
    let sql =
        "SELECT workload, sequence FROM versions WHERE digest = $1 ORDER BY workload, sequence LIMIT $2";
    let rows: Vec<Name> = all!(tx, sql, digest, limit);
    rows.into_iter().map(key).collect()
}

/// How many versions have something, counted up to a limit.
pub async fn count(tx: &mut Tx, relation: Relation, value: &str, limit: i64) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM (SELECT workload FROM lineage WHERE relation = $1 AND value = $2 LIMIT $3) AS few";
    let row: Option<(i64,)> = optional!(tx, sql, relation.name(), value, limit);
    Ok(row.map_or(0, |(count,)| count))
}

/// What is looked for: the first is what is read in order, of the others each must be so too.
pub type Wanted<'a> = &'a [(Relation, String)];

/// Most of the others.
pub const OTHERS_MAX: usize = 4;

/// Versions that have the first of what is wanted, after one, in order; and whether they have the others too. One range of
/// the index, however many there are.
pub async fn window(
    tx: &mut Tx,
    wanted: Wanted<'_>,
    (workload, sequence): (&str, i64),
    limit: i64,
) -> Result<Vec<(Key, bool)>> {
    let Some(((relation, value), others)) = wanted.split_first() else { return Ok(Vec::new()) };
    if others.is_empty() {
        let sql = "SELECT workload, sequence FROM lineage
                   WHERE relation = $1 AND value = $2 AND (workload, sequence) > ($3, $4)
                   ORDER BY workload, sequence LIMIT $5";
        let rows: Vec<Name> = all!(tx, sql, relation.name(), value, workload, sequence, limit);
        return rows.into_iter().map(|row| Ok((key(row)?, true))).collect();
    }
    // Looked up one by one: a planner that makes a table of all that have the other would read it whole.
    let sql = "SELECT l.workload, l.sequence,
                   ($6 = '' OR (SELECT o.sequence FROM lineage o WHERE o.relation = $6 AND o.value = $7
                                AND o.workload = l.workload AND o.sequence = l.sequence) IS NOT NULL)
                   AND ($8 = '' OR (SELECT o.sequence FROM lineage o WHERE o.relation = $8 AND o.value = $9
                                AND o.workload = l.workload AND o.sequence = l.sequence) IS NOT NULL)
                   AND ($10 = '' OR (SELECT o.sequence FROM lineage o WHERE o.relation = $10 AND o.value = $11
                                AND o.workload = l.workload AND o.sequence = l.sequence) IS NOT NULL)
                   AND ($12 = '' OR (SELECT o.sequence FROM lineage o WHERE o.relation = $12 AND o.value = $13
                                AND o.workload = l.workload AND o.sequence = l.sequence) IS NOT NULL)
               FROM (SELECT workload, sequence FROM lineage
                     WHERE relation = $1 AND value = $2 AND (workload, sequence) > ($3, $4)
                     ORDER BY workload, sequence LIMIT $5) AS l ORDER BY l.workload, l.sequence";
    let other =
        |at: usize| others.get(at).map_or(("", ""), |(relation, value)| (relation.name(), value.as_str()));
    let rows: Vec<(String, i64, bool)> = all!(
        tx,
        sql,
        relation.name(),
        value,
        workload,
        sequence,
        limit,
        other(0).0,
        other(0).1,
        other(1).0,
        other(1).1,
        other(2).0,
        other(2).1,
        other(3).0,
        other(3).1,
    );
    rows.into_iter().map(|(workload, sequence, fits)| Ok((key((workload, sequence))?, fits))).collect()
}

/// Names of the workloads of an owner from a name on, as their cards say.
pub async fn owned_by(tx: &mut Tx, owner: &str, from: &str, limit: i64) -> Result<Vec<Workload>> {
    let sql = "SELECT workload FROM workload_cards c WHERE owner = $1 AND workload >= $2 AND NOT EXISTS (
                   SELECT 1 FROM repositories r WHERE r.name = c.workload AND r.deleted_at IS NOT NULL)
               ORDER BY workload LIMIT $3";
    let rows: Vec<(String,)> = all!(tx, sql, owner, from, limit);
    rows.into_iter().map(|(workload,)| read("workload_cards", &workload)).collect()
}

/// A version, as much as a list shows of it.
#[derive(Clone, Debug)]
pub struct Brief {
    pub key: Key,
    pub version: Version,
    pub digest: Digest,
    pub tier: Tier,
    pub created_at: DateTime<Utc>,
    pub is_yanked: bool,
    /// Its content was taken away; that it is yanked too says no more.
    pub is_purged: bool,
}

/// Versions by their numbers, at most [`AT_ONCE`].
pub async fn briefs(tx: &mut Tx, keys: &[Key]) -> Result<Vec<Brief>> {
    type Row = (String, i64, String, String, String, DateTime<Utc>, bool, bool);
    let sql = numbered!(
        "v.workload, v.sequence, v.version, v.digest, v.tier, v.created_at, v.yanked_at IS NOT NULL, v.purged_at IS NOT NULL",
        "CROSS JOIN versions v WHERE v.workload = wanted.column1 AND v.sequence = wanted.column2"
    );
    let rows: Vec<Row> = by_keys!(tx, sql, keys);
    rows.into_iter()
        .map(|(workload, sequence, version, digest, tier, created_at, is_yanked, is_purged)| {
            Ok(Brief {
                key: key((workload, sequence))?,
                version: read("versions", &version)?,
                digest: read("versions", &digest)?,
                tier: read("versions", &tier)?,
                created_at,
                is_yanked,
                is_purged,
            })
        })
        .collect()
}

/// What is in the stages of workloads, at most [`AT_ONCE`] of these.
pub async fn stages_of(tx: &mut Tx, workloads: &[Workload]) -> Result<Vec<(Workload, Version, Stage)>> {
    let sql = "SELECT workload, version, stage FROM stages WHERE workload IN
                   ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ORDER BY workload, stage";
    let rows: Vec<(String, String, String)> = by_texts!(tx, sql, workloads);
    rows.into_iter()
        .map(|(workload, version, stage)| {
            Ok((read("stages", &workload)?, read("stages", &version)?, read("stages", &stage)?))
        })
        .collect()
}

/// How many targets run versions of this content, at most [`AT_ONCE`] digests.
pub async fn targets_of(tx: &mut Tx, digests: &[Digest]) -> Result<BTreeMap<(String, String), i64>> {
    let sql = "SELECT workload, running_version, COUNT(*) FROM deployments WHERE running_digest IN
                   ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
               GROUP BY workload, running_version";
    let rows: Vec<(String, String, i64)> = by_texts!(tx, sql, digests);
    Ok(rows.into_iter().map(|(workload, version, count)| ((workload, version), count)).collect())
}

/// The targets themselves, up to a limit: workload, version, target.
pub async fn running_on(
    tx: &mut Tx,
    digests: &[Digest],
    limit: i64,
) -> Result<Vec<(String, String, String)>> {
    let sql = "SELECT workload, running_version, target FROM deployments WHERE running_digest IN
                   ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
               ORDER BY workload, target LIMIT $17";
    Ok(by_texts!(tx, sql, digests, limit))
}
