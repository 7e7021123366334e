//! The migrations of the directory's database.

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use doorward_storage::Migrations;

use crate::users::email_conflicts;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Migrations of the directory's database.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: POSTGRES,
    sqlite: SQLITE,
    owner_table: "feed_head",
    data_migrations: &[email_conflicts::DATA_MIGRATION],
};
