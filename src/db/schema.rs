//! The database's schema: migrations in order. One text for both databases, and a few of their own.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Number, name and text. What has once been released never changes.
pub(super) type Text = (i64, &'static str, &'static str);

macro_rules! texts {
    ($($number:literal $name:literal $file:literal),* $(,)?) => {
        &[$(($number, $name, include_str!(concat!("../../migrations/", $file)))),*]
    };
}

const SHARED: &[Text] = texts! {
    1 "registry" "0001_registry.sql",
    3 "governance" "0003_governance.sql",
    4 "attempts" "0004_attempts.sql",
    6 "hooks" "0006_hooks.sql",
    7 "deployments" "0007_deployments.sql",
    8 "trust" "0008_trust.sql",
    10 "deployments_running" "0010_deployments_running.sql",
    12 "monitors" "0012_monitors.sql",
    14 "pushed_profiles" "0014_pushed_profiles.sql",
    16 "backups" "0016_backups.sql",
    18 "workload_cards" "0018_workload_cards.sql",
    20 "lineage" "0020_lineage.sql",
    22 "limits" "0022_limits.sql",
    24 "reads" "0024_reads.sql",
    26 "removal" "0026_removal.sql",
    28 "uses_by_digest" "0028_uses_by_digest.sql",
};

pub(super) const SQLITE: &[Text] = texts! { 2 "append_only" "sqlite/0002_append_only.sql" };

pub(super) const POSTGRES: &[Text] = texts! {
    2 "append_only" "postgres/0002_append_only.sql",
    5 "byte_order" "postgres/0005_byte_order.sql",
    9 "byte_order" "postgres/0009_byte_order.sql",
    11 "byte_order" "postgres/0011_byte_order.sql",
    13 "byte_order" "postgres/0013_byte_order.sql",
    15 "byte_order" "postgres/0015_byte_order.sql",
    27 "byte_order" "postgres/0027_byte_order.sql",
};

const fn last(own: &[Text]) -> i64 {
    let (shared, own) = (SHARED[SHARED.len() - 1].0, own[own.len() - 1].0);
    if shared > own { shared } else { own }
}

/// The number of the last migration: the schema that this program works with.
pub const SCHEMA: i64 = last(POSTGRES);

/// The last one of SQLite, which has fewer.
pub const SCHEMA_OF_SQLITE: i64 = last(SQLITE);

/// The migrations of a database up to one.
pub(super) fn migrations(own: &[Text], up_to: i64) -> Migrator {
    let mut texts = [SHARED, own].concat();
    texts.retain(|(version, ..)| *version <= up_to);
    texts.sort_by_key(|(version, ..)| *version);
    let migrations = texts.into_iter().map(|(version, description, sql)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}
