//! The tables of auth for export and import, and the columns that the master key seals.

use doorward_storage::transfer::{Row, Table, Tables};
use serde_json::Value;

use crate::sealing::{
    SealError, Sealer, api_key_associated_data, secret_associated_data, signing_key_associated_data,
};

/// All tables of auth.
pub const TABLES: Tables = Tables {
    database: "auth",
    tables: &[
        Table::seeded("trust_version"),
        Table::seeded("feed_position"),
        Table::new("signing_keys"),
        Table::new("secrets"),
        Table::new("credentials"),
        Table::new("api_keys"),
        Table::new("revocations"),
        Table::new("codes"),
        Table::new("known_networks"),
        Table::new("throttle"),
        Table::new("service_tokens"),
        Table::new("outbox"),
        Table::new("audit"),
    ],
};

/// A column that the master key seals. Empty values are not sealed.
struct SealedColumn {
    table: &'static str,
    column: &'static str,
    /// Column from which the associated data is made.
    id_column: &'static str,
    associated_data: fn(&str) -> String,
}

const SEALED: &[SealedColumn] = &[
    SealedColumn {
        table: "signing_keys",
        column: "sealed_private_key",
        id_column: "kid",
        associated_data: signing_key_associated_data,
    },
    SealedColumn {
        table: "secrets",
        column: "sealed_secret",
        id_column: "name",
        associated_data: secret_associated_data,
    },
    SealedColumn {
        table: "api_keys",
        column: "sealed_key",
        id_column: "user_gid",
        associated_data: api_key_associated_data,
    },
    SealedColumn {
        table: "outbox",
        column: "content",
        id_column: "id",
        associated_data: doorward_mail::associated_data,
    },
];

/// Opens the sealed values of an export, and seals them with the master key of the installation
/// that imports it.
pub struct Reseal {
    old: Sealer,
    /// None if the key is the same; the values then stay as they are.
    new: Option<Sealer>,
}

impl Reseal {
    /// Reseals from an old to a new master key. Without a new one, values are only checked.
    #[must_use]
    pub const fn new(old: Sealer, new: Option<Sealer>) -> Self {
        Self { old, new }
    }

    /// Replaces the sealed values in a row of an export. Rows of other databases are left
    /// unchanged.
    ///
    /// # Errors
    /// [`SealError::WrongKey`] if the old key does not open them.
    pub fn reseal_row(&self, table: &str, row: &mut Row) -> Result<(), SealError> {
        let Some(table) = table
            .strip_prefix(TABLES.database)
            .and_then(|table| table.strip_prefix('.'))
        else {
            return Ok(());
        };
        for sealed in SEALED.iter().filter(|sealed| sealed.table == table) {
            // A row without these columns is rejected by the database later.
            let (Some(Value::String(id)), Some(Value::String(value))) =
                (row.get(sealed.id_column), row.get(sealed.column))
            else {
                continue;
            };
            if value.is_empty() {
                continue;
            }
            let associated_data = (sealed.associated_data)(id);
            let secret = self.old.open(&associated_data, value)?;
            if let Some(new) = &self.new {
                let value = new.seal(&associated_data, &secret)?;
                row.insert(sealed.column.to_owned(), Value::String(value));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use doorward_storage::{AnyConnection, testing::TestDatabase, transfer::check_tables};
    use serde_json::json;

    use super::*;
    use crate::migrations::MIGRATIONS;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&vec![byte; 32].into()).unwrap()
    }

    fn api_key(sealed: &str) -> Row {
        let row = json!({"user_gid": "0f8fad5b-d9cb-469f-a165-70867728950e", "sealed_key": sealed, "lookup_hmac": "x"});
        row.as_object().unwrap().clone()
    }

    const ASSOCIATED_DATA: &str = "api_key/0f8fad5b-d9cb-469f-a165-70867728950e";

    #[test]
    fn resealed_value_opens_with_the_new_key() {
        let mut row = api_key(&sealer(1).seal(ASSOCIATED_DATA, b"secret").unwrap());
        Reseal::new(sealer(1), Some(sealer(2)))
            .reseal_row("auth.api_keys", &mut row)
            .unwrap();
        let sealed = row["sealed_key"].as_str().unwrap();
        assert_eq!(sealer(2).open(ASSOCIATED_DATA, sealed).unwrap(), b"secret");
        assert_eq!(row["lookup_hmac"], json!("x"));
    }

    #[test]
    fn value_is_unchanged_with_the_same_key() {
        let row = api_key(&sealer(1).seal(ASSOCIATED_DATA, b"secret").unwrap());
        let mut resealed = row.clone();
        Reseal::new(sealer(1), None)
            .reseal_row("auth.api_keys", &mut resealed)
            .unwrap();
        assert_eq!(resealed, row);
        assert!(
            Reseal::new(sealer(2), None)
                .reseal_row("auth.api_keys", &mut resealed)
                .is_err()
        );
    }

    #[test]
    fn retired_keys_and_tables_without_secrets_are_unchanged() {
        let reseal = Reseal::new(sealer(1), Some(sealer(2)));
        let retired = json!({"kid": "a", "sealed_private_key": ""})
            .as_object()
            .unwrap()
            .clone();
        for (table, row) in [
            ("auth.signing_keys", retired),
            ("directory.outbox", api_key("x")),
            ("auth.audit", api_key("x")),
        ] {
            let mut resealed = row.clone();
            reseal.reseal_row(table, &mut resealed).unwrap();
            assert_eq!(resealed, row);
        }
    }

    #[tokio::test]
    async fn all_tables_are_listed_and_all_sealed_columns_known() {
        for database in TestDatabase::both(&MIGRATIONS) {
            let check = |connection: &mut AnyConnection| -> Result<_, doorward_storage::Error> {
                Ok((
                    check_tables(connection, &TABLES).map_err(|error| error.to_string()),
                    sealed_columns(connection),
                ))
            };
            let (checked, found) = database.database.read_snapshot(check).await.unwrap();
            assert_eq!(checked, Ok(()));
            let mut known: Vec<_> = SEALED
                .iter()
                .map(|sealed| (sealed.table, sealed.column))
                .collect();
            // This column is sealed although its name does not contain `sealed`.
            known.retain(|known| *known != ("outbox", "content"));
            known.sort_unstable();
            let found: Vec<_> = found
                .iter()
                .map(|(table, column)| (table.as_str(), column.as_str()))
                .collect();
            assert_eq!(
                found, known,
                "every sealed column must be listed in `SEALED`"
            );
        }
    }

    /// Returns the columns whose name says that they are sealed.
    fn sealed_columns(connection: &mut AnyConnection) -> Vec<(String, String)> {
        let columns = doorward_storage::transfer::list_columns(connection, &TABLES).unwrap();
        let mut sealed: Vec<_> = columns
            .into_iter()
            .filter(|(_, column)| column.contains("sealed"))
            .collect();
        sealed.sort_unstable();
        sealed
    }
}
