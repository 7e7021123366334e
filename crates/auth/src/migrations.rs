//! The migrations of auth's database, embedded in the program.

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use doorward_storage::Migrations;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Migrations of auth's database.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: POSTGRES,
    sqlite: SQLITE,
    owner_table: "credentials",
    data_migrations: &[],
};
