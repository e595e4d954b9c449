//! The database itself, as the registry sets it up.

use crate::harness::backends;
use sqlx::Connection as _;

backends! {
    async fn every_text_is_compared_byte_by_byte(env: Env) {
        // SQLite knows no other order.
        let Some(url) = &env.cx.config.database.url else { return };
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns
                   WHERE table_schema = current_schema() AND data_type = 'text' AND table_name NOT LIKE '\\_sqlx%'
                   AND collation_name IS DISTINCT FROM 'C'";
        let others: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
        assert!(others.is_empty(), "a join cannot use an index of another order: {others:?}");
    }
}
