//! Each migration is applied over a database that holds what one of its time held.

use assay_store::{OpenError, Store};

use crate::world::{Tools, World};

/// Rows as a database has them after each migration, in order. A new migration adds a line: rows that fit the schema which it
/// made. Rows of earlier lines stay as they were written.
const ROWS_AFTER: [&str; 3] = [
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_interruptions.sql"),
    include_str!("migrations/0003_attestations.sql"),
];

pub(crate) async fn migrations_are_applied_once_over_what_is_there(world: World) {
    let tools = world.tools().await;
    let n = tools.number("SELECT count(*) FROM _sqlx_migrations").await;
    assert_eq!(n, ROWS_AFTER.len() as i64, "each migration has rows of its time");

    // Back to nothing, then one migration after the other with rows in between.
    match &tools {
        Tools::Lite(pool) => {
            let file = world.folder.path().join("stepwise.db");
            let stepwise = sqlx::SqlitePool::connect(&format!("sqlite:{}?mode=rwc", file.display()))
                .await
                .unwrap();
            let migrator = sqlx::migrate::Migrator::new(std::path::Path::new(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/migrations/sqlite"
            )))
            .await
            .unwrap();
            for (migration, rows) in migrator.iter().zip(ROWS_AFTER) {
                migrator.run_to(migration.version, &stepwise).await.unwrap();
                sqlx::raw_sql(rows).execute(&stepwise).await.unwrap();
            }
            pool.close().await;
            reads(&format!("sqlite:{}", file.display()), &world).await;
        }
        Tools::Pg(pool) => {
            sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                .execute(pool)
                .await
                .unwrap();
            let migrator = sqlx::migrate::Migrator::new(std::path::Path::new(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/migrations/postgres"
            )))
            .await
            .unwrap();
            for (migration, rows) in migrator.iter().zip(ROWS_AFTER) {
                migrator.run_to(migration.version, pool).await.unwrap();
                sqlx::raw_sql(rows).execute(pool).await.unwrap();
            }
            reads(&world.address, &world).await;
        }
    }
}

/// The newest program reads what was written at any time, and refuses what a newer one wrote.
async fn reads(address: &str, world: &World) {
    let store = Store::open(address, &world.blobs()).await.unwrap();
    store.migrate().await.unwrap();
    assert!(store.schema_is_current().await.unwrap());
    assert_eq!(store.migrate().await.unwrap(), 0);
    let run = store.run(&"run-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(run.score.unwrap().total_hundredths, 8_750);
    assert_eq!(store.events(&run.id, 0, 10).await.unwrap().len(), 3);
    assert_eq!(run.interruptions, 0);
    let interrupted = store.run(&"run-2".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(interrupted.interruptions, 1);
    let row = store.assignment_row(&run.assignment).await.unwrap().unwrap();
    assert_eq!(row.assignment.candidate.unwrap().name, "Ada");
    assert_eq!(store.verify_audit().await.unwrap(), 1);
    assert_eq!(store.users().await.unwrap().len(), 1);

    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'newer', TRUE, '', 0)";
    let again = World::tools_of(address).await;
    again.execute(newer).await;
    assert!(!store.schema_is_current().await.unwrap());
    let refused = store.migrate().await;
    assert!(matches!(refused, Err(OpenError::Newer)), "{refused:?}");
}
